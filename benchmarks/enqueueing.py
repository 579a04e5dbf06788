"""(a) and (b): how many calls a second get into the queue."""

from __future__ import annotations

from benchmarks import bare
from benchmarks.measure import Measure, Plan, Report, alternate, rate
from benchmarks.tasks import noop
from djtasks import enqueue_many


def single(plan: Plan) -> Report:
    """``delay()`` in autocommit: each call is committed, and on the disk, when it returns."""
    count = plan.count(2000)
    with bare.connect() as connection:

        def ours() -> float:
            bare.empty(connection)
            noop.delay(0)
            return rate(count, lambda: [noop.delay(number) for number in range(count)])

        def inserts() -> float:
            bare.empty(connection)
            bare.insert_each(connection, 10)
            return rate(count, lambda: bare.insert_each(connection, count))

        ours_values, bare_values = alternate(plan.rounds, ours, inserts)
        bare.empty(connection)
    report = Report()
    a = report.figure("delay()", "/s", ours_values)
    b = report.figure("bare INSERT", "/s", bare_values)
    report.at_least(report.ratio(a, b), 0.6)
    return report


def bulk(plan: Plan) -> Report:
    """``enqueue_many()``: a thousand in a round trip and a commit."""
    count = plan.count(20_000, least=2000)
    with bare.connect() as connection:

        def ours() -> float:
            bare.empty(connection)
            calls = ((noop, (number,)) for number in range(count))
            return rate(count, lambda: enqueue_many(calls))

        def inserts() -> float:
            bare.empty(connection)
            return rate(count, lambda: bare.insert_many(connection, count))

        ours_values, bare_values = alternate(plan.rounds, ours, inserts)
        bare.empty(connection)
    report = Report()
    a = report.figure("enqueue_many()", "/s", ours_values)
    b = report.figure("bare INSERT ... unnest", "/s", bare_values)
    report.at_least(report.ratio(a, b), 0.6)
    return report


MEASURES = [
    Measure("a", "single enqueues, durable", single),
    Measure("b", "bulk enqueues, 1,000 a batch", bulk),
]
