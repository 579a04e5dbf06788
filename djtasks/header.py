"""The check of a call's arguments against the task's signature, with Python's own messages."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

_MARKERS: dict[object, str] = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}


def header_of(function: Callable[..., Any], bound: bool) -> Callable[..., None]:
    """A function with the parameters of ``function`` that does nothing when it is called.

    Calling it costs what a call costs, and raises the very :class:`TypeError` that ``function``
    would. With ``bound`` it is called without the first parameter, the task itself.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:
        # Some callables written in C tell nothing of their parameters: the worker will see.
        return _anything
    namespace: dict[str, Any] = {}
    exec(f"def header({_source(parameters)}): pass", {}, namespace)
    header: Callable[..., None] = namespace["header"]
    header.__qualname__ = getattr(function, "__qualname__", type(function).__qualname__)
    return partial(header, None) if bound else header


def _anything(*args: Any, **kwargs: Any) -> None:
    pass


def _source(parameters: list[inspect.Parameter]) -> str:
    """Parameters as Python source; every default is None, for only its presence counts."""
    parts: list[str] = []
    kinds = [parameter.kind for parameter in parameters]
    for index, parameter in enumerate(parameters):
        if (
            parameter.kind is inspect.Parameter.KEYWORD_ONLY
            and inspect.Parameter.VAR_POSITIONAL not in kinds
            and inspect.Parameter.KEYWORD_ONLY not in kinds[:index]
        ):
            parts.append("*")
        default = "" if parameter.default is inspect.Parameter.empty else "=None"
        parts.append(f"{_MARKERS.get(parameter.kind, '')}{parameter.name}{default}")
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY and (
            inspect.Parameter.POSITIONAL_ONLY not in kinds[index + 1 :]
        ):
            parts.append("/")
    return ", ".join(parts)
