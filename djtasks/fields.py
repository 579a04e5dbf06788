"""A column that Django itself only has with ``django.contrib.postgres`` installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    _TextsField = models.Field[list[str] | None, list[str] | None]
else:
    _TextsField = models.Field


class TextArrayField(_TextsField):
    """A list of texts in a ``text[]`` column; psycopg converts it by itself."""

    description = "List of texts"

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        """The column's type."""
        return "text[]"

    def value_to_string(self, obj: models.Model) -> str:
        """The names, separated by commas, for serialisers."""
        return ",".join(self.value_from_object(obj) or ())

    def to_python(self, value: Any) -> list[str] | None:
        """A list, also from what :meth:`value_to_string` gives."""
        if isinstance(value, str):
            return value.split(",") if value else []
        return None if value is None else list(value)
