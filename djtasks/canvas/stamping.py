"""Stamps: marks that a signature and all that is in it carry, for the tasks to read.

A stamp is an option of the signature whose name is in its option ``stamped_headers``. The task
finds it in ``self.request.stamps``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from djtasks.canvas.links import as_list

if TYPE_CHECKING:
    from typing import Self

    from djtasks.canvas.signature import Signature

    Stamps = Mapping[str, Any] | None

NAMES = "stamped_headers"
"""The option that names the stamps."""


class StampingVisitor(ABC):
    """Decides the stamps of a workflow: ``sig.stamp(visitor=MyVisitor())``.

    Each method gets the signature and the stamps that it would have without the visitor, and
    returns further ones, or None. What it returns are options of the signature. All of them are
    stamps, unless there is an entry ``stamped_headers`` with the names of those that are. Stamps
    that a method returns for a chain, a group or the header of a chord are given to every
    signature in it, and to the body of the chord.
    """

    @abstractmethod
    def on_signature(self, sig: Signature[Any], **headers: Any) -> Stamps:
        """For each task, callbacks and errbacks included, after those are stamped."""

    def on_group_start(self, group: Any, **headers: Any) -> Stamps:
        """For a group, before its members."""
        return {}

    def on_group_end(self, group: Any, **headers: Any) -> None:  # noqa: B027 - optional
        """After the members of a group (those of a generator are stamped when they are taken)."""

    def on_chain_start(self, chain: Any, **headers: Any) -> Stamps:
        """For a chain, before its steps."""
        return {}

    def on_chain_end(self, chain: Any, **headers: Any) -> None:  # noqa: B027 - optional
        """After the steps of a chain."""

    def on_chord_header_start(self, sig: Any, **header: Any) -> Stamps:
        """For a chord, before its header; by default the header is taken for a group."""
        return self.on_group_start(sig.header, **header)

    def on_chord_header_end(self, sig: Any, **header: Any) -> None:
        """After the header of a chord; by default it is taken for a group."""
        self.on_group_end(sig.header, **header)

    def on_chord_body(self, sig: Any, **header: Any) -> Stamps:
        """For a chord, before its body."""
        return {}

    def on_callback(self, callback: Signature[Any], **header: Any) -> Stamps:
        """For a signature that is linked to a success, before it is stamped itself."""
        return {}

    def on_errback(self, errback: Signature[Any], **header: Any) -> Stamps:
        """For a signature that is linked to an error, before it is stamped itself."""
        return {}


class Stamped:
    """What a signature of one task does with stamps."""

    options: Any

    def stamp(
        self, visitor: StampingVisitor | None = None, append_stamps: bool = False, **headers: Any
    ) -> Self:
        """Stamp the signature, and all that is in it or linked to it, in place.

        ``headers`` are stamps for all; ``visitor`` gives each its own. A stamp that is there
        already is replaced, or with ``append_stamps`` becomes a list of both values.
        """
        self.stamp_links(visitor, append_stamps, **headers)
        found = visitor.on_signature(self, **headers) if visitor else None  # type: ignore[arg-type]
        self.options.update(self._stamps(found, append_stamps, headers))
        return self

    def stamp_links(
        self, visitor: StampingVisitor | None, append_stamps: bool = False, **headers: Any
    ) -> None:
        """Stamp what is linked to the signature, but not itself."""
        from djtasks.canvas.signature import signature

        for option in ("link", "link_error"):
            links = as_list(self.options.get(option))
            for index, link in enumerate(links):
                found = None
                if visitor is not None:
                    visit = visitor.on_callback if option == "link" else visitor.on_errback
                    found = visit(link, **headers)
                if not hasattr(link, "stamp"):
                    link = links[index] = signature(link)
                link.stamp(visitor, append_stamps, **united(headers, found, append_stamps))
            if links:
                self.options[option] = links

    def _stamps(self, found: Stamps, append: bool, headers: Mapping[str, Any]) -> dict[str, Any]:
        """The stamps of a signature: those given, those of its visitor, and those it has."""
        stamps = united(headers, found, append)
        names = distinct((*stamps[NAMES], *(self.options.get(NAMES) or ())))
        own = {name: self.options[name] for name in names if name in self.options}
        merge(stamps, own, append)
        stamps[NAMES] = names
        return stamps


def united(headers: Mapping[str, Any], found: Stamps, append: bool) -> dict[str, Any]:
    """Stamps that are given and those of a visitor, with the names of all of them."""
    stamps = dict(headers)
    names = list(stamps.pop(NAMES, headers))
    if found is not None:
        more = dict(found)
        names += more.pop(NAMES, tuple(more))
        merge(stamps, more, append)
    stamps[NAMES] = distinct(names)
    return stamps


def merge(stamps: dict[str, Any], others: Mapping[str, Any], append: bool) -> None:
    """Add stamps to others. Where both have one: the first stays, or a list of both if asked."""
    for name, other in others.items():
        if name not in stamps:
            stamps[name] = other
            continue
        value = stamps[name]
        if isinstance(value, dict) and isinstance(other, Mapping):
            stamps[name] = inner = dict(value)
            merge(inner, other, append)
        elif append:
            stamps[name] = [*_values(value), *_values(other)]


def distinct(names: Iterable[str]) -> list[str]:
    """Names once each, in the order in which they came first."""
    return list(dict.fromkeys(names))


def _values(stamp: Any) -> list[Any]:
    if isinstance(stamp, (list, tuple, set, frozenset)):
        return list(stamp)
    return [] if stamp is None else [stamp]
