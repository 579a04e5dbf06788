"""``app.control``: Celery's remote control, on the operations of :mod:`djtasks.control`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from djtasks.conf import conf
from djtasks.control import asking, ending, workers
from djtasks.control import tasks as settings_of_tasks
from djtasks.control.chosen import Destination, chosen
from djtasks.control.families import revoke_stamped, revoke_tasks, revoke_workflow
from djtasks.control.inspecting import Inspect

if TYPE_CHECKING:
    from djtasks.control.outcome import Outcome

logger = logging.getLogger("djtasks.control")

Reply = dict[str, Any]


class Replies(list[Reply]):
    """Replies as Celery gives them, ``{name: reply}`` each; ``missing`` are who did not answer."""

    def __init__(self, replies: Iterable[Reply] = (), missing: Iterable[str] = ()) -> None:
        super().__init__(replies)
        self.missing = tuple(missing)


class Control:
    """What can be told to workers and tasks, under Celery's names.

    Commands to workers take ``destination`` (names), ``pattern`` and ``matcher``; with
    ``reply=True`` they wait ``timeout`` seconds and return :class:`Replies`, otherwise None, and
    the command stands until each worker has obeyed it.
    """

    inspect = Inspect

    def broadcast(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        destination: Destination = None,
        connection: object = None,
        reply: bool = False,
        timeout: float | None = None,
        limit: int | None = None,
        callback: Callable[[Reply], object] | None = None,
        channel: object = None,
        pattern: str | None = None,
        matcher: str | None = None,
        **more: Any,
    ) -> Replies | None:
        """Give a command to all workers, or to those named; see the class.

        ``connection`` and ``channel`` are taken for Celery's sake. ``more`` are arguments. Raises
        :class:`ValueError` for a command that no worker knows.
        """
        if command not in COMMANDS:
            raise ValueError(
                f"There is no command {command!r} to workers. There are: {', '.join(COMMANDS)}."
            )
        told = {**(arguments or {}), **more}
        asked, unknown = chosen(destination, pattern, matcher)
        if not reply:
            asking.tell(asked, command, told)
            if unknown:
                logger.warning("%s: there is no worker %s", command, ", ".join(unknown))
            return None
        answers = asking.ask(
            asked, command, told, timeout=timeout, limit=limit, is_order=command in ORDERS
        )
        replies = Replies(
            ({name: answer} for name, answer in answers.given), (*answers.missing, *unknown)
        )
        if callback is not None:
            for one in replies:
                callback(one)
        return replies

    # --- workers ----------------------------------------------------------------------------

    def ping(
        self, destination: Destination = None, timeout: float | None = None, **kwargs: Any
    ) -> Replies:
        """Ask workers whether they are there: ``[{name: {"ok": "pong"}}]``."""
        kwargs["reply"] = True
        replies = self.broadcast("ping", {}, destination, timeout=timeout, **kwargs)
        return Replies() if replies is None else replies

    def add_consumer(
        self,
        queue: str,
        exchange: object = None,
        exchange_type: str = "direct",
        routing_key: object = None,
        options: Mapping[str, Any] | None = None,
        destination: Destination = None,
        **kwargs: Any,
    ) -> Replies | None:
        """Have workers serve a queue too; what is said of exchanges is taken and not needed."""
        return self.broadcast("add_consumer", {"queue": queue}, destination, **kwargs)

    def cancel_consumer(
        self, queue: str, destination: Destination = None, **kwargs: Any
    ) -> Replies | None:
        """Have workers serve a queue no more. What they hold of it they run."""
        return self.broadcast("cancel_consumer", {"queue": queue}, destination, **kwargs)

    def pool_grow(self, n: int = 1, destination: Destination = None, **kw: Any) -> Replies | None:
        """Have workers run ``n`` tasks more at once."""
        return self.broadcast("pool_grow", {"n": n}, destination, **kw)

    def pool_shrink(self, n: int = 1, destination: Destination = None, **kw: Any) -> Replies | None:
        """Have workers run ``n`` tasks fewer at once; what runs is finished."""
        return self.broadcast("pool_shrink", {"n": n}, destination, **kw)

    def autoscale(
        self, max: int, min: int, destination: Destination = None, **kwargs: Any
    ) -> Replies | None:
        """Have workers run between ``min`` and ``max`` tasks at once, as there is to do."""
        return self.broadcast("autoscale", {"max": max, "min": min}, destination, **kwargs)

    def pool_restart(
        self,
        modules: Sequence[str] | None = None,
        reload: bool = False,
        reloader: object = None,
        destination: Destination = None,
        **kwargs: Any,
    ) -> Replies | None:
        """Replace the processes that run tasks, each when it has finished what it runs.

        They come with the code that the worker was started with. Raises :class:`ValueError` where
        modules are to be loaded again: that takes a new worker.
        """
        if modules or reload or reloader is not None:
            raise ValueError(
                "pool_restart() loads no modules again: what a worker knows is what it was started "
                "with. Stop it (shutdown()) and let it be started anew."
            )
        return self.broadcast("pool_restart", {}, destination, **kwargs)

    def shutdown(self, destination: Destination = None, **kwargs: Any) -> Replies | None:
        """Have workers finish what they run and end. The order stays in their rows."""
        asked, unknown = chosen(destination, kwargs.get("pattern"), kwargs.get("matcher"))
        workers.stop([worker.id for worker in asked])
        if not kwargs.get("reply"):
            return None
        return Replies(({worker.name: {"ok": "shutting down"}} for worker in asked), unknown)

    def heartbeat(self, destination: Destination = None, **kwargs: Any) -> Replies | None:
        """Have workers renew their lease now."""
        return self.broadcast("heartbeat", {}, destination, **kwargs)

    def enable_events(self, destination: Destination = None, **kwargs: Any) -> Replies | None:
        """Nothing: there are no events, for the tables say what they would."""
        return self._nothing("task events are in the tables", destination, kwargs)

    def disable_events(self, destination: Destination = None, **kwargs: Any) -> Replies | None:
        """Nothing: see :meth:`enable_events`."""
        return self._nothing("task events are in the tables", destination, kwargs)

    # --- tasks ------------------------------------------------------------------------------

    def revoke(
        self,
        task_id: str | UUID | Iterable[str | UUID],
        destination: Destination = None,
        terminate: bool = False,
        signal: str | None = None,
        **kwargs: Any,
    ) -> Replies | None:
        """Revoke a task or several, whichever worker would run them: ``destination`` is not needed.

        What no worker has begun is revoked when this returns. With ``terminate`` what runs is
        ended too: see :func:`djtasks.control.terminate`.
        """
        ids = [task_id] if isinstance(task_id, (str, UUID)) else list(task_id)
        outcome = revoke_tasks(ids, terminate=terminate, signal=signal or "SIGTERM")
        return _told(f"tasks {', '.join(map(str, ids))} flagged as revoked", outcome, kwargs)

    def terminate(
        self,
        task_id: str | UUID | Iterable[str | UUID],
        destination: Destination = None,
        signal: str | None = None,
        **kwargs: Any,
    ) -> Replies | None:
        """:meth:`revoke` with ``terminate=True``."""
        return self.revoke(task_id, destination, terminate=True, signal=signal, **kwargs)

    def revoke_by_stamped_headers(
        self,
        headers: Mapping[str, Any],
        destination: Destination = None,
        terminate: bool = False,
        signal: str | None = None,
        **kwargs: Any,
    ) -> Replies | None:
        """Revoke all tasks with one of these stamps: ``{name: value}`` or ``{name: [values]}``.

        That is, those which have not ended now. What is enqueued later with the stamp runs.
        """
        outcome = revoke_stamped(headers, terminate=terminate, signal=signal or "SIGTERM")
        return _told(f"headers {dict(headers)} flagged as revoked", outcome, kwargs)

    def revoke_workflow(
        self,
        root_id: str | UUID,
        terminate: bool = False,
        signal: str | None = None,
        **kwargs: Any,
    ) -> Replies | None:
        """Revoke all tasks of a workflow that have not ended, by the id of its first one."""
        outcome = revoke_workflow(root_id, terminate=terminate, signal=signal or "SIGTERM")
        return _told(f"workflow {root_id} flagged as revoked", outcome, kwargs)

    def rate_limit(
        self, task_name: str, rate_limit: str | float, destination: Destination = None, **kw: Any
    ) -> Replies | None:
        """Set a task's rate limit for all workers, now and later, as ``"100/m"``; 0 for none."""
        settings_of_tasks.limit_task(task_name, rate_limit=rate_limit)
        return self._nothing("new rate limit set successfully", destination, kw)

    def time_limit(
        self,
        task_name: str,
        soft: float | None = None,
        hard: float | None = None,
        destination: Destination = None,
        **kwargs: Any,
    ) -> Replies | None:
        """Set a task's time limits in seconds for all workers, now and later.

        None goes back to what its code says. ``destination`` chooses who replies.
        """
        settings_of_tasks.limit_task(task_name, soft_time_limit=soft, time_limit=hard)
        return self._nothing("time limits set successfully", destination, kwargs)

    def purge(self, connection: object = None) -> int:
        """Discard what waits in the default queue and those of ``TASK_QUEUES``: how many."""
        queues = dict.fromkeys((conf.TASK_DEFAULT_QUEUE, *_declared()))
        return sum(ending.purge(queue) for queue in queues)

    discard_all = purge

    def _nothing(
        self, said: str, destination: Destination, kwargs: Mapping[str, Any]
    ) -> Replies | None:
        if not kwargs.get("reply"):
            return None
        asked, unknown = chosen(destination, kwargs.get("pattern"), kwargs.get("matcher"))
        return Replies(({worker.name: {"ok": said}} for worker in asked), unknown)


ORDERS = (
    "add_consumer",
    "autoscale",
    "cancel_consumer",
    "pool_grow",
    "pool_restart",
    "pool_shrink",
)
"""Commands that change a worker: they stand until it has obeyed."""

COMMANDS = tuple(
    sorted(
        (
            *ORDERS,
            *("active", "active_queues", "conf", "heartbeat", "ping", "query_task", "registered"),
            *("report", "reserved", "stats"),
        )
    )
)
"""What workers know."""


def _told(said: str, outcome: Outcome, kwargs: Mapping[str, Any]) -> Replies | None:
    """The reply to an operation on tasks: of the database, which did it, with what it did."""
    if not kwargs.get("reply"):
        return None
    skipped = {str(reason): number for reason, number in outcome.skipped.items()}
    done = {"ok": said, "revoked": outcome.done, "passed_over": skipped}
    return Replies([{conf.DATABASE: done}])


def _declared() -> list[str]:
    """The names in ``TASK_QUEUES``."""
    queues = conf.TASK_QUEUES or ()
    return [str(getattr(queue, "name", queue)) for queue in queues]
