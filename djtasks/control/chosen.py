"""Which workers a command of Celery's remote control is for."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from typing import Final

from djtasks.control.asking import Asked, fleet

Destination = str | Iterable[str] | None

MATCHERS: Final = ("glob", "pcre")


def chosen(
    destination: Destination = None,
    pattern: str | None = None,
    matcher: str | None = None,
    *,
    using: str | None = None,
) -> tuple[list[Asked], tuple[str, ...]]:
    """The workers that are meant, and the names among ``destination`` that no worker has.

    ``pattern`` is one of a shell, or with ``matcher="pcre"`` a regular expression. Raises
    :class:`ValueError` for another matcher and for an expression that is none.
    """
    if matcher is not None and matcher not in MATCHERS:
        raise ValueError(f"matcher must be one of {', '.join(MATCHERS)}, not {matcher!r}.")
    workers = fleet(using=using)
    unknown: tuple[str, ...] = ()
    if destination is not None:
        wanted = names(destination)
        known = {worker.name for worker in workers}
        unknown = tuple(name for name in wanted if name not in known)
        workers = [worker for worker in workers if worker.name in wanted]
    if pattern is not None:
        expression = pattern if matcher == "pcre" else fnmatch.translate(pattern)
        try:
            matches = re.compile(expression).match
        except re.error as error:
            raise ValueError(f"pattern {pattern!r} is no regular expression: {error}") from error
        workers = [worker for worker in workers if matches(worker.name)]
    return workers, unknown


def names(destination: str | Iterable[str]) -> list[str]:
    """The names of workers as a list, also where there is one."""
    return [destination] if isinstance(destination, str) else list(destination)
