"""The sample work: a day of the shop."""

from __future__ import annotations

import csv
import urllib.request
from http.cookiejar import CookieJar
from urllib.parse import urlencode

from django.core.management.base import CommandError

from djtasks import enqueue_many
from testproject.cheeseshop import tasks
from testproject.cheeseshop.models import DATA, Cheese, Day

ORDER_FILES = ("web.csv", "phone.csv", "market.csv")
WALK_INS = DATA / "walk-ins.csv"
SOLD_OUT = "Venezuelan Beaver Cheese"


def stock_shelves() -> None:
    """Fill the shelves with the range; what is there from an earlier day is counted anew."""
    with (DATA / "cheeses.csv").open(encoding="utf-8", newline="") as file:
        range_of_cheeses = [Cheese(**row) for row in csv.DictReader(file)]
    Cheese.objects.bulk_create(
        range_of_cheeses,
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["country", "price", "stock"],
    )


def begin(day: Day, shop: str) -> None:
    """Enqueue a day's work: by itself, in bulk, in requests to the shop, and for later."""
    day.remember(
        [
            tasks.ask_dairies.delay(),
            tasks.wait_for_delivery.delay(SOLD_OUT),
            tasks.ripen.delay("Parmesan"),
        ]
    )
    day.remember(enqueue_many(tasks.import_orders.s(day, name) for name in ORDER_FILES))
    with WALK_INS.open(encoding="utf-8", newline="") as file:
        for customer in csv.DictReader(file):
            order_in_shop(shop, customer)
    day.remember(
        [
            tasks.draw_chart.apply_async((day,), countdown=2),
            tasks.archive_invoices.apply_async((day,), countdown=2),
        ]
    )


def order_in_shop(shop: str, fields: dict[str, str]) -> None:
    """Fill in the shop's order form and send it, as a browser does."""
    cookies = CookieJar()
    browser = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(cookies)
    )
    browser.open(shop, timeout=30).close()
    token = next(cookie.value for cookie in cookies if cookie.name == "csrftoken")
    form = urlencode({**fields, "csrfmiddlewaretoken": token}).encode()
    with browser.open(shop, form, timeout=30) as answer:
        # A good order is answered by the page it leads to, a bad one by the form itself.
        if 'class="errorlist' in answer.read().decode():
            raise CommandError(f"The shop has refused the order of {fields['customer']}.")


def expected_orders() -> int:
    """How many orders the files hold."""
    found = 0
    for name in ORDER_FILES:
        with (DATA / "orders" / name).open(encoding="utf-8", newline="") as file:
            found += len({row["order"] for row in csv.DictReader(file)})
    with WALK_INS.open(encoding="utf-8", newline="") as file:
        return found + sum(1 for _ in csv.DictReader(file))
