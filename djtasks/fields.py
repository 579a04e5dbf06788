"""Columns that Django itself has not, or only with ``django.contrib.postgres`` installed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    _TextsField = models.Field[list[str] | None, list[str] | None]
    _NumbersField = models.Field[list[int] | None, list[int] | None]
else:
    _TextsField = _NumbersField = models.Field


class _ArrayColumn:
    """What the fields share: psycopg converts the lists by itself, serialisers get JSON."""

    column_type: str

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        """The column's type."""
        return self.column_type

    def value_to_string(self, obj: models.Model) -> str:
        """The list as JSON, for serialisers."""
        return json.dumps(self.value_from_object(obj))  # type: ignore[attr-defined]

    def to_python(self, value: Any) -> Any:
        """A list, also from what :meth:`value_to_string` gives."""
        if isinstance(value, str):
            value = json.loads(value)
        return None if value is None else list(value)


class TextArrayField(_ArrayColumn, _TextsField):
    """A list of texts in a ``text[]`` column."""

    description = "List of texts"
    column_type = "text[]"


class IntegerArrayField(_ArrayColumn, _NumbersField):
    """A list of numbers in an ``int[]`` column."""

    description = "List of numbers"
    column_type = "int[]"


class TextualJSONField(models.JSONField):
    """JSON that the database keeps as it was written, not taken apart.

    For what is read whole: to write ``jsonb`` as text again costs several times as much as to read
    the row. PostgreSQL has no operators for it, so nothing can be looked up in it.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        """``json`` on PostgreSQL."""
        return "json" if connection.vendor == "postgresql" else super().db_type(connection)

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        """The value, which psycopg has parsed: Django has it do so for ``json`` only."""
        if connection.vendor == "postgresql":
            return value
        return super().from_db_value(value, expression, connection)
