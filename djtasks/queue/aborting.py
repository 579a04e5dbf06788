"""Asking tasks to abort by themselves, and how they find out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import connections

from djtasks.conf import conf
from djtasks.queue.sql import load
from djtasks.queue.state import ABORTED
from djtasks.states import REVOKED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

ABORT = load("abort")

_REQUESTED: Final = "SELECT abort FROM djtasks_message WHERE id = %s"


def request_abort(
    ids: Sequence[UUID], *, revoke: bool, running: bool = False, using: str | None = None
) -> set[UUID]:
    """Ask these tasks to abort; returns the ids of those that have not ended.

    With ``revoke`` those that heed it end as REVOKED, otherwise as they like. ``running``: only
    those that a worker has claimed.
    """
    with connections[using or conf.DATABASE].cursor() as cursor:
        cursor.execute(
            ABORT,
            {"ids": sorted(ids), "abort": REVOKED if revoke else ABORTED, "running": running},
        )
        return {id for (id,) in cursor.fetchall()}


def requested(id: UUID, *, using: str | None = None) -> str | None:
    """What a task is asked to end as, REVOKED or ABORTED; None if it may go on."""
    with connections[using or conf.DATABASE].cursor() as cursor:
        cursor.execute(_REQUESTED, (id,))
        row = cursor.fetchone()
    return None if row is None else row[0]
