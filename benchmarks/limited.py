"""(n): how many tasks a second get done that something limits, beside as many plain ones."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction

from benchmarks import bare
from benchmarks.draining import rate_of_ended, wait_for_all
from benchmarks.measure import Measure, Plan, Report, alternate
from benchmarks.tasks import few, in_turn, lined_up, noop, often, once
from benchmarks.worker import Worker
from djtasks import enqueue_many

KEYS = 1000
"""How many keys the tasks have among them."""

FAR = 5000
"""As many that the next of a key is not among what a worker holds while the one before runs."""


def limited(plan: Plan) -> Report:
    """No-op tasks of 1,000 keys, of a rate never reached, of tenants in turn, unique ones."""
    count = plan.count(20_000, least=500)
    with bare.connect() as connection, Worker() as worker:

        def drain(task: Any, keys: int = KEYS) -> float:
            bare.empty(connection)
            with transaction.atomic():
                results = enqueue_many((task, (number % keys,)) for number in range(count))
            wait_for_all(connection, worker, results[-1].id)
            return rate_of_ended(connection, count)

        drains = {
            "with a rate": partial(drain, often),
            "three at once of a key": partial(drain, few),
            f"in order of {FAR:,} keys": partial(drain, lined_up, FAR),
            f"in order of {KEYS:,} keys": partial(drain, lined_up),
            f"{KEYS:,} tenants in turn": partial(drain, in_turn),
            "one tenant": partial(drain, in_turn, 1),
            "unique": partial(drain, once, count),
        }
        drain(noop)
        plain_rounds, *rounds = alternate(plan.rounds, partial(drain, noop), *drains.values())
        bare.empty(connection)
    report = Report()
    plain = report.figure("plain", "/s", plain_rounds)
    for name, found in zip(drains, rounds, strict=True):
        ratio = report.ratio(report.figure(name, "/s", found), plain, f"{name}, to plain")
        report.at_least(ratio, 0.5)
    return report


MEASURES = [Measure("n", "drain of limited tasks", limited)]
