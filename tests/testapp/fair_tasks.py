"""Tasks whose tenants take turns, that only a worker with this module in ``IMPORTS`` knows."""

from __future__ import annotations

import time
from typing import Any

from djtasks import Task, shared_task
from tests.testapp.models import Note
from tests.testapp.tasks import jot


@shared_task(
    bind=True,
    name="for_tenant",
    fair_key="{tenant}",
    acks_late=True,
    reject_on_worker_lost=True,
    max_deliveries=50,
    max_retries=5,
)
def for_tenant(
    self: Task[..., Any],
    journal: str,
    tenant: str,
    name: str,
    seconds: float = 0.0,
    fails: int = 0,
) -> str:
    """Note the tenant and the name; ``fails`` times it asks for a retry at once."""
    jot(journal, f"begin {tenant} {name}")
    time.sleep(seconds)
    if self.request.retries < fails:
        raise self.retry(countdown=0)
    jot(journal, f"done {tenant} {name}")
    return name


@shared_task(name="thirty_a_second", fair_key="{tenant}", rate_limit="30/s")
def thirty_a_second(journal: str, tenant: str, name: str) -> None:
    """Start every 33 ms; tenants take turns."""
    jot(journal, f"{time.monotonic()} {tenant} {name}")


@shared_task(name="one_for_tenant", fair_key="{tenant}", concurrency_limit=1)
def one_for_tenant(journal: str, tenant: str, name: str) -> None:
    """One of these runs at a time, whoever's it is."""
    jot(journal, f"begin {tenant} {name}")
    time.sleep(0.01)
    jot(journal, f"end {tenant} {name}")


@shared_task(name="note_for_tenant", fair_key=lambda tenant, number: f"t{tenant}", atomic=True)
def note_for_tenant(tenant: int, number: int) -> None:
    """Leave a row in the transaction that ends the task: lost or doubled ones show."""
    Note.objects.create(text=str(number))


@shared_task(name="for_everybody")
def for_everybody(journal: str, name: str) -> None:
    """It stands in no line."""
    jot(journal, f"begin nobody {name}")


@shared_task(name="tell_tenant", fair_key="{tenant}")
def tell_tenant(tenant: str) -> str:
    """Its key may be the result of another task."""
    return tenant


@shared_task(name="gather_names")
def gather_names(names: list[str]) -> list[str]:
    """The body of a chord."""
    return sorted(names)
