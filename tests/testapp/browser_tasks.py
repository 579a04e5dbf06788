"""Tasks for people to look at: one that fails until somebody mends what it needs, a slow one."""

from __future__ import annotations

import time
from pathlib import Path

from djtasks import shared_task


class CarrierGoneError(Exception):
    """Nobody carries the parcel."""


@shared_task
def deliver(order_id: int, *, carrier: str) -> str:
    """Deliver an order, if the carrier (a file) is there."""
    if not Path(carrier).exists():
        raise CarrierGoneError(f"no carrier for order {order_id}")
    return f"order {order_id} delivered"


@shared_task
def dawdle(seconds: float) -> None:
    """Take so long."""
    time.sleep(seconds)
