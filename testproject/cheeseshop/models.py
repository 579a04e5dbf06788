"""What the shop keeps in its books."""

from __future__ import annotations

import os
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Sum
from django.utils import timezone

from djtasks import AsyncResult

DATA = Path(__file__).resolve().parent / "data"
"""The files that come in: orders, price lists, the range of cheeses."""

EXPRESS = 9
"""The priority of everything that is done for an express order; larger goes first."""


class OutOfStockError(Exception):
    """There is not enough of a cheese on the shelf."""


class Day(models.Model):
    """A day of the shop: its orders, its errands, its folder of files."""

    opened_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"day {self.pk}"

    @classmethod
    def today(cls) -> Day:
        """The newest day; a new one if there is none."""
        return cls.objects.order_by("-pk").first() or cls.objects.create()

    @property
    def folder(self) -> Path:
        """Where the day's files are."""
        return Path(settings.MEDIA_ROOT) / f"day-{self.pk}"

    def write(self, name: str, content: str) -> str:
        """Write one of the day's files, as a whole or not at all; returns its path for a URL."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(content, encoding="utf-8")
        draft.replace(path)
        return str(path.relative_to(settings.MEDIA_ROOT))

    def remember(self, results: Iterable[AsyncResult[Any]]) -> None:
        """Note tasks that were enqueued for this day, so that each can be accounted for."""
        Errand.objects.bulk_create(Errand(id=result.id, day=self) for result in results)


class Cheese(models.Model):
    """A cheese of the range. Prices in pounds; a portion is 100 g."""

    name = models.CharField(max_length=60, unique=True)
    country = models.CharField(max_length=30)
    price = models.DecimalField(max_digits=6, decimal_places=2)
    cost = models.DecimalField("dairy's price", max_digits=6, decimal_places=2, null=True)
    stock = models.PositiveIntegerField("portions on the shelf")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    """What a customer wants, and how far it has got."""

    day = models.ForeignKey(Day, models.CASCADE, related_name="orders")
    customer = models.CharField(max_length=60)
    email = models.EmailField()
    street = models.CharField(max_length=60)
    town = models.CharField(max_length=40)
    postcode = models.CharField(max_length=10)
    express = models.BooleanField(default=False)
    placed_at = models.DateTimeField(default=timezone.now)
    packed_at = models.DateTimeField(null=True, blank=True)
    tracking = models.CharField("tracking number", max_length=20, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"order {self.number}"

    @property
    def number(self) -> str:
        """The number on the invoice and in the bar code."""
        return f"{self.pk:06d}"

    @property
    def priority(self) -> int:
        """The priority of this order's tasks."""
        return EXPRESS if self.express else 0

    @property
    def total(self) -> Decimal:
        """What it costs, in pounds."""
        return sum((line.amount for line in self.lines.select_related("cheese")), Decimal())

    def take_from_shelf(self) -> None:
        """Take the order's cheeses out of the stock and mark it as packed.

        Raises `OutOfStockError` if there is not enough; call it in a transaction, so that
        nothing is taken then.
        """
        # Always in the same order, lest two packers wait for each other's shelf.
        for line in self.lines.select_related("cheese").order_by("cheese"):
            shelf = Cheese.objects.filter(pk=line.cheese_id, stock__gte=line.portions)
            if not shelf.update(stock=F("stock") - line.portions):
                raise OutOfStockError(f"{line.cheese}: {line.portions} wanted")
        self.packed_at = timezone.now()
        self.save(update_fields=["packed_at"])


class Line(models.Model):
    """A cheese of an order."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    cheese = models.ForeignKey(Cheese, models.PROTECT, related_name="lines")
    portions = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.portions} x {self.cheese}"

    @property
    def amount(self) -> Decimal:
        """What it costs, in pounds."""
        return self.portions * self.cheese.price


class Errand(models.Model):
    """A task that was enqueued for a day, by its id.

    It is written in the transaction that enqueues the task: there is one for each, and for no
    other.
    """

    id = models.UUIDField("task id", primary_key=True)
    day = models.ForeignKey(Day, models.CASCADE, related_name="errands")

    def __str__(self) -> str:
        return str(self.id)


def sales(day: Day) -> list[tuple[str, Decimal]]:
    """What was ordered on a day: cheeses and pounds, the best seller first."""
    sold = (
        Cheese.objects.filter(lines__order__day=day)
        .annotate(amount=Sum(F("lines__portions") * F("price")))
        .order_by("-amount", "name")
    )
    return [(cheese.name, cheese.amount) for cheese in sold]
