"""One schedule that is due: taken, advanced and sent in one transaction, by whoever comes first."""

from __future__ import annotations

import json
import logging
import time
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.db import InterfaceError, OperationalError, connections, transaction
from django.utils import timezone

from djtasks.beat.plan import Rule
from djtasks.beat.problems import CannotSendError, UnknownTaskError, check_call, check_mapping
from djtasks.beat.sql import load
from djtasks.canvas.signature import signature
from djtasks.carried import options_of
from djtasks.codec import decode_call, storable
from djtasks.conf import conf
from djtasks.ids import to_uuid
from djtasks.queue.enqueue import collecting, enqueue
from djtasks.registry import registry
from djtasks.schedules import from_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from djtasks.models import PeriodicTask
    from djtasks.queue.message import Row

__all__ = ["DUE_HEADER", "NAME_HEADER", "Sender", "rule_of", "run_now"]

logger = logging.getLogger("djtasks.beat")

NAME_HEADER: Final = "periodic_task_name"
"""The header of every message that a schedule sent, as django-celery-beat has it: its name."""

DUE_HEADER: Final = "periodic_due_at"
"""The header that tells for which tick it was sent, in ISO 8601 form."""

AGAIN_AFTER: Final = 60.0
"""Seconds after which a schedule that could not be sent is tried again by the same process."""

AFTER_REFUSAL: Final = 1.0
"""Seconds for which others come first where the database refused, or was lost, over one."""

OTHERS_FIRST: Final = 10.0
"""Seconds for which a task that is unknown here is left to processes that know it."""

LONGEST_ERROR: Final = 2_000

TAKE = load("take")
ADVANCE = load("advance")
NEXT_DUE = load("next_due")
NOTE_ERROR = load("note_error")
NOTE_RUN = load("note_run")

# A process that was stopped in the middle must not keep a schedule for ever.
_PATIENCE = "SET LOCAL idle_in_transaction_session_timeout = '60s'"


class _Taken(NamedTuple):
    """A row that is locked: which version, the database's time, and how late it is, in seconds."""

    id: int
    changed_at: datetime
    now: datetime
    late: float


class _Left(NamedTuple):
    """A version of a row that is left alone, until a time of the monotonic clock."""

    changed_at: datetime
    until: float


class Sender:
    """Sends what is due in one database, on Django's connection of this thread.

    It remembers what it could not send, so that one broken schedule stops no other.
    """

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._left: dict[int, _Left] = {}

    def send_one(self) -> bool:
        """Look at one schedule that is due, and send it if its tick has come; False: none is.

        Raises OperationalError or InterfaceError if the database is gone, or had to refuse.
        """
        taken: _Taken | None = None
        try:
            with transaction.atomic(using=self._alias):
                taken = self._take()
                if taken is None:
                    return False
                told = self._advance(taken)
        except (InterfaceError, OperationalError):
            if taken is not None:
                # Perhaps it is to blame: the others first.
                self._leave(taken, AFTER_REFUSAL)
            raise
        except Exception as error:
            if taken is None:
                raise
            self._failed(taken, error)
        else:
            if told is not None:
                logger.info("Sent %s[%s] of the schedule %s", *told)
        return True

    def next_due(self) -> float | None:
        """Seconds until somebody has to look again, negative if it is late; None for never."""
        with connections[self._alias].cursor() as cursor:
            cursor.execute(NEXT_DUE, self._parameters())
            found = cursor.fetchone()
        again = min((left.until for left in self._left.values()), default=None)
        waits = [] if again is None else [again - time.monotonic()]
        if found is not None:
            waits.append(found[0])
        return min(waits, default=None)

    def _take(self) -> _Taken | None:
        with connections[self._alias].cursor() as cursor:
            cursor.execute(TAKE, self._parameters())
            found = cursor.fetchone()
            if found is None:
                return None
            cursor.execute(_PATIENCE)
        return _Taken(*found)

    def _parameters(self) -> dict[str, Any]:
        now = time.monotonic()
        self._left = {id: left for id, left in self._left.items() if left.until > now}
        return {
            "left": list(self._left),
            "changed": [left.changed_at for left in self._left.values()],
        }

    def _advance(self, taken: _Taken) -> tuple[str, UUID, str] | None:
        """Send it if its tick has come, and plan the next; what was sent as which task."""
        from djtasks.models import PeriodicTask

        row = PeriodicTask.objects.using(self._alias).get(pk=taken.id)
        now = _aware(taken.now)
        due = row.next_run_at if row.planned else None
        step = rule_of(row).step(
            None if due is None else _aware(due), now, conf.BEAT_CRON_STARTING_DEADLINE
        )
        task_id = None if step.tick is None else _send(row, step.tick, self._alias)
        with connections[self._alias].cursor() as cursor:
            cursor.execute(
                ADVANCE,
                {
                    "id": row.pk,
                    "next": step.next,
                    "ran": now if task_id else None,
                    "task_id": task_id,
                },
            )
        return None if task_id is None else (row.task, task_id, row.name)

    def _failed(self, taken: _Taken, error: Exception) -> None:
        """Keep a schedule that cannot be sent from being tried again and again; say it once."""
        if isinstance(error, UnknownTaskError) and taken.late < OTHERS_FIRST:
            # While versions change, others know it: they are sending it now.
            self._leave(taken, OTHERS_FIRST - taken.late)
            return
        self._leave(taken, AGAIN_AFTER)
        text = _said(error)
        with connections[self._alias].cursor() as cursor:
            cursor.execute(NOTE_ERROR, {"id": taken.id, "changed": taken.changed_at, "error": text})
            news = cursor.fetchone()
        if news is not None:
            expected = isinstance(error, (CannotSendError, ValueError))
            logger.error(
                "The schedule %s cannot be sent: %s",
                news[0],
                text,
                exc_info=None if expected else error,
            )

    def _leave(self, taken: _Taken, seconds: float) -> None:
        self._left[taken.id] = _Left(taken.changed_at, time.monotonic() + seconds)


def run_now(row: PeriodicTask, *, using: str | None = None) -> UUID:
    """Send a schedule's task once, now, whatever its schedule says; returns the task's id.

    Its ticks go on as they would have. Raises :class:`CannotSendError` if it cannot be sent, and
    what the database raises.
    """
    alias = using or conf.DATABASE
    try:
        with transaction.atomic(using=alias):
            task_id = _send(row, None, alias)
            with connections[alias].cursor() as cursor:
                cursor.execute(NOTE_RUN, {"id": row.pk, "task_id": task_id})
    except (InterfaceError, OperationalError, CannotSendError):
        raise
    except Exception as error:
        raise CannotSendError(_said(error)) from error
    return task_id


def rule_of(row: PeriodicTask) -> Rule:
    """What decides when it runs. Raises ScheduleError if its schedule cannot be read."""
    return Rule(
        from_json(row.schedule),
        _aware(row.since),
        None if row.start_time is None else _aware(row.start_time),
        None if row.end_time is None else _aware(row.end_time),
        row.one_off,
    )


def _send(row: PeriodicTask, tick: datetime | None, alias: str) -> UUID:
    """Call its task as anybody would, in the transaction that is open."""
    check_call(row.task, row.args, row.kwargs)
    for name in ("headers", "options"):
        check_mapping(name, getattr(row, name))
    args, kwargs = decode_call(json.dumps([row.args, row.kwargs]))
    options = options_of(row.call_options())
    for link in ("link", "link_error"):
        if link in options:
            options[link] = [signature(each) for each in options[link]]
    options["headers"] = {**row.headers, NAME_HEADER: row.name}
    if tick is not None:
        options["headers"][DUE_HEADER] = tick.isoformat()
    with _into(alias):
        result = registry[row.task].apply_async(args, kwargs, **options, enqueue="transaction")
    return to_uuid(result.id)[0]


@contextmanager
def _into(alias: str) -> Iterator[None]:
    """Have calls write their messages into this database, whatever the setting says."""
    if alias == conf.DATABASE:
        yield
        return
    rows: list[Row] = []
    with collecting(rows.extend):
        yield
    enqueue(rows, mode="transaction", using=alias)


def _said(error: Exception) -> str:
    text = str(error) if isinstance(error, CannotSendError) else f"{type(error).__name__}: {error}"
    return storable(text)[:LONGEST_ERROR]


def _aware(moment: datetime) -> datetime:
    # The database's are naive where USE_TZ is off.
    if timezone.is_aware(moment):
        return moment
    return timezone.make_aware(moment, timezone.get_default_timezone())
