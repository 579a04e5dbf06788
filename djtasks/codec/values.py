"""Values to JSON text and back, whatever they are.

Most calls carry nothing but JSON: a look at the types, done by C loops, finds that out, and then
the standard library's encoder does the work. Only other values are walked in Python, to give them
their tags or to say where the one is that cannot be stored.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

from djtasks.codec.text import has_nul
from djtasks.codec.types import TAG, find_writer, read
from djtasks.exceptions import DecodeError, EncodeError

__all__ = ["SCALARS", "CannotEncode", "checked_text", "dumps", "is_plain", "loads", "tagged"]

#: Exactly these types are written as they are (a float if finite, a text if storable).
SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_PLAIN: Final = SCALARS | {list, dict}
_TEXT_KEYS: Final = frozenset({str})

#: How deep containers may be nested. The standard library's parser gives up at a depth that differs
#: between Python versions and call stacks: what one process writes, another must be able to read.
MAX_DEPTH: Final = 100

_encode: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
).encode


class CannotEncode(Exception):
    """Why a value cannot be stored, and the way to it from the outside in."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path: list[str] = []

    def within(self, step: str) -> CannotEncode:
        self.path.insert(0, step)
        return self


def is_plain(value: Any, depth: int = 0) -> bool:
    """Return whether ``value`` is JSON already: nothing in it needs a tag or is refused by type."""
    kind = type(value)
    if kind in SCALARS:
        return True
    if depth > MAX_DEPTH:
        return False
    if kind is dict:
        if not (set(map(type, value)) <= _TEXT_KEYS) or TAG in value:
            return False
        items = value.values()
    elif kind is list:
        items = value
    else:
        return False
    kinds = set(map(type, items))
    if kinds <= SCALARS:
        return True
    if not kinds <= _PLAIN:
        return False
    depth += 1
    return all(is_plain(item, depth) for item in items if type(item) not in SCALARS)


def dumps(plain: Any) -> str:
    """Return the JSON text of ``plain``, which ``is_plain()`` or made by ``tagged()``.

    Raises:
        ValueError: a number or a text in it cannot be stored.
    """
    text = _encode(plain)
    if not text.isascii():
        text.encode()  # a lone surrogate is a UnicodeEncodeError, which is a ValueError
    if has_nul(text):
        raise ValueError("NUL")
    return text


def tagged(value: Any, parents: tuple[int, ...] = ()) -> Any:
    """Return ``value`` as JSON-able lists and dicts, with tags where JSON has no such type.

    Args:
        value: anything.
        parents: the ids of the containers that it is in.

    Raises:
        CannotEncode: it, or something in it, cannot be stored.
    """
    kind = type(value)
    if kind is str:
        return checked_text(value)
    if kind is int:
        return _checked_integer(value)
    if kind is float:
        return _checked_float(value)
    if kind is bool or value is None:
        return value
    if id(value) in parents:
        raise CannotEncode("a value that contains itself: pass its parts, or a key to it")
    if len(parents) >= MAX_DEPTH:
        raise CannotEncode(f"nested deeper than {MAX_DEPTH} levels: flatten it, or pass a key")
    if kind is list:
        return _tagged_items(value, (*parents, id(value)))
    if kind is tuple:
        return {TAG: "tuple", "v": _tagged_items(value, (*parents, id(value)))}
    if kind is dict:
        return _tagged_dict(value, (*parents, id(value)))
    return _tagged_other(value, (*parents, id(value)))


def _tagged_items(items: Any, parents: tuple[int, ...]) -> list[Any]:
    result = []
    for index, item in enumerate(items):
        try:
            result.append(tagged(item, parents))
        except CannotEncode as error:
            raise error.within(f"[{index}]") from None
    return result


def _tagged_dict(value: dict[Any, Any], parents: tuple[int, ...]) -> dict[str, Any]:
    if all(type(key) is str for key in value) and TAG not in value:
        result = {}
        for key, item in value.items():
            try:
                result[checked_text(key)] = tagged(item, parents)
            except CannotEncode as error:
                raise error.within(f"[{key!r}]") from None
        return result
    pairs = []
    for key, item in value.items():
        try:
            pairs.append([tagged(key, parents), tagged(item, parents)])
        except CannotEncode as error:
            raise error.within(f"[{_short(key)}]") from None
    return {TAG: "dict", "v": pairs}


def _tagged_other(value: Any, parents: tuple[int, ...]) -> Any:
    found = find_writer(type(value))
    if found is not None:
        tag, write = found
        try:
            stored = write(value)
        except EncodeError as error:
            raise CannotEncode(str(error)) from error
        except Exception as error:
            raise CannotEncode(
                f"the encode function for {_name(type(value))} raised {error!r}"
            ) from error
        stored = tagged(stored, parents)
        return stored if tag is None else {TAG: tag, "v": stored}
    # Subclasses of what JSON has are written as that, whatever they say to str() or int().
    if isinstance(value, str):
        return checked_text(str.__str__(value))
    if isinstance(value, int):
        return _checked_integer(int.__int__(value))
    if isinstance(value, float):
        return _checked_float(float.__float__(value))
    if isinstance(value, dict):
        return _tagged_dict(dict(value), parents)
    if isinstance(value, list):
        return _tagged_items(value, parents)
    if isinstance(value, tuple):
        return {TAG: "tuple", "v": _tagged_items(value, parents)}
    raise CannotEncode(_unknown_type(value))


def _unknown_type(value: Any) -> str:
    # Not its repr(): that of a QuerySet asks the database.
    cls = type(value)
    advice = "pass plain data, or a key by which the task finds it"
    if hasattr(cls, "as_manager"):
        advice = "pass a list of keys: list(queryset.values_list('pk', flat=True))"
    elif callable(value):
        advice = "pass its name, or data by which the task finds it"
    elif hasattr(cls, "__iter__"):
        advice = "make it a list"
    return (
        f"a value of the type {_name(cls)} cannot be stored: {advice} (types of your own can be "
        "added with djtasks.codec.register_type())"
    )


def _name(cls: type) -> str:
    module = "" if cls.__module__ == "builtins" else f"{cls.__module__}."
    return f"{module}{cls.__qualname__}"


def checked_text(value: str) -> str:
    """Return ``value`` if PostgreSQL can store it.

    Raises:
        CannotEncode: it contains a NUL or a lone surrogate.
    """
    if "\0" in value:
        raise CannotEncode(
            f"{_short(value)} contains a NUL character, which PostgreSQL cannot store: remove it, "
            "or pass bytes"
        )
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise CannotEncode(
                f"{_short(value)} contains a lone surrogate, which is no character: decode the "
                "text properly, or pass bytes"
            ) from None
    return value


def _checked_float(value: float) -> float:
    if not math.isfinite(value):
        raise CannotEncode(f"{value} is not a number that JSON has: pass None, or a Decimal")
    return value


def _checked_integer(value: int) -> int:
    if value.bit_length() > 10_000:  # Python reads and writes at most 4300 digits
        raise CannotEncode("an integer of more than 3000 digits: pass it as bytes or text")
    return value


def _short(value: Any) -> str:
    if type(value) not in SCALARS:
        return f"<{_name(type(value))}>"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


# -- reading --------------------------------------------------------------------------------------


def _untag(stored: dict[str, Any]) -> Any:
    # The parser calls this for the innermost dicts first.
    if TAG in stored:
        return read(stored[TAG], stored.get("v"))
    return stored


_decode: Final = json.JSONDecoder().decode
_decode_tagged: Final = json.JSONDecoder(object_hook=_untag).decode
_TAG_IN_TEXT: Final = f'"{TAG}"'


def loads(text: str) -> Any:
    """Return the value that is stored as ``text``.

    Raises:
        DecodeError: it is no JSON, or a type in it cannot be read here.
    """
    try:
        # Only what stands between quotes that are not escaped can be the tag itself.
        return _decode_tagged(text) if _TAG_IN_TEXT in text else _decode(text)
    except DecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"Stored data is not valid JSON: {error}.") from error
