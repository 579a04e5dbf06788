"""The tasks that the canvas itself needs, known to every worker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from djtasks.canvas.errbacks import call_stored_errbacks
from djtasks.canvas.items import chunks
from djtasks.canvas.signature import Signature, signature
from djtasks.declare import shared_task
from djtasks.execution.coroutines import run_coroutine

__all__ = ["accumulate", "call_stored_errbacks", "enqueue_chunks", "map_items", "starmap_items"]


@shared_task(name="djtasks.map")
def map_items(task: Mapping[str, Any], it: Iterable[Any]) -> list[Any]:
    """Call a task with each item, here and one after the other."""
    sig = signature(task)
    return [_call(sig, item) for item in it]


@shared_task(name="djtasks.starmap")
def starmap_items(task: Mapping[str, Any], it: Iterable[Iterable[Any]]) -> list[Any]:
    """Call a task with the arguments in each item, here and one after the other."""
    sig = signature(task)
    return [_call(sig, *item) for item in it]


@shared_task(name="djtasks.chunks")
def enqueue_chunks(task: Mapping[str, Any], it: Iterable[Any], n: int) -> Any:
    """Enqueue the calls of a task in parts of ``n``; the result is that of the group, unread."""
    return chunks.apply_chunks(signature(task), it, n)


@shared_task(name="djtasks.accumulate")
def accumulate(*args: Any, index: int | None = None) -> Any:
    """Return the arguments as they are, or the one at ``index``."""
    return list(args) if index is None else args[index]


def _call(sig: Signature[Any], *args: Any) -> Any:
    task = sig.type
    result = sig(*args)
    return run_coroutine(result) if task.is_async else result
