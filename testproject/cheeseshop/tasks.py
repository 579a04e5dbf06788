"""The shop's errands.

An order is imported from a file or placed in the shop, then packed; a packed order needs an
invoice, a label and a courier, and when the courier is booked its customer is thanked.
"""

from __future__ import annotations

import asyncio
import time
import zipfile
from datetime import timedelta

from django.db import transaction

from djtasks import Task, enqueue_many, get_task_logger, shared_task
from djtasks.models import Message
from testproject.cheeseshop import outside, paperwork
from testproject.cheeseshop.models import DATA, Cheese, Day, Order, OutOfStockError

logger = get_task_logger(__name__)


@shared_task(queue="counter", priority=10, atomic=True)
def import_orders(day: Day, file_name: str) -> str:
    """Write a file of orders to the books, and have every one of them packed.

    The rows, the tasks for them and the end of this task are one commit: all or nothing.
    """
    orders = paperwork.read_orders(day, DATA / "orders" / file_name)
    day.remember(enqueue_many(pack.s(order).set(priority=order.priority) for order in orders))
    return f"{len(orders)} orders"


@shared_task(queue="counter", atomic=True, throws=OutOfStockError)
def pack(order: Order) -> str:
    """Pack an order; only then is there something to invoice, to label and to collect.

    When a cheese is sold out, nothing is taken off the shelf and none of the rest happens.
    """
    order.take_from_shelf()
    calls = [render_invoice.s(order), draw_label.s(order), book_courier.s(order)]
    order.day.remember(enqueue_many(call.set(priority=order.priority) for call in calls))
    return f"packed for £{order.total}"


# Writing a file again does no harm, so these may be run again if a worker is lost.
@shared_task(queue="print", acks_late=True)
def render_invoice(order: Order) -> str:
    """Print the invoice of an order."""
    return order.day.write(f"invoices/{order.number}.html", paperwork.invoice(order))


@shared_task(queue="print", acks_late=True)
def draw_label(order: Order) -> str:
    """Print the label for an order's parcel."""
    return order.day.write(f"labels/{order.number}.svg", paperwork.label(order))


@shared_task(
    bind=True,
    queue="courier",
    autoretry_for=(outside.LineBusyError,),
    retry_backoff=True,
    retry_jitter=False,
)
def book_courier(self: Task[..., str], order: Order) -> str:
    """Have an order collected. If the line is busy, call again: after 1, 2, 4 … seconds."""
    call = self.request.retries + 1
    order.tracking = outside.book_collection(order.number, order.town, call=call)
    with transaction.atomic():
        order.save(update_fields=["tracking"])
        order.day.remember([thank_customer.apply_async((order,), countdown=1)])
    return order.tracking


@shared_task(queue="mail")
def thank_customer(order: Order) -> str:
    """Write to the customer that the parcel is on its way."""
    return order.day.write(f"outbox/{order.number}.eml", paperwork.letter(order))


@shared_task(queue="office")
async def ask_dairies() -> int:
    """Ask all dairies for their prices, at the same time; returns how many cheeses they make."""
    answers = await asyncio.gather(*map(outside.price_list, outside.DAIRIES))
    prices = {cheese: cost for answer in answers for cheese, cost in answer.items()}
    for cheese, cost in prices.items():
        await Cheese.objects.filter(name=cheese).aupdate(cost=cost)
    return len(prices)


@shared_task(queue="office")
def look_at_shelves() -> str:
    """Say what is sold out; done again and again, see the setting BEAT_SCHEDULE."""
    sold_out = Cheese.objects.filter(stock=0).order_by("name").values_list("name", flat=True)
    return f"Sold out: {', '.join(sold_out) or 'nothing'}"


@shared_task(queue="office")
def draw_chart(day: Day) -> str:
    """Draw what was ordered on a day."""
    return day.write("sales.svg", paperwork.chart(day))


@shared_task(bind=True, queue="office", priority=-10, max_retries=None)
def archive_invoices(self: Task[..., str], day: Day) -> str:
    """Put all invoices of a day into one file, once the last of them is printed."""
    before = [import_orders.name, pack.name, render_invoice.name]
    if Message.objects.filter(task__in=before, id__in=day.errands.values("id")).exists():
        raise self.retry(countdown=1)
    orders = day.orders.filter(packed_at__isnull=False)
    invoices = [day.folder / f"invoices/{order.number}.html" for order in orders]
    with zipfile.ZipFile(day.folder / "invoices.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for invoice in invoices:
            archive.write(invoice, invoice.name)
    return f"{len(invoices)} invoices"


@shared_task(queue="cellar", soft_time_limit=1)
def wait_for_delivery(cheese: str) -> None:
    """Wait at the back door until a cheese is delivered. Nobody has more than a second for it."""
    while not Cheese.objects.filter(name=cheese, stock__gt=0).exists():
        time.sleep(0.1)


@shared_task(queue="cellar", time_limit=1)
def ripen(cheese: str) -> str:
    """Let a cheese ripen for as long as it takes; the cellar gives it a second."""
    time.sleep(timedelta(days=3 * 365).total_seconds())
    return f"{cheese}, three years old"
