"""The task browser: an overview, all tasks, schedules, queues and workers, as pages of the admin.

Importing this registers them, as Django's admin does at start.
"""

from __future__ import annotations

from djtasks.admin.overview import OverviewAdmin
from djtasks.admin.queues import QueueAdmin
from djtasks.admin.schedules import PeriodicTaskAdmin
from djtasks.admin.tasks import TaskRecordAdmin
from djtasks.admin.workers import WorkerAdmin

__all__ = ["OverviewAdmin", "PeriodicTaskAdmin", "QueueAdmin", "TaskRecordAdmin", "WorkerAdmin"]
