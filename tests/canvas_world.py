"""What the tests of workflows share: what is stored, and that nothing is left of them."""

from __future__ import annotations

from typing import Any

from djtasks.models import Input, Join, Message, TaskResult
from tests.testapp.models import Note
from tests.worker_process import PATIENCE as PATIENCE
from tests.worker_process import wait_drained

FLOW_TASKS = {"IMPORTS": ["tests.testapp.flow_tasks"]}
"""The setting of a worker that knows the tasks of these tests."""


def notes() -> list[str]:
    """The rows that tasks have written, in order."""
    return list(Note.objects.order_by("id").values_list("text", flat=True))


def nothing_left() -> None:
    """Wait until every message has ended, and assert that no join is left of them."""
    wait_drained()
    assert list(Join.objects.all()) == []
    assert list(Input.objects.all()) == []


def counts() -> tuple[int, int, int, int]:
    """How many messages, joins, inputs and results there are."""
    models: tuple[Any, ...] = (Message, Join, Input, TaskResult)
    messages, joins, inputs, results = (model.objects.count() for model in models)
    return messages, joins, inputs, results
