"""What a setting is: read live from ``settings.DJTASKS``, checked, with a default."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final, Generic, TypeVar, overload

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from djtasks import setting_kinds as kinds

__all__ = ["Setting"]

T = TypeVar("T")

_UNSET: Final = object()


class Setting(Generic[T]):
    """One setting: its name, default, what it accepts and what it is for.

    Attributes:
        name: its key in ``settings.DJTASKS``.
        default: the value where the key is absent.
        type: what it accepts, in words.
        help: what it decides, for the documentation.
        clean: turns a user's value into the one that ``conf`` gives; raises ``ValueError`` with
            the end of the sentence "NAME must be …".
    """

    __slots__ = ("_last", "clean", "default", "help", "name", "type")

    def __init__(self, default: T, accepts: kinds.Accepts[T], purpose: str) -> None:
        self.name = ""
        self.default = default
        self.type, self.clean = accepts
        self.help = purpose
        self._last: tuple[object, T] = (_UNSET, default)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<Setting: {self.name}={self.default!r}>"

    @overload
    def __get__(self, instance: None, owner: type) -> Setting[T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Setting[T] | T:
        if instance is None:
            return self
        table = _cached.get("DJTASKS")
        if type(table) is not dict:
            table = _read_table()
        value = table.get(self.name, _UNSET)
        # A value is checked once; the same object is not looked at again.
        last = self._last
        if last[0] is value:
            return last[1]
        return self._check(value)

    def _check(self, value: Any) -> T:
        if value is _UNSET:
            result = self.default
        else:
            try:
                result = self.clean(value)
            except ValueError as error:
                raise ImproperlyConfigured(
                    f"DJTASKS[{self.name!r}] must be {error}; it is {value!r}."
                ) from None
        if result is value or isinstance(value, Hashable):
            # Not a list that was made a tuple: it may change and stay the same object.
            self._last = (value, result)
        return result


#: Where Django keeps the settings that were read, until one changes: any change empties it. Asking
#: ``settings`` itself costs a microsecond each time, for it is a proxy.
_cached: Final[dict[str, Any]] = object.__getattribute__(settings, "__dict__")

_NO_TABLE: Final[dict[str, Any]] = {}
#: The settings object that was found to have no DJTASKS.
_without_table: object = None


def _read_table() -> Mapping[str, Any]:
    # Called until Django has cached the dict, and always where there is none.
    global _without_table
    holder = _cached.get("_wrapped")
    if holder is _without_table and holder is not None and "DJTASKS" not in vars(holder):
        return _NO_TABLE
    table = getattr(settings, "DJTASKS", None)
    if table is None:
        _without_table = _cached["_wrapped"]
        return _NO_TABLE
    if not isinstance(table, Mapping):
        raise ImproperlyConfigured(
            f"settings.DJTASKS must be a dict of setting names and values; it is {table!r}."
        )
    return table
