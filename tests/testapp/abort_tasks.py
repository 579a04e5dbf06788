"""Tasks that look whether they are to end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from djtasks import Task, shared_task, signals
from djtasks.contrib.abortable import AbortableTask
from tests.testapp.models import Note
from tests.testapp.tasks import jot


def look(self: Task[..., Any], journal: str, key: str, gate: str) -> str:
    """Wait for a gate, or to be asked to end, which it does not look for while it is blind."""
    jot(journal, f"begin {key}")
    Note.objects.create(text=key)
    while not Path(gate).exists():
        if not Path(f"{gate}.blind").exists() and self.is_aborted():
            jot(journal, f"aborted {key}")
            return "aborted"
        time.sleep(0.02)
    return "done"


plain = shared_task(name="abort.plain", bind=True)(look)
abortable: Any = shared_task(name="abort.abortable", bind=True, base=AbortableTask)(look)
atomic = shared_task(name="abort.atomic", bind=True, atomic=True)(look)


@signals.task_revoked.connect
def note_revoked(sender: Any = None, request: Any = None, **told: Any) -> None:
    """Note who was revoked, and how, in the journal that is its first argument."""
    if request.args and sender is not None and sender.name.startswith("abort."):
        jot(request.args[0], f"revoked {request.args[1]} {told['terminated']} {told['signum']}")
