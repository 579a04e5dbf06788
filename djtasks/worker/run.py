"""Starting a worker in this process: its forker, its signals, its loop."""

from __future__ import annotations

import asyncio
import faulthandler
import signal
import sys
import threading
from typing import TYPE_CHECKING

import psycopg
from django.db import connections

from djtasks import signals
from djtasks.exceptions import ImproperlyConfigured
from djtasks.worker.banner import banner
from djtasks.worker.nursery import Nursery
from djtasks.worker.parent import Parent

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from djtasks.worker.options import WorkerOptions

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def run_worker(options: WorkerOptions, write: Callable[[str], object]) -> int:
    """Run a worker until it is stopped; returns its exit status. ``write`` takes the banner.

    Raises :class:`ImproperlyConfigured` for options that do not fit together or a database that
    is not PostgreSQL or not migrated, ``psycopg.OperationalError`` if it cannot be reached.
    """
    options.check()
    signals.celeryd_init.emit(options.hostname, instance=None, conf=None, options=options)
    signals.worker_init.emit(options.hostname)
    if options.pool == "solo":
        return _run_solo(options, write)
    # Before anything else: the children descend from a process without threads or connections.
    nursery = Nursery(options.start_method)
    try:
        return asyncio.run(_serve(Parent(options, nursery), write))
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


def _run_solo(options: WorkerOptions, write: Callable[[str], object]) -> int:
    """Run tasks in this process's main thread, and the parent's loop in another one."""
    from djtasks.worker.solo import SoloChild

    parent = Parent(options, None)
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
