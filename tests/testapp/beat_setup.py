"""A schedule that is declared by a receiver, as in a project that comes from Celery."""

from __future__ import annotations

from typing import Any

from djtasks import app
from tests.testapp.beat_tasks import tick


@app.on_after_finalize.connect
def set_up(sender: Any, **kwargs: Any) -> None:
    """Have a tick every half second."""
    sender.add_periodic_task(0.5, tick.s(), name="every half second")
