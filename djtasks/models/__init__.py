"""The tables. Hot statements on them live in :mod:`djtasks.queue`; the rest uses these models."""

from __future__ import annotations

from djtasks.models.activity import Activity, Depth
from djtasks.models.control import Question, TaskSetting
from djtasks.models.fleet import Queue, Worker
from djtasks.models.message import (
    Input,
    Join,
    Message,
    MessageState,
    NextSequence,
    Payload,
    Place,
    Rate,
)
from djtasks.models.pages import Overview, TaskRecord
from djtasks.models.periodic import PeriodicTask, Source
from djtasks.models.result import Attempt, SavedGroup, TaskResult, Waiter
from djtasks.models.unique import UniqueKey, UniqueMode

__all__ = [
    "Activity",
    "Attempt",
    "Depth",
    "Input",
    "Join",
    "Message",
    "MessageState",
    "NextSequence",
    "Overview",
    "Payload",
    "PeriodicTask",
    "Place",
    "Question",
    "Queue",
    "Rate",
    "SavedGroup",
    "Source",
    "TaskRecord",
    "TaskResult",
    "TaskSetting",
    "UniqueKey",
    "UniqueMode",
    "Waiter",
    "Worker",
]
