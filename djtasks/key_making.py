"""Making a text of a call's arguments: by a template, or by a function of the project."""

from __future__ import annotations

import inspect
import re
from difflib import get_close_matches
from string import Formatter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from django.db.models import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from djtasks.task import Task


def filled(where: str, template: str, arguments: Mapping[str, Any]) -> str:
    """A template with these arguments in its places; ``where`` names it in errors.

    Raises :class:`ValueError` for what cannot be filled in.
    """
    try:
        return _Template().vformat(template, (), arguments)
    except KeyError as error:
        raise ValueError(
            f"{where} {template!r} needs {error.args[0]!r}, which this call does not give."
        ) from error
    except Exception as error:
        raise ValueError(
            f"{where} {template!r} cannot be made of these arguments: "
            f"{type(error).__name__}: {error}"
        ) from error


def called(
    where: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> str:
    """What a function makes of the arguments of a call.

    Raises :class:`ValueError` if it raises, :class:`TypeError` if that is no text or an empty one.
    """
    try:
        key = function(*args, **kwargs)
    except Exception as error:
        raise ValueError(
            f"{where}, a function, raised {type(error).__qualname__}: {error}"
        ) from error
    if not isinstance(key, str) or not key:
        raise TypeError(f"{where}, a function, must return a non-empty text, not {key!r}.")
    return key


def check_template(where: str, template: str, task: Task[..., Any] | type[Task[..., Any]]) -> None:
    """Raise :class:`TypeError` for a template that cannot be filled by arguments of a task."""
    try:
        names = list(_names(template))
    except ValueError as error:
        raise TypeError(
            f"{where} {template!r} is no template: {error}. Braces that are meant as such are "
            f"written twice."
        ) from None
    signature = signature_of(task)
    if signature is None:
        return
    known = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    takes_any = len(known) < len(signature.parameters)
    for name in names:
        if not name or name.isdigit():
            raise TypeError(
                f"{where} {template!r} must name the arguments that it is made of, as in "
                f"'{{{known[0] if known else 'account_id'}}}'."
            )
        if name not in known and not takes_any:
            close = get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise TypeError(
                f"{where} {template!r} names {name!r}, which is no argument of the task.{hint} It "
                f"takes: {', '.join(known) or 'none'}."
            )


def bound(
    where: str, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call by their names, with defaults; extra keyword arguments too.

    Raises :class:`TypeError` for arguments that the task does not take.
    """
    signature = signature_of(task)
    if signature is None:
        return {"args": list(args), **kwargs}
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{where} cannot be made: {error}.") from error
    bound.apply_defaults()
    arguments = dict(bound.arguments)
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            arguments.update(arguments.pop(parameter.name))
    return arguments


_signatures: WeakKeyDictionary[type, inspect.Signature | None] = WeakKeyDictionary()


def signature_of(task: Task[..., Any] | type[Task[..., Any]]) -> inspect.Signature | None:
    """The signature of a task's body, without the task; None if it is not known."""
    cls = task if isinstance(task, type) else type(task)
    if cls not in _signatures:
        # To make it takes longer than to use it.
        _signatures[cls] = _made_signature(inspect.getattr_static(cls, "run"))
    return _signatures[cls]


def _made_signature(body: Any) -> inspect.Signature | None:
    try:
        if isinstance(body, staticmethod):
            return inspect.signature(body.__func__)
        signature = inspect.signature(body)
    except ValueError:
        # Some callables written in C tell nothing of their parameters.
        return None
    return signature.replace(parameters=list(signature.parameters.values())[1:])


class _Template(Formatter):
    """``str.format`` by names, in which a model instance is its primary key."""

    def format_field(self, value: Any, format_spec: str) -> Any:
        return super().format_field(value.pk if isinstance(value, Model) else value, format_spec)


def _names(template: str) -> Iterator[str]:
    """The names that a template begins its fields with."""
    for _, field, spec, _ in Formatter().parse(template):
        if field is not None:
            yield re.split(r"[.\[]", field, maxsplit=1)[0]
            yield from _names(spec or "")
