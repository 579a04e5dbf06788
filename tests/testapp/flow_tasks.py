"""Tasks for the tests of workflows on workers, which know them by ``IMPORTS``."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from djtasks import Signature, Task, chain, group, shared_task
from djtasks.joining import allow_join_result
from tests.testapp.models import Note
from tests.testapp.tasks import add, jot


@shared_task
def total(numbers: list[int]) -> int:
    """Add up a list."""
    return sum(numbers)


@shared_task
def listed(*args: Any) -> list[Any]:
    """Return the arguments."""
    return list(args)


@shared_task
def same(value: Any) -> Any:
    """Return the argument."""
    return value


@shared_task
def double(number: int) -> int:
    """Twice the number."""
    return number * 2


@shared_task
def told(value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """What was given, by name."""
    return {"value": value, "args": list(args), "kwargs": kwargs}


@shared_task(bind=True)
def whereabouts(self: Task[..., Any], *args: Any) -> dict[str, Any]:
    """What the request says of the workflow, after what the tasks before said."""
    request = self.request
    own = {
        name: getattr(request, name)
        for name in ("id", "root_id", "parent_id", "group", "group_index", "headers")
    }
    own["queue"] = request.delivery_info["routing_key"]
    own["priority"] = request.delivery_info["priority"]
    own["hostname"] = request.hostname
    return {**own, "args": list(args)}


@shared_task(ignore_result=True)
def double_quietly(number: int) -> int:
    """Twice the number, and no result is stored."""
    return number * 2


@shared_task(bind=True, max_retries=2)
def double_at_last(self: Task[..., Any], number: int, retries: int = 2) -> int:
    """Twice the number, after so many retries."""
    Note.objects.create(text=f"try {self.request.retries}")
    if self.request.retries < retries:
        raise self.retry(countdown=0)
    return number * 2


@shared_task(atomic=True)
def double_atomically(number: int) -> int:
    """Twice the number, with a row in the same transaction."""
    Note.objects.create(text=f"atomic {number}")
    return number * 2


@shared_task(acks_late=True)
def double_late(number: int) -> int:
    """Twice the number, acknowledged after the run."""
    return number * 2


@shared_task
async def double_async(number: int) -> int:
    """Twice the number, from a coroutine."""
    return number * 2


@shared_task
def text_of(size: int) -> str:
    """A text of so many characters."""
    return ("0123456789abcdef" * (size // 16 + 1))[:size]


@shared_task
def length(value: str | list[str]) -> Any:
    """The length of a text, or of each text in a list."""
    return len(value) if isinstance(value, str) else [len(text) for text in value]


@shared_task
def clock(*args: Any) -> float:
    """When this runs, in seconds since the epoch."""
    return time.time()


# --- what fails ------------------------------------------------------------------------------


@shared_task
def fail_with(*args: Any) -> None:
    """Raise, with all arguments."""
    raise ValueError(*args)


@shared_task
def note(*args: Any) -> None:
    """Write a row: what is to be seen, or is to be run by nobody."""
    Note.objects.create(text=f"note {args}")


@shared_task
def new_errback(request: Any, error: BaseException, traceback: str | None) -> None:
    """An errback of the newer style: write a row."""
    Note.objects.create(text=f"new {request.id} {type(error).__name__}: {error}")


@shared_task
def wait_for(path: str, fails: bool = False) -> str:
    """Wait until a file is there; then raise, if asked."""
    while not Path(path).exists():
        time.sleep(0.005)
    if fails:
        raise ValueError(path)
    return path


@shared_task
def fail_together(journal: str, number: int, among: int) -> None:
    """Raise when so many of these run at once."""
    jot(journal, f"begin {number}")
    while len(Path(journal).read_text().splitlines()) < among:
        time.sleep(0.005)
    raise ValueError(number)


@shared_task(time_limit=0.5)
def overrun() -> None:
    """Run for longer than the hard limit."""
    time.sleep(60)


@shared_task
def die() -> None:
    """Kill the process."""
    os.kill(os.getpid(), signal.SIGKILL)


# --- workflows that tasks make ---------------------------------------------------------------


@shared_task
def send_chord(numbers: list[int]) -> list[Any]:
    """Enqueue a chord in front of a task; returns the ids of all its tasks."""
    result = (group(add.s(n, n) for n in numbers) | total.s() | double.s()).delay()
    body = result.parent
    header = [one.id for one in body.parent.results]
    return [*header, body.id, result.id]


CALLED: list[Any] = []
"""What the workflow of :func:`call_and_tell` was told of its place, in an eager test."""


@shared_task
def call_and_tell() -> None:
    """Run a workflow from inside a task."""
    result = chain(whereabouts.s(), same.s()).delay()
    with allow_join_result():
        CALLED.append(result.get())


@shared_task(atomic=True)
def send_chain_and_fail() -> None:
    """Enqueue a chain in a transaction that is rolled back."""
    chain(add.s(1, 1), note.s()).delay()
    raise ValueError("rolled back")


def broken_after(number: int) -> Iterator[Signature[int]]:
    """So many signatures, and then an exception."""
    for n in range(number):
        yield add.s(n, n)
    raise LookupError(f"no more than {number}")


@shared_task
def errback_that_looks(request: Any, error: BaseException, traceback: str | None) -> None:
    """An errback that writes down what the failed task's message carries."""
    Note.objects.create(text=f"{request.headers} {request.stamps} {request.timelimit}")


@shared_task
async def async_errback(request: Any, error: BaseException, traceback: str | None) -> None:
    """An errback that is a coroutine: write a row."""
    await Note.objects.acreate(text=f"async {request.id} {type(error).__name__}: {error}")


@shared_task
def two_arguments_and_fail(request: Any, error: BaseException, traceback: str | None) -> None:
    """An errback that raises itself."""
    raise RuntimeError("the errback's own")


class UnspeakableError(Exception):
    """Has no repr."""

    def __repr__(self) -> str:
        raise ValueError("no words")


@shared_task
def fail_unspeakably() -> None:
    """Raise what cannot be shown."""
    raise UnspeakableError("x")


@shared_task
def fail_with_nul() -> None:
    """Raise with a text that PostgreSQL cannot hold."""
    raise ValueError("a\x00b")


@shared_task
def leave() -> None:
    """Leave the interpreter."""
    sys.exit(3)


@shared_task(atomic=True)
def fail_atomically() -> None:
    """Raise in a transaction."""
    Note.objects.create(text="rolled back")
    raise ValueError("atomic")
