"""Pausing and resuming queues."""

from __future__ import annotations


def pause(queue: str, *, reason: str = "", using: str | None = None) -> bool:
    """Let no worker claim from a queue until it is resumed; what runs goes on.

    ``reason`` is shown to others. Returns whether the queue was served until now; one that is
    paused already gets the reason. Raises :class:`ValueError` for a name that no queue can have.
    """
    raise NotImplementedError


def resume(queue: str, *, using: str | None = None) -> bool:
    """Let workers claim from a queue again; returns whether it was paused."""
    raise NotImplementedError
