"""What every child runs an entry of a frame with, and the frames that it answers with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from djtasks.exceptions import TimeLimitExceeded, WorkerLostError
from djtasks.execution import connections
from djtasks.execution.coroutines import LoopRunner
from djtasks.execution.executor import Executor
from djtasks.execution.lost import Verdict
from djtasks.execution.place import Place
from djtasks.execution.unrunnable import broken, unknown
from djtasks.queue.attempts import attempt_members
from djtasks.queue.delivery import Delivery
from djtasks.queue.feeding import fed_members
from djtasks.queue.finish import linked_members, members, returned_members
from djtasks.queue.outcome import Disposal
from djtasks.registry import registry
from djtasks.worker.tally import mark
from djtasks.worker.wire import pack

if TYPE_CHECKING:
    from djtasks.queue.outcome import Outcome


class Runner:
    """Runs one entry of a frame, whatever it asks, and gives its outcome as plain values."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._loop = LoopRunner()
        self.place = Place(
            hostname=config["hostname"],
            coroutine=self._loop,
            soft_time_limit=config["soft_time_limit"],
            soft_limits=config["soft_limits"],
            owner=config["owner"],
            database=config["database"],
        )
        self._executors: dict[str, Executor] = {}

    def close(self) -> None:
        """End what the runner has started."""
        self._loop.close()

    def limit(self, soft: dict[str, float]) -> None:
        """Keep these soft limits of tasks, in seconds by name, instead of those in their code."""
        self.place.soft_limits = soft
        self._executors = {}

    def executor(self, name: str) -> Executor | None:
        """The executor of a task, or None if the task is unknown here."""
        executor = self._executors.get(name)
        if executor is None:
            task = registry.get(name)
            if task is None:
                return None
            executor = self._executors[name] = Executor(task, self.place)
        return executor

    def run(self, row: tuple[Any, ...], lost: tuple[str, str, Any] | None) -> Outcome:
        """Run one message, or record what became of one that was lost.

        A row that cannot be understood ends as FAILURE here and harms nothing else.
        """
        delivery = Delivery._make(row)
        try:
            executor = self.executor(delivery.task)
            if executor is None:
                return unknown(delivery, self.place.hostname)
            connections.before_task()
            try:
                if lost is None:
                    return executor(delivery)
                verdict, kind, detail = lost
                if kind == "terminated":
                    return executor.terminated(delivery, *detail)
                error = TimeLimitExceeded(detail) if kind == "limit" else WorkerLostError(detail)
                return executor.lose(delivery, error, Verdict(verdict))
            finally:
                connections.after_task(delivery.task)
        except (Exception, SystemExit) as error:
            return broken(delivery, error)


def reply(token: int, outcome: Outcome, seconds: float, feeds: bool) -> bytes:
    """The frame that tells the parent of an outcome; ``feeds`` if others may wait for it."""
    linked = linked_members(outcome) if outcome.messages else None
    disposal = int(outcome.disposal)
    if disposal == Disposal.ENDED:
        text = returned_members(outcome)
    else:
        text = members(outcome)
        if disposal:
            # It goes back: what is kept of this run is told as well.
            text += attempt_members(outcome)
    fed = fed_members(outcome) if feeds else None
    return pack((token, disposal, text, linked, seconds, fed, mark(outcome)))


def note(what: str, tokens: list[int]) -> bytes:
    """The frame that tells the parent something else: ready, recalled or worn out."""
    return pack((0, what, tokens, None, 0.0, None, None))
