"""What is called when a signature's task ends: its callbacks and errbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from djtasks.canvas.checking import check_link

if TYPE_CHECKING:
    from typing import Self

    from djtasks.canvas.signature import Signature

T = TypeVar("T")
S = TypeVar("S", bound="Signature[Any]")


def as_list(links: Any) -> list[Any]:
    """Links, which may be none, one or several, as a new list."""
    if links is None:
        return []
    return list(links) if isinstance(links, (list, tuple)) else [links]


class Linked:
    """The links of a signature, which are the options ``link`` and ``link_error``."""

    options: Any

    def link(self, callback: S) -> S:
        """Enqueue ``callback`` with the result prepended when the task succeeds.

        Returns the callback, as Celery does.
        """
        return self.append_to_list_option("link", callback)

    def link_error(self, errback: S) -> Any:
        """Call ``errback`` when the task fails; returns the errback, as Celery does."""
        return self.append_to_list_option("link_error", errback)

    def on_error(self, errback: Signature[Any]) -> Self:
        """:meth:`link_error`, but returns the signature itself."""
        self.link_error(errback)
        return self

    def flatten_links(self) -> list[Signature[Any]]:
        """The signature and, recursively, those linked to its success."""
        from djtasks.canvas.signature import signature

        found = [cast("Signature[Any]", self)]
        for linked in as_list(self.options.get("link")):
            found.extend(signature(linked).flatten_links())
        return found

    def append_to_list_option(self, key: str, value: T) -> T:
        """Add to an option that is a list, unless it is there already; returns the value.

        Raises :class:`TypeError` for a link that is no signature.
        """
        if key in ("link", "link_error"):
            check_link(value)
        found = self.options[key] = as_list(self.options.get(key))
        if value not in found:
            found.append(value)
        return value

    def extend_list_option(self, key: str, value: Any) -> None:
        """Add one value or several to an option that is a list, also those that are there."""
        self.options[key] = [*as_list(self.options.get(key)), *as_list(value)]
