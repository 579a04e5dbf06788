"""Keys of calls: a text made of a call's arguments, by a template or a function of the project."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from djtasks.codec import storable
from djtasks.key_making import bound, called, check_template, filled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from djtasks.task import Task

LONGEST = 200
"""Characters of a key that are kept as they are; of a longer one the end becomes a digest."""


class Key:
    """How an option of a task makes keys: a text with ``{arguments}``, or a function of them.

    Raises :class:`TypeError` for a template that names what the task has not.
    """

    def __init__(
        self, task: Task[..., Any], option: str, template: str | Callable[..., str]
    ) -> None:
        self._where = f"Task {task.name}: the {option}"
        self._task = task
        self._template = template
        if isinstance(template, str):
            check_template(self._where, template, task)

    def of(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """The key of a call with these arguments.

        Raises :class:`TypeError` or :class:`ValueError` naming the option if there is none.
        """
        if callable(self._template):
            key = called(self._where, self._template, args, kwargs)
        elif not {"{", "}"} & set(self._template):
            key = self._template
        else:
            arguments = bound(self._where, self._task, args, kwargs)
            key = filled(self._where, self._template, arguments)
        return shortened(storable(key))

    def ahead(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
        """The key of a call whose first argument, the result of another task, is still to come.

        None if the key may depend on that, or cannot be told.
        """
        if callable(self._template):
            return None
        try:
            return self.of((_ToCome(), *args), kwargs)
        except (TypeError, ValueError):
            return None


class _ToCome:
    """An argument that nobody knows yet: to be made a text is an error."""

    def __format__(self, spec: str) -> str:
        raise LookupError("it is still to come")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError("it is still to come")

    def __repr__(self) -> str:
        raise LookupError("it is still to come")

    __str__ = __repr__


def shortened(key: str) -> str:
    """A key of bounded length: what is too long ends in a digest of all of it."""
    if len(key) <= LONGEST:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"{key[: LONGEST - len(digest) - 1]}~{digest}"
