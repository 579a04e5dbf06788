"""Running a coroutine from code that is not asynchronous."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync

if TYPE_CHECKING:
    from collections.abc import Coroutine


def run_coroutine(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end and return what it returns.

    Where this thread already runs an event loop (an eager call inside a view or a test that is
    asynchronous), the coroutine gets a thread and a loop of its own.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        # As Django does it: the coroutine's ORM calls come back to this thread, so that they
        # see what this connection's open transaction has written.
        return async_to_sync(_await)(coroutine)
    context = copy_context()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="djtasks-eager") as pool:
        return pool.submit(context.run, asyncio.run, coroutine).result()


async def _await(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return await coroutine


class LoopRunner:
    """Runs coroutines one after the other on one event loop, which lives as long as this."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None

    def __call__(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end and return what it returns."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(coroutine)

    def close(self) -> None:
        """End the loop and what still runs on it."""
        if self._runner is not None:
            self._runner.close()
            self._runner = None
