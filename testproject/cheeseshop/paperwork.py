"""What the shop prints and sends: pages, pictures and letters, as text."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from django.template.loader import render_to_string

from testproject.cheeseshop.models import Cheese, Day, Line, Order, sales

CODE_39 = {
    "0": "nnnwwnwnn",
    "1": "wnnwnnnnw",
    "2": "nnwwnnnnw",
    "3": "wnwwnnnnn",
    "4": "nnnwwnnnw",
    "5": "wnnwwnnnn",
    "6": "nnwwwnnnn",
    "7": "nnnwnnwnw",
    "8": "wnnwnnwnn",
    "9": "nnwwnnwnn",
    "*": "nwnnwnwnn",
}
"""Bars and the spaces between them in turn, narrow or wide; ``*`` starts and ends."""


def read_orders(day: Day, path: Path) -> list[Order]:
    """Write the orders of a CSV file, one line for each cheese, to the books."""
    cheeses = {cheese.name: cheese for cheese in Cheese.objects.all()}
    orders, lines = [], []
    with path.open(encoding="utf-8", newline="") as file:
        for _reference, rows in groupby(csv.DictReader(file), key=itemgetter("order")):
            for position, row in enumerate(rows):
                if position == 0:
                    orders.append(_order(day, row))
                cheese = cheeses[row["cheese"]]
                lines.append(Line(order=orders[-1], cheese=cheese, portions=int(row["portions"])))
    Order.objects.bulk_create(orders)
    Line.objects.bulk_create(lines)
    return orders


def _order(day: Day, row: dict[str, str]) -> Order:
    return Order(
        day=day,
        customer=row["customer"],
        email=row["email"],
        street=row["street"],
        town=row["town"],
        postcode=row["postcode"],
        express=row["delivery"] == "express",
        placed_at=datetime.fromisoformat(row["placed_at"]).replace(tzinfo=UTC),
    )


def invoice(order: Order) -> str:
    """An order's invoice, as a page."""
    lines = order.lines.select_related("cheese")
    return render_to_string("cheeseshop/invoice.html", {"order": order, "lines": lines})


def label(order: Order) -> str:
    """The label on an order's parcel, with a bar code, as an SVG picture."""
    bars = list(bar_code(order.number))
    return render_to_string("cheeseshop/label.svg", {"order": order, "bars": bars})


def bar_code(digits: str) -> Iterator[tuple[int, int]]:
    """The bars of a Code 39 bar code: their left edges and widths, in narrow bars."""
    left = 0
    for character in f"*{digits}*":
        for position, width in enumerate(1 if w == "n" else 3 for w in CODE_39[character]):
            if position % 2 == 0:
                yield left, width
            left += width
        left += 1


def chart(day: Day) -> str:
    """What was ordered on a day, as an SVG picture: a bar for each cheese."""
    sold = sales(day)
    highest = max((amount for _, amount in sold), default=1)
    rows = [
        {"top": 50 + 30 * row, "name": name, "amount": amount, "width": int(400 * amount / highest)}
        for row, (name, amount) in enumerate(sold)
    ]
    context = {"day": day, "rows": rows, "height": 60 + 30 * len(rows)}
    return render_to_string("cheeseshop/chart.svg", context)


def letter(order: Order) -> str:
    """The mail that thanks for an order, as it would be sent."""
    message = EmailMessage()
    message["Subject"] = f"Your cheese is on its way ({order.number})"
    message["From"] = "The Cheese Shop <counter@example.com>"
    message["To"] = order.email
    text = render_to_string("cheeseshop/letter.txt", {"order": order})
    message.set_content(text, cte="8bit")
    return message.as_bytes().decode()
