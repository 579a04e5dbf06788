"""Pausing and resuming tasks, and what is set for them instead of what their code says."""

from __future__ import annotations

import re
from typing import Any, Final

from django.db import connections, transaction
from django.db.models.functions import Now

from djtasks.control.each import database, wake_after_commit
from djtasks.control.sql import load
from djtasks.control.workers import tell_settings
from djtasks.lanes import rate_of
from djtasks.queue.claim import START
from djtasks.queue.held import BATCH, unhold

PAUSE_TASK = load("pause_task")
RESUME_TASK = load("resume_task")
HOLD_TASK = load("hold_task")

LONGEST_NAME: Final = 1000
"""Characters that the name of a task may have here."""


def pause_task(task: str, *, reason: str = "", using: str | None = None) -> bool:
    """Let no worker begin a task, in whichever queue, until it is resumed; what runs goes on.

    Its messages stay in their queues and in nobody's way. ``reason`` is shown to others. Returns
    whether the task was run until now; one that is paused already gets the reason, if there is
    one. Raises :class:`ValueError` for what can be no name of a task.
    """
    alias = database(using)
    place = {"task": checked_task(task), "reason": reason}
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(PAUSE_TASK, place)
        changed = cursor.fetchone() is not None
        if not changed and reason:
            cursor.execute(
                "UPDATE djtasks_tasksetting SET reason = %(reason)s WHERE name = %(task)s", place
            )
    # The pause holds from that commit on. What is ready is put out of the way of claims, which
    # would do it one after the other.
    _hold(task, alias)
    return changed


def resume_task(task: str, *, using: str | None = None) -> bool:
    """Let workers begin a task again; returns whether it was paused."""
    alias = database(using)
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(RESUME_TASK, {"task": checked_task(task)})
        changed = cursor.fetchone() is not None
    # Also of a task that is not paused: what somebody left half done is completed.
    with connections[alias].cursor() as cursor:
        freed = unhold(cursor, task)
    wake_after_commit(alias, wake=freed)
    return changed


def limit_task(
    task: str,
    *,
    using: str | None = None,
    **limits: Any,
) -> None:
    """Set limits of a task for all workers, now and later, instead of those in its code.

    ``time_limit`` and ``soft_time_limit`` are in seconds, ``rate_limit`` is as in ``"100/m"``;
    None goes back to what the code says, and what is not named stays. What runs keeps the limit
    that it began with. Raises :class:`ValueError` for what can be no limit, and
    :class:`TypeError` for the name of another.
    """
    from djtasks.models import TaskSetting

    unknown = set(limits) - set(_LIMITS)
    if unknown:
        raise TypeError(f"There is no limit {', '.join(sorted(unknown))}: {', '.join(_LIMITS)}.")
    checked = {name: _LIMITS[name](name, value) for name, value in limits.items()}
    alias = database(using)
    with transaction.atomic(using=alias):
        setting, _ = TaskSetting.objects.using(alias).get_or_create(name=checked_task(task))
        now = {name: checked.get(name, getattr(setting, name)) for name in _LIMITS}
        soft, hard = now["soft_time_limit"], now["time_limit"]
        if soft and hard and soft > hard:
            raise ValueError(
                f"The soft time limit {soft:g} must not be beyond the hard one {hard:g}."
            )
        rows = TaskSetting.objects.using(alias).filter(name=setting.name)
        rows.update(**checked, changed_at=Now())
        rows.filter(paused_at=None, time_limit=None, soft_time_limit=None, rate_limit=None).delete()
        tell_settings(alias)


def checked_task(task: str) -> str:
    """The name of a task that there may be. Raises :class:`ValueError`."""
    if type(task) is not str or not task or "\0" in task or len(task) > LONGEST_NAME:
        raise ValueError(f"This can be no name of a task: {task!r:.100}.")
    return task


def _seconds(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e9:
        words = name.replace("_", " ")
        raise ValueError(f"The {words} must be seconds, more than 0, or None, not {value!r}.")
    return float(value)


def _rate(name: str, value: Any) -> str | None:
    if value is None:
        return None
    text = re.sub(r"\s*/\s*", "/", str(value).strip())
    try:
        rate_of(value if isinstance(value, bool) else text)
    except ValueError:
        raise ValueError(
            f"The rate limit must be a number, or as in '100/m', not {value!r}."
        ) from None
    return text


_LIMITS: Final = {"time_limit": _seconds, "soft_time_limit": _seconds, "rate_limit": _rate}


def _hold(task: str, alias: str) -> None:
    """Hold what is ready of a task, in every queue; each batch is a transaction of its own."""
    with connections[alias].cursor() as cursor:
        cursor.execute(load("ready_names"))
        names = [name for (name,) in cursor.fetchall()]
        for name in names:
            place: tuple[int, int] | None = START
            while place is not None:
                cursor.execute(
                    HOLD_TASK,
                    {
                        "queue": name,
                        "task": task,
                        "rank": place[0],
                        "seq": place[1],
                        "limit": BATCH,
                    },
                )
                place = cursor.fetchone()
