"""What became of a day's work, as the database and the files tell it."""

from __future__ import annotations

import zipfile
from collections import Counter
from dataclasses import dataclass

from django.db.models import Avg, Count, Exists, F, OuterRef, Q, Sum

from djtasks import states
from djtasks.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded
from djtasks.models import Message, TaskResult
from testproject.cheeseshop import tasks
from testproject.cheeseshop.demo.sample import SOLD_OUT, expected_orders
from testproject.cheeseshop.models import Day, Order, OutOfStockError

DOOMED = {
    tasks.wait_for_delivery.name: SoftTimeLimitExceeded.__qualname__,
    tasks.ripen.name: TimeLimitExceeded.__qualname__,
}
"""Tasks that always fail, and with what."""

MAY_FAIL = {**DOOMED, tasks.pack.name: OutOfStockError.__qualname__}
"""Tasks that may fail as intended, and with what."""


@dataclass(frozen=True)
class Progress:
    """How far a day's tasks have got."""

    total: int
    ended: int
    running: int
    retrying: int


@dataclass
class Account:
    """What became of the tasks of one name. Times in seconds."""

    task: str
    queue: str
    tasks: int = 0
    succeeded: int = 0
    intended: int = 0
    retries: int = 0
    runtime: float = 0.0


class Ledger:
    """The tasks of a day, each accounted for by its id."""

    def __init__(self, day: Day) -> None:
        self.day = day
        self.accounts: dict[str, Account] = {}
        self.complaints: list[str] = []
        self.total = day.errands.count()
        self._read_results()
        self.ended = sum(account.tasks for account in self.accounts.values())
        self.succeeded = sum(account.succeeded for account in self.accounts.values())
        self.intended = sum(account.intended for account in self.accounts.values())
        self.lost = self.total - self.ended
        if self.lost:
            self.complaints.append(f"{self.lost} tasks have not ended.")
        self._check_tasks()
        self._check_orders()
        self._check_files()

    @property
    def is_as_expected(self) -> bool:
        """Whether every task ended as it should and everything is there."""
        return not self.complaints

    @property
    def line(self) -> str:
        """All of it in a line."""
        return (
            f"demo: {self.total} tasks, {self.succeeded} succeeded, "
            f"{self.intended} failed as intended, {self.lost} lost"
        )

    def _read_results(self) -> None:
        results = TaskResult.objects.filter(
            id__in=self.day.errands.values("id"), state__in=states.READY_STATES
        )
        counted = results.values("task", "queue", "state", "exception").annotate(
            number=Count("id"), retried=Sum("retries"), time=Sum("runtime")
        )
        for row in counted.order_by("queue", "task"):
            name, state, error, number = (
                row["task"],
                row["state"],
                row["exception"],
                row["number"],
            )
            account = self.accounts.setdefault(name, Account(name, row["queue"]))
            account.tasks += number
            account.retries += row["retried"]
            account.runtime += row["time"] or 0.0
            if state == states.SUCCESS:
                account.succeeded += number
            elif state == states.FAILURE and error == MAY_FAIL.get(name):
                account.intended += number
            else:
                self.complaints.append(f"{number} of {name} ended as {state} ({error}).")

    def _check_tasks(self) -> None:
        for name, error in DOOMED.items():
            account = self.accounts.get(name)
            if account is None or not account.intended:
                self.complaints.append(f"{name} has not failed with {error}.")

    def _check_orders(self) -> None:
        found, expected = self.day.orders.count(), expected_orders()
        if found != expected:
            self.complaints.append(f"There are {found} orders instead of {expected}.")
        sold_out = set(self.day.orders.filter(lines__cheese__name=SOLD_OUT))
        for order in self.day.orders.all():
            if (order.packed_at is None) != (order in sold_out):
                is_not = "is not" if order.packed_at is None else "is"
                self.complaints.append(f"{order} {is_not} packed.")
            if order.packed_at and not order.tracking:
                self.complaints.append(f"{order} has no courier.")

    def _check_files(self) -> None:
        wanted = [f"invoices/{order.number}.html" for order in self.packed]
        wanted += [f"labels/{order.number}.svg" for order in self.packed]
        wanted += [f"outbox/{order.number}.eml" for order in self.packed]
        for name in [*wanted, "sales.svg", "invoices.zip"]:
            if not (self.day.folder / name).is_file():
                self.complaints.append(f"{name} is missing.")
        archive = self.day.folder / "invoices.zip"
        if archive.is_file():
            with zipfile.ZipFile(archive) as file:
                if len(file.namelist()) != len(self.packed):
                    self.complaints.append(f"{archive.name} does not hold every invoice.")
        self.files = Counter(name.partition("/")[0] for name in wanted)

    @property
    def packed(self) -> list[Order]:
        """The orders that were packed."""
        return list(self.day.orders.filter(packed_at__isnull=False))

    def packing_times(self) -> dict[bool, float]:
        """Mean seconds from the day's begin to an order's packing, by whether it is express."""
        times = (
            self.day.orders.filter(packed_at__isnull=False)
            .values("express")
            .annotate(time=Avg(F("packed_at") - F("day__opened_at")))
        )
        return {row["express"]: row["time"].total_seconds() for row in times.order_by("express")}


def progress(day: Day) -> Progress:
    """How far a day has got. One query, hence one moment: no task is seen twice or not at all."""
    of_it = OuterRef("id")
    results = TaskResult.objects.filter(id=of_it)
    counted = day.errands.annotate(
        ended=Exists(results.filter(state__in=states.READY_STATES)),
        running=Exists(Message.objects.filter(id=of_it, worker_id__isnull=False)),
        retrying=Exists(results.filter(state=states.RETRY)),
    ).aggregate(
        total=Count("id"),
        ended_count=Count("id", filter=Q(ended=True)),
        running_count=Count("id", filter=Q(running=True)),
        retrying_count=Count("id", filter=Q(retrying=True)),
    )
    return Progress(
        counted["total"],
        counted["ended_count"],
        counted["running_count"],
        counted["retrying_count"],
    )
