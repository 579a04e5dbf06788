"""Lists as the texts of PostgreSQL arrays: psycopg's conversion costs more than the statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def numbers(values: Iterable[int]) -> str:
    """The text of an array of whole numbers."""
    return f"{{{','.join(map(str, values))}}}"


def texts(values: Iterable[str]) -> str:
    """The text of an array of texts, or of anything that is written without a NULL."""
    return "{" + ",".join([_quoted(value) for value in values]) + "}"


def nullable_numbers(values: Iterable[float | None]) -> str:
    """The text of an array of numbers, some of which may be NULL."""
    return f"{{{','.join('NULL' if value is None else str(value) for value in values)}}}"


def nullable_texts(values: Iterable[str | None]) -> str:
    """The text of an array of texts, some of which may be NULL."""
    return f"{{{','.join('NULL' if value is None else _quoted(value) for value in values)}}}"


def _quoted(value: str) -> str:
    if '"' in value or "\\" in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'
