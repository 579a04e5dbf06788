"""What needs attention, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from djtasks.browser.counts import LIMIT, capped
from djtasks.browser.filter import Filter
from djtasks.browser.reading import reading
from djtasks.browser.sql import load
from djtasks.look.text import one_line
from djtasks.look.times import rough

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper
    from django_stubs_ext import StrOrPromise

    from djtasks.browser.fleet import WorkerView
    from djtasks.browser.paused import PausedTask
    from djtasks.browser.queues import QueueView

__all__ = ["Note", "attention"]

UNKNOWN = load("unknown")
OVERDUE = load("overdue")
STRANDED = load("stranded")
SCHEDULES = load("schedules")
FAILING = load("failing")
HELD_UP = load("held_up")

PATIENCE: Final = 30.0
"""Seconds that something may wait before it is said that nobody takes it: workers restart."""

BEHIND: Final = 600.0
"""Seconds that a queue may wait which is served."""

RECENT: Final = 600.0
"""Seconds in which failures are compared with those of the day before."""

FEWEST: Final = 5
"""Failures in that time below which nothing is said."""

PART: Final = 0.1
"""The part that has to fail before anything is said."""

JUMP: Final = 3.0
"""How many times as large as before that part has to be."""

STRANDED_AFTER: Final = 3600.0
"""Seconds that a workflow may wait before it is asked whether it can go on."""

HEAD: Final = 200
"""Messages that are looked at for this, of a queue, of a workflow, or of all that wait."""

BUDGET: Final = 4_000
"""Messages that are looked at in all queues together; ten in each are in any case."""

MOST: Final = 10
"""Sentences of one kind."""


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence. ``page`` is where to look: the name of an admin page, as in its address
    (``taskrecord``, ``periodictask``, ``queue``, ``worker``), and ``query`` what to search for
    there, or empty; ``address`` is the end of its address where that is no search.
    """

    text: StrOrPromise
    is_severe: bool
    page: str
    query: str = ""
    address: str = ""


def attention(
    queues: list[QueueView],
    workers: list[WorkerView],
    paused: Sequence[PausedTask] = (),
    *,
    using: str | None = None,
) -> list[Note]:
    """What is wrong or may be, the worst first. The arguments are as just read."""
    is_served = any(worker.is_alive for worker in workers)
    notes = [*_of_workers(workers), *_of_queues(queues, is_served), *_of_paused(paused)]
    with reading(using, few=True) as cursor:
        notes += _overdue(cursor, is_served)
        notes += _unknown(cursor)
        notes += _held_up(cursor) if is_served else []
        notes += _stranded(cursor)
        notes += _schedules(cursor, is_served)
    with reading(using) as cursor:
        notes += _failing(cursor)
    return sorted(notes, key=lambda note: not note.is_severe)


def _short(name: str) -> str:
    return one_line(name, 80)


def _of_workers(workers: list[WorkerView]) -> Iterator[Note]:
    for worker in [worker for worker in workers if not worker.is_alive][:MOST]:
        told = _("Worker %(name)s (%(pid)d) has not answered for %(time)s.")
        yield Note(
            told % {"name": _short(worker.hostname), "pid": worker.pid, "time": rough(worker.age)},
            is_severe=True,
            page="worker",
        )


def _of_queues(queues: list[QueueView], is_served: bool) -> Iterator[Note]:
    """Those that wait too long, the longest first, then those that are paused."""
    waiting = sorted(
        (queue for queue in queues if queue.latency is not None and not queue.paused_at),
        key=lambda queue: -(queue.latency or 0.0),
    )
    if not is_served:
        yield _unserved(waiting)
    for queue in [queue for queue in waiting if _is_late(queue)][: MOST if is_served else 0]:
        told = (
            _("Queue %(name)s has waited %(time)s.")
            if queue.worker_names
            else _("Queue %(name)s has waited %(time)s and no worker serves it.")
        )
        yield Note(
            told % {"name": _short(queue.name), "time": rough(queue.latency or 0.0)},
            is_severe=not queue.worker_names,
            page="taskrecord",
            query=Filter(states=("READY",), queue=queue.name).to_query(),
        )
    for queue in [queue for queue in queues if queue.paused_at][:MOST]:
        told = ngettext(
            "Queue %(name)s is paused, and %(ready)s task is ready in it.",
            "Queue %(name)s is paused, and %(ready)s tasks are ready in it.",
            queue.ready.value,
        )
        if not queue.ready:
            told = _("Queue %(name)s is paused.")
        yield Note(
            told % {"name": _short(queue.name), "ready": queue.ready},
            is_severe=False,
            page="queue",
        )


def _of_paused(paused: Sequence[PausedTask]) -> Iterator[Note]:
    for task in paused[:MOST]:
        told = ngettext(
            "Task %(name)s is paused, and %(held)s of its calls waits for that.",
            "Task %(name)s is paused, and %(held)s of its calls wait for that.",
            task.held.value,
        )
        if not task.held:
            told = _("Task %(name)s is paused.")
        yield Note(
            told % {"name": _short(task.name), "held": task.held},
            is_severe=False,
            page="taskrecord" if task.held else "overview",
            query=task.query if task.held else "",
        )


def _is_late(queue: QueueView) -> bool:
    return (queue.latency or 0.0) >= (BEHIND if queue.worker_names else PATIENCE)


def _unserved(waiting: list[QueueView]) -> Note:
    """That nobody works; what waits for whom is no news then."""
    longest = waiting[0].latency if waiting else None
    if longest is None:
        return Note(_("No worker is running."), is_severe=False, page="worker")
    told = _("No worker is running, and tasks have waited %(time)s.")
    return Note(told % {"time": rough(longest)}, is_severe=True, page="worker")


def _overdue(cursor: CursorWrapper, is_served: bool) -> Iterator[Note]:
    cursor.execute(OVERDUE, {"seconds": PATIENCE, "limit": LIMIT})
    ((number, seconds),) = cursor.fetchall()
    if not number:
        return
    told = ngettext(
        "%(number)s scheduled task is due, for %(time)s, and no worker has made it ready.",
        "%(number)s scheduled tasks are due, the first for %(time)s, and no worker has made "
        "them ready.",
        number,
    )
    yield Note(
        told % {"number": capped(number, LIMIT), "time": rough(seconds)},
        is_severe=True,
        page="taskrecord" if is_served else "worker",
        query=Filter(states=("SCHEDULED",)).to_query() if is_served else "",
    )


def _unknown(cursor: CursorWrapper) -> Iterator[Note]:
    cursor.execute(UNKNOWN, {"head": HEAD, "budget": BUDGET, "limit": MOST})
    for task, queue, seconds in cursor.fetchall():
        if seconds < PATIENCE:
            continue
        told = _("Task %(task)s in queue %(queue)s is unknown to workers and has waited %(time)s.")
        yield Note(
            told % {"task": _short(task), "queue": _short(queue), "time": rough(seconds)},
            is_severe=True,
            page="taskrecord",
            query=Filter(states=("READY",), queue=queue, task=f"={task}").to_query(),
        )


def _held_up(cursor: CursorWrapper) -> Iterator[Note]:
    """Limits that block tasks though nothing of them runs."""
    cursor.execute(HELD_UP, {"gates": HEAD, "limit": LIMIT, "seconds": PATIENCE, "most": MOST})
    for gate, task, number, seconds in cursor.fetchall():
        told = ngettext(
            "%(number)s task is blocked by %(gate)s, for %(time)s, and nothing of it runs: no "
            "worker that knows %(task)s lets it through.",
            "%(number)s tasks are blocked by %(gate)s, the first for %(time)s, and nothing of it "
            "runs: no worker that knows %(task)s lets them through.",
            number,
        )
        yield Note(
            told
            % {
                "number": capped(number, LIMIT),
                "gate": _short(gate),
                "time": rough(seconds),
                "task": _short(task),
            },
            is_severe=True,
            page="taskrecord",
            query=Filter(states=("BLOCKED",), lane=gate).to_query(),
        )


def _failing(cursor: CursorWrapper) -> Iterator[Note]:
    """Tasks of which a larger part fails than before."""
    cursor.execute(FAILING, {"recent": RECENT, "least": FEWEST})
    jumped = [row for row in cursor.fetchall() if _has_jumped(*row[1:])]
    for task, ended, failed, ended_before, failed_before in jumped[:MOST]:
        told = (
            _("%(part)d %% of %(task)s failed in the last 10 minutes; it was %(before)d %%.")
            if ended_before
            else _("%(part)d %% of %(task)s failed in the last 10 minutes.")
        )
        yield Note(
            told
            % {
                "part": round(100 * failed / ended),
                "task": _short(task),
                "before": round(100 * failed_before / ended_before) if ended_before else 0,
            },
            is_severe=True,
            page="taskrecord",
            query=Filter(states=("FAILURE",), task=f"={task}", since="10m").to_query(),
        )


def _has_jumped(ended: int, failed: int, ended_before: int, failed_before: int) -> bool:
    before = failed_before / ended_before if ended_before else 0.0
    return failed / ended >= max(PART, JUMP * before)


def _stranded(cursor: CursorWrapper) -> Iterator[Note]:
    cursor.execute(
        STRANDED,
        {"head": HEAD, "members": HEAD, "seconds": STRANDED_AFTER, "limit": MOST + 1},
    )
    roots = [root for (root,) in cursor.fetchall()]
    if roots:
        told = ngettext(
            "%(number)s workflow waits for tasks that are not there any more.",
            "%(number)s workflows wait for tasks that are not there any more.",
            len(roots),
        )
        yield Note(
            told % {"number": capped(len(roots), MOST)},
            is_severe=False,
            page="taskrecord",
            query=Filter(
                states=("WAITING",), root=roots[0] if len(roots) == 1 else None
            ).to_query(),
        )


def _schedules(cursor: CursorWrapper, is_served: bool) -> Iterator[Note]:
    """Those that cannot be sent, and those that nobody sends."""
    cursor.execute(SCHEDULES, {"seconds": PATIENCE, "limit": MOST})
    for name, error, seconds in cursor.fetchall():
        if error:
            told = _("The schedule %(name)s cannot be sent: %(error)s")
            yield Note(
                told % {"name": _short(name), "error": one_line(error, 160)},
                is_severe=True,
                page="periodictask",
                address="?standing=error",
            )
        elif is_served:
            told = _("The schedule %(name)s is late, for %(time)s: no worker sends it.")
            yield Note(
                told % {"name": _short(name), "time": rough(seconds)},
                is_severe=True,
                page="periodictask",
            )
