"""Background tasks for Django on PostgreSQL, with Celery's calling API.

This module is safe to import before Django's settings and apps are loaded.
"""

from __future__ import annotations

from djtasks import exceptions, signals, states
from djtasks.app import app
from djtasks.bulk import enqueue_many
from djtasks.canvas import (
    Signature,
    builtins,
    chain,
    chord,
    chunks,
    group,
    maybe_signature,
    signature,
    subtask,
    xmap,
    xstarmap,
)
from djtasks.current import current_task
from djtasks.declare import shared_task
from djtasks.eager import EagerResult
from djtasks.joining import allow_join_result
from djtasks.log import get_task_logger
from djtasks.result import AsyncResult, result_from_tuple
from djtasks.result_set import GroupResult, ResultSet
from djtasks.task import Task

del builtins  # Imported so that its tasks are registered.

current_app = app

__version__ = "0.1.0"

__all__ = [
    "AsyncResult",
    "EagerResult",
    "GroupResult",
    "ResultSet",
    "Signature",
    "Task",
    "allow_join_result",
    "app",
    "chain",
    "chord",
    "chunks",
    "current_app",
    "current_task",
    "enqueue_many",
    "exceptions",
    "get_task_logger",
    "group",
    "maybe_signature",
    "result_from_tuple",
    "shared_task",
    "signals",
    "signature",
    "states",
    "subtask",
    "xmap",
    "xstarmap",
]
