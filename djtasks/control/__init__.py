"""What can be done to tasks, queues and workers: from Python, a command, or the admin.

Operations on tasks take ids and return an :class:`Outcome`. They work in short transactions of at
most :data:`BATCH` tasks, take rows that nobody else holds, and wake workers after the commit.
"""

from __future__ import annotations

from djtasks.control.choosing import LIMIT, eligible, purgeable, select
from djtasks.control.copying import copy
from djtasks.control.each import BATCH
from djtasks.control.ending import delete, purge, revoke
from djtasks.control.families import revoke_stamped, revoke_tasks, revoke_workflow
from djtasks.control.outcome import Outcome, Reason
from djtasks.control.placing import move, run_now
from djtasks.control.queues import pause, resume
from djtasks.control.retrying import retry
from djtasks.control.standing import Operation
from djtasks.control.tasks import limit_task, pause_task, resume_task
from djtasks.control.workers import quiet, stop, terminate, unquiet

__all__ = [
    "BATCH",
    "LIMIT",
    "Operation",
    "Outcome",
    "Reason",
    "copy",
    "delete",
    "eligible",
    "limit_task",
    "move",
    "pause",
    "pause_task",
    "purge",
    "purgeable",
    "quiet",
    "resume",
    "resume_task",
    "retry",
    "revoke",
    "revoke_stamped",
    "revoke_tasks",
    "revoke_workflow",
    "run_now",
    "select",
    "stop",
    "terminate",
    "unquiet",
]
