"""Groups whose results are saved, to be found again by the group's id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connections

from djtasks.conf import conf

if TYPE_CHECKING:
    from uuid import UUID

_SAVE = """
INSERT INTO djtasks_savedgroup (id, custom_id, results) VALUES (%s, %s, %s)
ON CONFLICT (id) DO UPDATE SET results = excluded.results, saved_at = now()
"""


def save(id: UUID, results: str, *, custom_id: str | None = None, using: str | None = None) -> None:
    """Keep a group's results, a JSON text; what was saved under that id before is replaced."""
    with connections[using or conf.DATABASE].cursor() as cursor:
        cursor.execute(_SAVE, (id, custom_id, results))


def read(id: UUID, *, using: str | None = None) -> str | None:
    """The results that were saved under this id, as JSON text, or None."""
    with connections[using or conf.DATABASE].cursor() as cursor:
        cursor.execute("SELECT results FROM djtasks_savedgroup WHERE id = %s", (id,))
        row = cursor.fetchone()
    return None if row is None else str(row[0])


def delete(id: UUID, *, using: str | None = None) -> bool:
    """Delete what was saved under this id; returns whether there was anything."""
    with connections[using or conf.DATABASE].cursor() as cursor:
        cursor.execute("DELETE FROM djtasks_savedgroup WHERE id = %s", (id,))
        return bool(cursor.rowcount)
