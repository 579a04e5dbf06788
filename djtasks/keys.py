"""Keys of calls: a text made of a call's arguments, by a template or a function of the project."""

from __future__ import annotations

import hashlib
import inspect
from string import Formatter
from typing import TYPE_CHECKING, Any

from djtasks.codec import storable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LONGEST = 200
"""Characters of a key that are kept as they are; of a longer one the end becomes a digest."""


class Key:
    """How the key of a call is made: ``template`` is a text with ``{arguments}``, or a function.

    ``task`` and ``option`` name it in errors; ``function`` is called with the arguments: they are
    bound to its parameters.

    Raises :class:`TypeError` for a template that names what the task has not.
    """

    def __init__(
        self,
        task: str,
        option: str,
        template: str | Callable[..., str],
        function: Callable[..., Any],
    ) -> None:
        self._where = f"Task {task}: {option}"
        self._template = template
        self._signature = _signature(function)
        if isinstance(template, str):
            self._check(template)

    def of(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """The key of a call with these arguments.

        Raises :class:`TypeError` or :class:`ValueError` naming the option if there is none.
        """
        if callable(self._template):
            try:
                key = self._template(*args, **kwargs)
            except Exception as error:
                raise ValueError(
                    f"{self._where} raised {type(error).__qualname__}: {error}"
                ) from error
            if type(key) is not str or not key:
                raise TypeError(f"{self._where} must return a non-empty text, not {key!r}.")
        elif "{" not in self._template:
            key = self._template
        else:
            try:
                key = Formatter().vformat(self._template, (), self._bind(args, kwargs))
            except (LookupError, AttributeError, ValueError, TypeError) as error:
                raise ValueError(
                    f"{self._where} {self._template!r} cannot be filled in: "
                    f"{type(error).__qualname__}: {error}"
                ) from error
        return shortened(storable(key))

    def ahead(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
        """The key of a call whose first argument, the result of another task, is still to come.

        None if the key may depend on that, or cannot be told.
        """
        if callable(self._template):
            return None
        try:
            return self.of((_ToCome(), *args), kwargs)
        except ValueError:
            return None

    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        if self._signature is None:
            return dict(kwargs)
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        found = dict(bound.arguments)
        for name, parameter in self._signature.parameters.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                found.update(found.pop(name))
        return found

    def _check(self, template: str) -> None:
        if not template:
            raise TypeError(f"{self._where} must not be empty.")
        try:
            names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
        except ValueError as error:
            raise TypeError(f"{self._where} {template!r} is no template: {error}.") from None
        if self._signature is None:
            return
        parameters = self._signature.parameters.values()
        if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
            return
        known = [parameter.name for parameter in parameters]
        for name in names:
            first = name.partition(".")[0].partition("[")[0]
            if first not in known:
                has = ", ".join(known) if known else "none"
                raise TypeError(
                    f"{self._where} {template!r} names {first or 'a place without a name'!r}, "
                    f"which is no argument of the task. It has: {has}."
                )


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


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except ValueError:
        # Some callables written in C tell nothing of their parameters.
        return None
