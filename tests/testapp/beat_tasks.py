"""Tasks of schedules: they note for which tick they ran."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from djtasks import Task, shared_task
from tests.testapp.models import Note


@shared_task(bind=True, atomic=True)
def tick(self: Task[..., Any]) -> None:
    """Note the schedule, the tick, and when it was sent, in the task's own commit.

    Its id tells when: it was made after it was decided which ticks the run stands for.
    """
    headers = self.request.headers or {}
    sent = datetime.fromtimestamp((int(UUID(self.request.id).hex[:12], 16) + 1) / 1000, UTC)
    name, due = headers["periodic_task_name"], headers["periodic_due_at"]
    Note.objects.create(text=f"{name} {due} {sent.isoformat()}")
