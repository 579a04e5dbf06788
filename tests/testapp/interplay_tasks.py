"""Tasks whose limits meet other things: only a worker that imports this module knows them."""

from __future__ import annotations

import time
from typing import Any

from djtasks import Task, chain, shared_task
from tests.testapp.tasks import jot


def _run(journal: str, key: str, name: str, seconds: float) -> str:
    jot(journal, f"begin {key} {name}")
    time.sleep(seconds)
    jot(journal, f"end {key} {name}")
    return name


@shared_task(name="shares_one", concurrency_limit=1, concurrency_key="shared:{key}")
def shares_one(journal: str, key: str, name: str, seconds: float = 0.0) -> str:
    """One of each key runs; ``shares_one_too`` has the same keys."""
    return _run(journal, key, name, seconds)


@shared_task(name="shares_one_too", concurrency_limit=1, concurrency_key="shared:{key}")
def shares_one_too(journal: str, key: str, name: str, seconds: float = 0.0) -> str:
    """``shares_one`` by another name."""
    return _run(journal, key, name, seconds)


@shared_task(name="five_a_second", rate_limit="5/s")
def five_a_second(journal: str, name: str) -> None:
    """Start every 200 ms."""
    jot(journal, f"begin rate {name}")


@shared_task(
    name="unique_in_order", order_key="unique:{key}", unique="queued", unique_key="{key}:{name}"
)
def unique_in_order(journal: str, key: str, name: str) -> str:
    """One of each key runs, and each name is queued once."""
    return _run(journal, key, name, 0.0)


@shared_task(name="unique_in_turn", fair_key="{tenant}", unique=True, unique_key="{tenant}")
def unique_in_turn(journal: str, tenant: str) -> str:
    """One of each tenant, and tenants take turns."""
    return _run(journal, tenant, "it", 0.0)


@shared_task(name="step_in_order", order_key="steps:{key}")
def step_in_order(journal: str, key: str, name: str, seconds: float = 0.0) -> str:
    """One of each key runs."""
    return _run(journal, key, name, seconds)


@shared_task(bind=True, name="becomes_steps", order_key="steps:{key}")
def becomes_steps(self: Task[..., Any], journal: str, key: str, name: str) -> Any:
    """Become a chain whose steps have the key of this call."""
    raise self.replace(
        chain(
            step_in_order.si(journal, key, f"{name}a"), step_in_order.si(journal, key, f"{name}b")
        )
    )
