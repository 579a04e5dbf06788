"""What is called when a signature's task ends: its callbacks and errbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from typing import Self

    from djtasks.canvas.signature import Signature

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
        return self._append("link", callback)

    def link_error(self, errback: S) -> Any:
        """Call ``errback`` when the task fails; returns the errback, as Celery does."""
        return self._append("link_error", errback)

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

    def _append(self, option: str, value: S) -> S:
        links = self.options[option] = as_list(self.options.get(option))
        if value not in links:
            links.append(value)
        return value
