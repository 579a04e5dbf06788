"""The types beyond JSON: a tag for each, how to write it and how to read it.

A writer returns what is to be stored: JSON-able, or made of other types that have a tag. It gets
only the value; the walk over what it returns is the caller's.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from typing import Any, Final, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db.utils import Error as DatabaseError
from django.utils.functional import Promise
from django.utils.module_loading import import_string

from djtasks.codec.instances import read_instance, write_instance
from djtasks.conf import conf
from djtasks.exceptions import DecodeError, EncodeError, ImproperlyConfigured

__all__ = ["TAG", "find_writer", "load_registered_codecs", "read", "register_type"]

T = TypeVar("T")

#: The key that marks a dict in stored JSON as a value of another type.
TAG: Final = "__djtasks__"

Writer = Callable[[Any], Any]
Reader = Callable[[Any], Any]


# -- times ----------------------------------------------------------------------------------------


def _zone_name(zone: tzinfo | None) -> str | None:
    return zone.key if isinstance(zone, ZoneInfo) else None


def _write_datetime(value: datetime) -> Any:
    name = _zone_name(value.tzinfo)
    if name is None and not value.fold:
        return value.isoformat()
    return [value.isoformat(), name, value.fold]


def _read_datetime(stored: Any) -> datetime:
    if isinstance(stored, str):
        return datetime.fromisoformat(stored)
    text, name, fold = stored
    value = datetime.fromisoformat(text)
    if name is None:
        return value.replace(fold=fold)
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return value  # the instant is right, and that is all that can be known here
    same_wall_clock = value.replace(tzinfo=zone, fold=fold)
    if same_wall_clock.utcoffset() == value.utcoffset():
        return same_wall_clock
    return value.astimezone(zone)  # the zone's rules are others here: keep the instant


def _write_time(value: time) -> Any:
    name = _zone_name(value.tzinfo)
    if name is None and not value.fold:
        return value.isoformat()
    return [value.isoformat(), name, value.fold]


def _read_time(stored: Any) -> time:
    if isinstance(stored, str):
        return time.fromisoformat(stored)
    text, name, fold = stored
    value = time.fromisoformat(text).replace(fold=fold)
    return value if name is None else value.replace(tzinfo=ZoneInfo(name))


# -- enumerations ---------------------------------------------------------------------------------


def _find_enum(module_name: str, qualified_name: str) -> type[Enum] | None:
    # Never an import: a row must not decide what code is loaded.
    module = sys.modules.get(module_name)
    found: Any = module
    for name in qualified_name.split("."):
        found = None if found is None else vars(found).get(name)
        if not isinstance(found, type):
            return None
    return found if issubclass(found, Enum) else None


def _write_enum(value: Enum) -> Any:
    cls = type(value)
    path = f"{cls.__module__}.{cls.__qualname__}"
    if cls.__module__ == "__main__" or _find_enum(cls.__module__, cls.__qualname__) is not cls:
        raise EncodeError(
            f"a member of {path}, which a worker cannot find: define the enumeration at the top "
            "of a module that can be imported, or pass its value"
        )
    if value.name in cls.__members__:
        return [cls.__module__, cls.__qualname__, value.name]
    return [cls.__module__, cls.__qualname__, None, value.value]  # a combination of flags


def _read_enum(stored: Any) -> Enum:
    module, qualified_name, member, *rest = stored
    cls = _find_enum(module, qualified_name)
    if cls is None:
        raise DecodeError(
            f"There is no enumeration {qualified_name!r} in a module {module!r} that is imported "
            "in this process: import it in the module of the task."
        )
    try:
        return cls(rest[0]) if member is None else cls[member]
    except (KeyError, ValueError):
        wanted = repr(rest[0]) if member is None else member
        raise DecodeError(f"{module}.{qualified_name} has no member {wanted} any more.") from None


# -- the rest -------------------------------------------------------------------------------------


def _read_dict(pairs: list[list[Any]]) -> dict[Any, Any]:
    return {key: value for key, value in pairs}  # noqa: C416 - also says what a bad pair is


def _write_bytes(value: bytes | bytearray | memoryview) -> str:
    return base64.b64encode(value).decode("ascii")


def _write_timedelta(value: timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


#: By class: the tag, and how to write a value. Without a tag, what is written stands by itself.
_WRITERS: dict[type, tuple[str | None, Writer]] = {
    datetime: ("datetime", _write_datetime),
    date: ("date", date.isoformat),
    time: ("time", _write_time),
    timedelta: ("timedelta", _write_timedelta),
    Decimal: ("decimal", str),
    UUID: ("uuid", str),
    bytes: ("bytes", _write_bytes),
    bytearray: ("bytearray", _write_bytes),
    memoryview: ("bytes", _write_bytes),
    set: ("set", list),
    frozenset: ("frozenset", list),
    Enum: ("enum", _write_enum),
    # The text in the language that is active now: a worker does not know the user's.
    Promise: (None, str),
}
_READERS: dict[str, Reader] = {
    "tuple": tuple,
    "dict": _read_dict,
    "datetime": _read_datetime,
    "date": date.fromisoformat,
    "time": _read_time,
    "timedelta": lambda stored: timedelta(*stored),
    "decimal": Decimal,
    "uuid": UUID,
    "bytes": base64.b64decode,
    "bytearray": lambda stored: bytearray(base64.b64decode(stored)),
    "set": set,
    "frozenset": frozenset,
    "enum": _read_enum,
    "model": read_instance,
}
_OWN_TAGS: Final = frozenset(_READERS)
#: Classes that users registered.
_registered: dict[type, str | None] = {}


def find_writer(cls: type) -> tuple[str | None, Writer] | None:
    """Return the tag and the writer for values of ``cls``, or None where there is none.

    What is registered for the nearest base class holds. An enumeration is one even where its
    members are texts or numbers too.
    """
    if issubclass(cls, Enum) and not any(base in _registered for base in cls.__mro__):
        return _WRITERS[Enum]
    for base in cls.__mro__:
        if base in _WRITERS:
            return _WRITERS[base]
    if hasattr(cls, "_meta"):
        from django.db.models import Model

        if issubclass(cls, Model):
            return "model", write_instance
    return None


def read(tag: Any, stored: Any) -> Any:
    """Return the value that was written as ``stored`` under ``tag``.

    Raises:
        DecodeError: the tag is unknown here, or ``stored`` is nothing that it can be read from.
    """
    reader = _READERS.get(tag) if isinstance(tag, str) else None
    if reader is None:
        raise DecodeError(
            f"The stored type {tag!r} is unknown in this process: call "
            "djtasks.codec.register_type() for it in every process (the setting "
            "REGISTERED_CODECS is a place for that)."
        )
    try:
        return reader(stored)
    except (DecodeError, DatabaseError):
        # Not the data's fault: a database that is away while an instance is fetched.
        raise
    except Exception as error:
        raise DecodeError(f"A stored {tag} cannot be read from {stored!r}: {error!r}.") from error


def register_type(
    cls: type[T],
    tag: str | None,
    encode: Callable[[T], Any],
    decode: Callable[[Any], T] | None = None,
) -> None:
    """Let values of ``cls`` and its subclasses be passed to tasks and returned by them.

    Call it at start, in every process that enqueues or runs such tasks: in ``AppConfig.ready()``,
    or in a function that the setting ``REGISTERED_CODECS`` names. ::

        register_type(Money, "money", lambda m: [m.amount, m.currency], lambda v: Money(*v))

    Args:
        cls: the class.
        tag: the name it is stored under. It has to stay the same as long as such values are
            stored. With ``None``, what ``encode`` returns is stored by itself and comes back as
            that.
        encode: gets a value, returns JSON or other types that can be stored.
        decode: gets what ``encode`` returned, returns the value. Not used without a tag.

    Raises:
        TypeError: ``cls`` is not a class, or ``decode`` is missing.
        ValueError: ``tag`` is one of djtasks' own or in use for another class, or ``cls`` is a
            type that JSON has itself.
    """
    if not isinstance(cls, type):
        raise TypeError(f"register_type() takes a class, not {cls!r}.")
    if cls in (str, int, float, bool, type(None), list, dict, tuple, object):
        raise ValueError(f"{cls.__qualname__} always is stored as it is: register another class.")
    if tag is not None:
        if decode is None:
            raise TypeError(f"register_type() needs a decode function for the tag {tag!r}.")
        taken = any(used == tag and other is not cls for other, used in _registered.items())
        if tag in _OWN_TAGS or taken:
            raise ValueError(f"The tag {tag!r} is in use for another type: choose another one.")
    former = _registered.get(cls)
    if former is not None:
        del _READERS[former]
    if tag is not None and decode is not None:
        _READERS[tag] = decode
    _replaced.setdefault(cls, _WRITERS.get(cls))
    _WRITERS[cls] = (tag, encode)
    _registered[cls] = tag


#: What djtasks itself does with a class that a user registered.
_replaced: dict[type, tuple[str | None, Writer] | None] = {}


def unregister_type(cls: type) -> None:
    """Undo ``register_type()`` for ``cls``; for tests.

    Raises:
        KeyError: the class is not registered.
    """
    tag = _registered.pop(cls)
    if tag is not None:
        del _READERS[tag]
    own = _replaced.pop(cls)
    if own is None:
        del _WRITERS[cls]
    else:
        _WRITERS[cls] = own


def load_registered_codecs() -> None:
    """Call every function of the setting ``REGISTERED_CODECS``; done once, at start.

    Raises:
        ImproperlyConfigured: one of them cannot be imported or called.
    """
    for path in conf.REGISTERED_CODECS:
        try:
            function = import_string(path)
        except ImportError as error:
            raise ImproperlyConfigured(
                f"DJTASKS['REGISTERED_CODECS'] names {path!r}, which cannot be imported: {error}."
            ) from error
        if not callable(function):
            raise ImproperlyConfigured(
                f"DJTASKS['REGISTERED_CODECS'] names {path!r}, which is not a function."
            )
        function()
