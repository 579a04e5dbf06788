"""Items that are taken from an iterator when they are needed, one at a time if possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

from djtasks.codec import register_type

T = TypeVar("T")

Change = Callable[[int, T], T]
"""What is done to an item when it is taken: it gets the position too."""


class _Source(Generic[T]):
    """An iterator that several views share; only one of them can stream it."""

    __slots__ = ("ahead", "has_items", "items", "iterator", "views")

    def __init__(self, iterator: Iterator[T]) -> None:
        self.iterator: Iterator[T] | None = iterator
        self.ahead: list[T] = []
        self.items: list[T] | None = None
        self.views = 1
        self.has_items: bool | None = None
        """What is remembered of items that were taken: whether there were any."""

    def take(self) -> Iterator[T]:
        iterator = self.iterator
        if iterator is None:
            raise RuntimeError(
                "This was made from a generator, whose items were taken already. Make it from a "
                "list to use it more than once."
            )
        self.iterator = None
        return self._rest(iterator)

    def _rest(self, iterator: Iterator[T]) -> Iterator[T]:
        self.has_items = bool(self.ahead) or None
        while self.ahead:
            yield self.ahead.pop(0)
        for item in iterator:
            self.has_items = True
            yield item
        self.has_items = bool(self.has_items)


class Lazy(Generic[T]):
    """The items of an iterator, for as long as nothing needs all of them at once.

    :meth:`stream` takes them one by one, once; :meth:`settled` is all of them in a list, which
    stays. ``copy`` makes a copy of an item, for views that share one iterator.
    """

    __slots__ = ("_changes", "_copy", "_items", "_source")

    def __init__(self, items: Iterable[T], copy: Callable[[T], T] = lambda item: item) -> None:
        self._source: _Source[T] = _Source(iter(items))
        self._copy = copy
        self._changes: tuple[Change[T], ...] = ()
        self._items: list[T] | None = None

    def view(self) -> Lazy[T]:
        """The same items again: a change of the one does not show in the other."""
        other: Lazy[T] = Lazy((), self._copy)
        other._changes = self._changes
        if self._items is not None:
            other._items = [self._copy(item) for item in self._items]
        else:
            other._source = self._source
            self._source.views += 1
        return other

    def change(self, change: Change[T]) -> None:
        """Do this to each item: now if they are there, else when it is taken."""
        if self._items is not None:
            self._items[:] = [change(index, item) for index, item in enumerate(self._items)]
        else:
            self._changes += (change,)

    def count_up_to(self, limit: int) -> int:
        """How many items there are, but at most ``limit``: no more than those are taken."""
        if self._items is None and self._source.items is None:
            source = self._source
            if source.iterator is not None:
                source.ahead += islice(source.iterator, max(limit - len(source.ahead), 0))
                return min(len(source.ahead), limit)
            if limit == 1 and source.has_items is not None:
                return int(source.has_items)
        return min(len(self.settled()), limit)

    @property
    def is_taken(self) -> bool:
        """Whether the items were streamed, so that nobody can read them any more."""
        source = self._source
        return self._items is None and source.items is None and source.iterator is None

    def stream(self) -> Iterator[T]:
        """Take the items, one by one; they are not kept.

        Raises :class:`RuntimeError` if they were taken before, unless they are in a list by now.
        """
        if self._items is not None or self._source.items is not None:
            return iter(self.settled())
        return self._changed(self._source.take())

    def settled(self) -> list[T]:
        """All items, in a list that stays. Raises :class:`RuntimeError` if they were streamed."""
        if self._items is None:
            source = self._source
            if source.items is None:
                source.items = list(source.take())
            items: Iterable[T] = source.items
            if source.views > 1:
                items = (self._copy(item) for item in items)
            self._items = list(self._changed(items))
            self._changes = ()
        return self._items

    def _changed(self, items: Iterable[T]) -> Iterator[T]:
        changes = self._changes
        for index, item in enumerate(items):
            for change in changes:
                item = change(index, item)
            yield item

    def __len__(self) -> int:
        return len(self.settled())

    def __iter__(self) -> Iterator[T]:
        return iter(self.settled())

    def __getitem__(self, index: int) -> T:
        return self.settled()[index]

    def __repr__(self) -> str:
        return "<generator, taken>" if self.is_taken else repr(self.settled())


register_type(Lazy, None, Lazy.settled)


class WithLazyItems(dict[str, Any]):
    """A signature whose keyword arguments may be :class:`Lazy`: read as a dict, they are lists."""

    def settle(self) -> None:
        """Put lists in the place of what is lazy."""
        kwargs = dict.__getitem__(self, "kwargs")
        for name, value in kwargs.items():
            if isinstance(value, Lazy):
                kwargs[name] = value.settled()

    # What dict(), JSON and others read a mapping with.

    def keys(self) -> Any:
        """The keys; what is lazy is read first."""
        self.settle()
        return super().keys()

    def values(self) -> Any:
        """The values; what is lazy is read first."""
        self.settle()
        return super().values()

    def items(self) -> Any:
        """The items; what is lazy is read first."""
        self.settle()
        return super().items()

    def __iter__(self) -> Iterator[str]:
        self.settle()
        return super().__iter__()

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if is_taken(self) or is_taken(other):
            return False
        self.settle()
        if isinstance(other, WithLazyItems):
            other.settle()
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None


def is_taken(sig: object) -> bool:
    """Whether a signature has items that were streamed, so that they cannot be read any more."""
    if not isinstance(sig, WithLazyItems):
        return False
    values = dict.__getitem__(sig, "kwargs").values()
    return any(isinstance(value, Lazy) and value.is_taken for value in values)
