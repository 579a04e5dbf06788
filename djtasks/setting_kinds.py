"""What a setting accepts.

Each function returns words that end the sentence "NAME must be …", and a function that turns what
a user wrote into what the code gets, or raises ``ValueError`` with those words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

T = TypeVar("T")

Accepts: TypeAlias = tuple[str, Callable[[Any], T]]


def boolean() -> Accepts[bool]:
    """True or False, and nothing that is only like it."""
    words = "True or False"

    def clean(value: Any) -> bool:
        if isinstance(value, bool):
            return value
        raise ValueError(words)

    return words, clean


def _number(value: Any, words: str) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(words)
    return value


def seconds(*, positive: bool = False) -> Accepts[float]:
    """A duration: a finite number of seconds, or a timedelta, which becomes one."""
    words = f"a number of seconds or a timedelta, {'more than 0' if positive else '0 or more'}"

    def clean(value: Any) -> float:
        number = _number(value, words)
        if number < 0 or (positive and number == 0):
            raise ValueError(words)
        return number

    return words, clean


def integer(minimum: int, maximum: int, unit: str = "") -> Accepts[int]:
    """A whole number between two limits, both included."""
    words = f"a whole number{unit} from {minimum} to {maximum}"

    def clean(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(words)
        if not minimum <= value <= maximum:
            raise ValueError(words)
        return value

    return words, clean


def rate() -> Accepts[str | float]:
    """A rate as Celery writes it; 0 is no limit."""
    words = 'a rate such as "100/m", "10/s" or "5/h", or a number of tasks a second'

    def clean(value: Any) -> str | float:
        # It imports the codec, which reads the settings.
        from djtasks.lanes import rate_of

        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(words)
        try:
            rate_of(value)
        except ValueError:
            raise ValueError(words) from None
        return value

    return words, clean


def text() -> Accepts[str]:
    """A text that is not empty."""
    words = "a text that is not empty"

    def clean(value: Any) -> str:
        if isinstance(value, str) and value:
            return value
        raise ValueError(words)

    return words, clean


def choice(*choices: str) -> Accepts[str]:
    """One of a few texts."""
    words = " or ".join(f'"{choice}"' for choice in choices)

    def clean(value: Any) -> str:
        if isinstance(value, str) and value in choices:
            return value
        raise ValueError(words)

    return words, clean


def optional(accepts: Accepts[T]) -> Accepts[T | None]:
    """What ``accepts`` does, and None."""
    words, clean_value = f"None or {accepts[0]}", accepts[1]

    def clean(value: Any) -> T | None:
        if value is None:
            return None
        try:
            return clean_value(value)
        except ValueError:
            raise ValueError(words) from None

    return words, clean


def names(of: str) -> Accepts[tuple[str, ...]]:
    """A list or tuple of texts, which becomes a tuple."""
    words = f"a list or tuple of {of}"

    def clean(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list | tuple | set | frozenset):
            raise ValueError(words)
        if not all(isinstance(name, str) and name for name in value):
            raise ValueError(words)
        return tuple(value)

    return words, clean


def any_of(words: str, kinds: tuple[type, ...], *methods: str) -> Accepts[Any]:
    """None, an instance of one of ``kinds``, or an object with one of ``methods``."""

    def clean(value: Any) -> Any:
        if value is None or isinstance(value, kinds) or any(hasattr(value, m) for m in methods):
            return value
        raise ValueError(words)

    return words, clean


def mapping(words: str) -> Accepts[Mapping[str, Any]]:
    """A dict; what it may contain is checked by whoever reads it."""

    def clean(value: Any) -> Mapping[str, Any]:
        if isinstance(value, Mapping):
            return value
        raise ValueError(words)

    return words, clean


def expiry() -> Accepts[float | None]:
    """A duration or None; both None and 0 become None, as in Celery's ``result_expires``."""
    words = "None or a number of seconds or a timedelta, 0 or more; None and 0 mean never"

    def clean(value: Any) -> float | None:
        if value is None:
            return None
        number = _number(value, words)
        if number < 0:
            raise ValueError(words)
        return number or None

    return words, clean


def concurrency() -> Accepts[int | None]:
    """A number of processes or threads; None and Celery's "auto" become None."""
    words = 'None, "auto" or a whole number from 1 to 1024'

    def clean(value: Any) -> int | None:
        if value is None or value == "auto":
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1024:
            raise ValueError(words)
        return value

    return words, clean


def time_zone() -> Accepts[str | None]:
    """The name of a time zone, or None."""
    words = 'None or the name of a time zone, such as "Europe/Berlin"'

    def clean(value: Any) -> str | None:
        if value is None:
            return None
        try:
            return ZoneInfo(value).key
        except (KeyError, TypeError, ValueError, OSError):
            raise ValueError(words) from None

    return words, clean
