"""Collecting what code enqueues, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from djtasks.calling import SentTask, recorder


class CapturedTasks(list[SentTask]):
    """The calls that were made, in order: name, args, kwargs, options, result of each."""

    def named(self, name: str) -> list[SentTask]:
        """The calls of one task."""
        return [call for call in self if call.name == name]

    @property
    def names(self) -> list[str]:
        """The names of the tasks, in the order of the calls."""
        return [call.name for call in self]


@contextmanager
def capture_tasks(insert: bool = False) -> Iterator[CapturedTasks]:
    """Collect the calls that are made within the block, instead of enqueueing them.

    With ``insert`` they are enqueued too (or run, with ``TASK_ALWAYS_EAGER``). Arguments and
    options are checked as ever. Calls that wait for a commit are collected when they are made.
    ::

        with capture_tasks() as tasks:
            client.post("/orders/", data)
        assert tasks.names == ["shop.tasks.send_invoice"]
        assert tasks[0].args == (42,)
    """
    captured = CapturedTasks()

    def record(call: SentTask) -> bool:
        captured.append(call)
        return insert

    token = recorder.set(record)
    try:
        yield captured
    finally:
        recorder.reset(token)
