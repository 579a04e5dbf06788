"""(n): how many tasks a second get done that something limits, beside as many plain ones."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from benchmarks import bare
from benchmarks.draining import rate_of_ended, wait_for_all
from benchmarks.measure import Measure, Plan, Report, alternate
from benchmarks.tasks import few, in_turn, lined_up, noop, often
from benchmarks.worker import Worker
from djtasks import enqueue_many

KEYS = 1000
"""How many keys the tasks have among them."""


def limited(plan: Plan) -> Report:
    """No-op tasks of 1,000 keys, of a rate that is never reached, and of tenants in turn."""
    count = plan.count(20_000, least=500)
    with bare.connect() as connection, Worker() as worker:

        def drain(task: Any, keys: int = KEYS) -> float:
            bare.empty(connection)
            with transaction.atomic():
                results = enqueue_many((task, (number % keys,)) for number in range(count))
            wait_for_all(connection, worker, results[-1].id)
            return rate_of_ended(connection, count)

        drain(noop)
        values = alternate(
            plan.rounds,
            lambda: drain(noop),
            lambda: drain(often),
            lambda: drain(few),
            lambda: drain(lined_up),
            lambda: drain(in_turn),
            lambda: drain(in_turn, 1),
        )
        bare.empty(connection)
    report = Report()
    plain = report.figure("plain", "/s", values[0])
    names = (
        "with a rate",
        "three at once of a key",
        "in order of a key",
        f"{KEYS:,} tenants in turn",
        "one tenant",
    )
    for name, found in zip(names, values[1:], strict=True):
        report.at_least(report.ratio(report.figure(name, "/s", found), plain), 0.5)
    return report


MEASURES = [Measure("n", "drain of limited tasks", limited)]
