"""Starting a worker in this process: its forker, its signals, its loop."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import psycopg
from django.db import DatabaseError, connections

from djtasks import signals
from djtasks.beat.seed import seed
from djtasks.exceptions import ImproperlyConfigured
from djtasks.queue.connect import parameters
from djtasks.registry import registry
from djtasks.worker.banner import banner
from djtasks.worker.nursery import Nursery
from djtasks.worker.parent import Parent
from djtasks.worker.stop import Stopping

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from djtasks.worker.options import WorkerOptions

logger = logging.getLogger("djtasks.worker")

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def run_worker(options: WorkerOptions, write: Callable[[str], object]) -> int:
    """Run a worker until it is stopped; returns its exit status. ``write`` takes the banner.

    Raises :class:`ImproperlyConfigured` for options that do not fit together or a database that
    is not PostgreSQL or not migrated, ``psycopg.OperationalError`` if it cannot be reached.
    """
    options.check()
    signals.celeryd_init.emit(options.hostname, instance=None, conf=None, options=options)
    signals.worker_init.emit(options.hostname)
    _warn_of_limits(options)
    if options.beat:
        _seed(options)
    if options.pool == "solo":
        return _run_solo(options, write)
    # Before anything else: the children descend from a process without threads or connections.
    nursery = Nursery(options.start_method)
    try:
        parent = Parent(options, nursery)
        signals.celeryd_after_setup.emit(options.hostname, instance=parent, conf=None)
        return asyncio.run(_serve(parent, write))
    except psycopg.errors.UndefinedTable as error:
        raise _not_migrated(options) from error
    finally:
        nursery.close()


async def _serve(parent: Parent, write: Callable[[str], object]) -> int:
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, parent.on_signal, number)
    loop.add_signal_handler(signal.SIGUSR1, _dump_stacks, parent)
    return await parent.run(lambda: _greet(parent, write))


def _seed(options: WorkerOptions) -> None:
    """Make the rows of schedules what the settings say."""
    parameters(options.database)
    try:
        seed(options.database)
    except DatabaseError as error:
        cause = error.__cause__
        if isinstance(cause, psycopg.errors.UndefinedTable):
            raise _not_migrated(options) from error
        if isinstance(cause, psycopg.Error):
            raise cause from error
        raise
    finally:
        connections.close_all()


def _warn_of_limits(options: WorkerOptions) -> None:
    """Name the tasks whose time limits this pool cannot keep."""
    if options.pool == "prefork":
        return
    hard = [name for name, task in registry.items() if task.option("time_limit")]
    soft = [
        name
        for name, task in registry.items()
        if task.option("soft_time_limit") and not task.is_async
    ]
    names = sorted({*hard, *(soft if options.pool == "threads" else ())})
    if names:
        logger.warning(
            "The pool %r cannot keep the time limits of: %s. Use --pool prefork for them.",
            options.pool,
            ", ".join(names),
        )


def _run_solo(options: WorkerOptions, write: Callable[[str], object]) -> int:
    """Run tasks in this process's main thread, and the parent's loop in another one."""
    from djtasks.worker.solo import SoloChild

    parent = Parent(options, None)
    signals.celeryd_after_setup.emit(options.hostname, instance=parent, conf=None)
    started = threading.Event()
    status: list[int] = []
    failure: list[BaseException] = []

    def ready() -> None:
        _greet(parent, write)
        started.set()

    def serve() -> None:
        try:
            status.append(asyncio.run(parent.run(ready)))
        except BaseException as error:
            failure.append(error)
        finally:
            if parent.stop.stage is Stopping.NOW:
                # What runs in the main thread cannot be ended otherwise.
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(1)
            started.set()

    def stop(number: int, frame: FrameType | None) -> None:
        if parent.loop is not None:
            parent.loop.call_soon_threadsafe(parent.on_signal, number)

    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    faulthandler.register(signal.SIGUSR1, file=sys.__stderr__ or 2, all_threads=True)
    thread = threading.Thread(target=serve, name="djtasks-parent")
    thread.start()
    started.wait()
    if parent.crew.members:
        SoloChild(parent).serve()
    thread.join()
    connections.close_all()
    if failure:
        if isinstance(failure[0], psycopg.errors.UndefinedTable):
            raise _not_migrated(options) from failure[0]
        raise failure[0]
    return status[0]


def _greet(parent: Parent, write: Callable[[str], object]) -> None:
    session = parent.session
    note = ""
    if session.pooled:
        note = (
            "Behind a connection pooler: messages are polled for, and a dead worker is noticed "
            "by its heartbeat alone."
        )
    write(banner(parent.options, session.server_version, session.describe(), note))
    sys.stdout.flush()


def _dump_stacks(parent: Parent) -> None:
    faulthandler.dump_traceback(file=sys.__stderr__ or 2, all_threads=True)
    if parent.crew.nursery is not None:
        for index in parent.crew.members:
            parent.crew.nursery.signal(index, signal.SIGUSR1)


def _not_migrated(options: WorkerOptions) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"The tables of djtasks are not in the database {options.database!r}. "
        f"Run: python manage.py migrate djtasks --database {options.database}"
    )
