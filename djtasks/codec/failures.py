"""Exceptions as JSON text, and back as their own class where that is safe.

Stored is what Celery stores: the name of the class, of its module, and its arguments. A class is
only looked up in modules that are imported already, and only called if it is an exception: a row
must not be able to load or call anything else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from djtasks.codec.text import storable
from djtasks.codec.values import CannotEncode, dumps, loads, tagged
from djtasks.conf import conf
from djtasks.exceptions import DecodeError, SecurityError

__all__ = ["decode_exception", "encode_exception"]

#: How much of each argument is kept where all of them exceed the setting MAX_PAYLOAD.
_SHORTENED = 1000


def encode_exception(exc: BaseException) -> str:
    """Return ``exc`` as JSON text. Never fails.

    An argument that cannot be stored is replaced by its ``repr()``, and so is a model instance:
    it may be gone, or rolled back, when somebody looks.
    """
    cls = type(exc)
    try:
        arguments = list(exc.args)
    except Exception as error:
        arguments = [f"<args raised {_text_of(error)}>"]
    stored = {
        "exc_type": storable(cls.__qualname__),
        "exc_message": [_stored_argument(argument) for argument in arguments],
        "exc_module": storable(cls.__module__),
    }
    text = dumps(stored)
    if len(text) > conf.MAX_PAYLOAD // 4:  # in characters, of which each has up to four bytes
        stored["exc_message"] = [_shortened(argument) for argument in arguments[:10]]
        text = dumps(stored)
    return text


def _stored_argument(argument: Any) -> Any:
    if isinstance(argument, str):
        return storable(argument)
    if hasattr(type(argument), "_meta"):
        return _text_of(argument)
    try:
        return tagged(argument)
    except (CannotEncode, RecursionError):
        return _text_of(argument)


def _shortened(argument: Any) -> str:
    text = storable(argument) if isinstance(argument, str) else _text_of(argument)
    return text if len(text) <= _SHORTENED else f"{text[:_SHORTENED]}… ({len(text)} characters)"


def _text_of(value: Any) -> str:
    try:
        return storable(repr(value))
    except Exception as error:
        return f"<{type(value).__qualname__} whose repr() raised {type(error).__qualname__}>"


def decode_exception(text: str) -> BaseException:
    """Return the exception that ``encode_exception()`` wrote.

    Its class is its own where its module is imported in this process. Otherwise it is a new
    subclass of ``Exception`` with that name. Where the class cannot be called with the stored
    arguments it is an ``Exception`` that says so.

    Raises:
        DecodeError: ``text`` describes no exception.
        SecurityError: it names something that is not an exception class.
    """
    try:
        stored = loads(text)
    except DecodeError:
        # An argument that cannot be read here must not hide the exception itself.
        stored = _without_tags(text)
    if not isinstance(stored, dict) or not isinstance(stored.get("exc_type"), str):
        raise DecodeError(f"Stored data describes no exception: {text[:200]!r}.")
    name, module = stored["exc_type"], stored.get("exc_module")
    message = stored.get("exc_message", "")
    cls = _find(module, name.split(".")) if isinstance(module, str) else None
    if cls is None:
        cls = type(name, (Exception,), {"__module__": "djtasks.exceptions"})
    if not isinstance(cls, type) or not issubclass(cls, BaseException):
        path = name if module is None else f"{module}.{name}"
        raise SecurityError(f"Expected an exception class, got {path} with payload {message}")
    try:
        return cls(*message) if isinstance(message, list | tuple) else cls(message)
    except Exception:
        return Exception(f"{cls}({message})")


def _without_tags(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"Stored data is not valid JSON: {error}.") from error


def _find(module_name: str, names: Iterable[str]) -> Any:
    # Only what stands in the module or class itself: a module's __getattr__ may import things.
    found: Any = sys.modules.get(module_name)
    for name in names:
        found = None if found is None else getattr(found, "__dict__", {}).get(name)
    return found
