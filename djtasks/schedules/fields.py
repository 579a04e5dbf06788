"""The fields of a crontab: from what the user writes to the numbers that match.

The language is that of Celery's ``crontab_parser``: ``*``, numbers, names, ranges that may wrap
around the end (``fri-mon``, ``22-2``), steps after ``*`` or a range, and commas. What Celery
accepts only because it does not look is refused: rest after a valid part (``1-5-7``, ``mon#1``), an
empty iterable, names in fields that have none or others (``day_of_week="mar"``, which it takes for
Wednesday). Beyond Celery, iterables may contain texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from djtasks.exceptions import ScheduleError

__all__ = ["DAY_OF_MONTH", "DAY_OF_WEEK", "FIELDS", "HOUR", "MINUTE", "MONTH", "Cronspec", "Field"]

Cronspec = int | str | Iterable[int | str]
"""What a field of a crontab can be given as."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a crontab: its argument, its least and greatest number, the names of numbers."""

    name: str
    first: int
    last: int
    names: Mapping[str, int] = field(default_factory=dict)

    @property
    def every(self) -> frozenset[int]:
        """All that it can be."""
        return frozenset(range(self.first, self.last + 1))

    def read(self, given: object) -> tuple[str, frozenset[int]]:
        """What a user gave, as a text that means the same, and the numbers that it stands for.

        Raises:
            ScheduleError: it means nothing; the text says what to write instead.
        """
        if isinstance(given, str):
            text = given.strip()
            return text, self._of_text(text)
        if isinstance(given, int) and not isinstance(given, bool):
            return str(given), frozenset({self._checked(given)})
        if not isinstance(given, Iterable):
            raise self._error(given, "give a whole number, a text or an iterable of these")
        numbers: set[int] = set()
        for item in given:
            if not isinstance(item, (str, int)):
                raise self._error(item, "an iterable must contain whole numbers or texts")
            numbers |= self.read(item)[1]
        if not numbers:
            raise self._error(given, "an empty iterable never matches; '*' matches always")
        return ",".join(map(str, sorted(numbers))), frozenset(numbers)

    def _of_text(self, text: str) -> frozenset[int]:
        numbers: set[int] = set()
        for part in text.split(","):
            numbers.update(self._of_part(text, part.strip()))
        return frozenset(numbers)

    def _of_part(self, text: str, part: str) -> list[int]:
        found = _PART.fullmatch(part)
        if found is None:
            raise self._error(text, f"{part!r} is none of {self._examples()}")
        if found["star"]:
            numbers = list(range(self.first, self.last + 1))
        else:
            low = self._number(text, found["low"])
            high = low if found["high"] is None else self._number(text, found["high"])
            numbers = list(range(low, high + 1))
            if high < low:
                numbers = [*range(low, self.last + 1), *range(self.first, high + 1)]
        if found["step"] is None:
            return numbers
        if not found["star"] and found["high"] is None:
            raise self._error(
                text, f"steps need a range: {found['low']}-{self.last}/{found['step']}"
            )
        step = int(found["step"])
        if step == 0:
            raise self._error(text, "a step must be 1 or more")
        return numbers[::step]

    def _number(self, text: str, word: str) -> int:
        if word.isdecimal():
            return self._checked(int(word), text)
        # As in Celery three letters tell what is meant: mon, Monday.
        number = self.names.get(word[:3].lower())
        if number is None:
            raise self._error(text, f"{word!r} is none of {self._examples()}")
        return number

    def _checked(self, number: int, text: object = None) -> int:
        if self.first <= number <= self.last:
            return number
        hint = "; Sunday is 0" if self is DAY_OF_WEEK and number == 7 else ""
        raise self._error(
            number if text is None else text,
            f"{number} is not within {self.first} and {self.last}{hint}",
        )

    def _examples(self) -> str:
        names = f", names ({', '.join(self.names)})" if self.names else ""
        return (
            f"'*', numbers ({self.first} to {self.last}){names}, ranges (2-5), and steps "
            "(*/2, 2-5/2)"
        )

    def _error(self, given: object, reason: str) -> ScheduleError:
        return ScheduleError(f"crontab({self.name}={given!r}): {reason}.")


_PART: Final = re.compile(
    r"(?:(?P<star>\*)|(?P<low>[0-9]+|[A-Za-z]{3,})(?:-(?P<high>[0-9]+|[A-Za-z]{3,}))?)"
    r"(?:/(?P<step>[0-9]+))?"
)

_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

MINUTE: Final = Field("minute", 0, 59)
HOUR: Final = Field("hour", 0, 23)
DAY_OF_WEEK: Final = Field("day_of_week", 0, 6, {name: i for i, name in enumerate(_DAYS)})
DAY_OF_MONTH: Final = Field("day_of_month", 1, 31)
MONTH: Final = Field("month_of_year", 1, 12, {name: i for i, name in enumerate(_MONTHS, 1)})

FIELDS: Final = (MINUTE, HOUR, DAY_OF_WEEK, DAY_OF_MONTH, MONTH)
"""In the order of Celery's arguments, which is not that of a crontab's line."""
