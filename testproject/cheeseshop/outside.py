"""What a real shop would reach over the network: dairies that take their time, and a courier.

They stand in for it here, so that the demo needs no network. What they do is what makes tasks
worthwhile: they are slow, and they are not always there.
"""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

from testproject.cheeseshop.models import DATA

ISLANDS = {"Kirkwall", "Lerwick", "Stornoway", "Tobermory"}
DAIRIES = sorted(path.stem for path in (DATA / "dairies").glob("*.json"))


class LineBusyError(ConnectionError):
    """The courier does not pick up the telephone."""


async def price_list(dairy: str) -> dict[str, Decimal]:
    """A dairy's prices by cheese. It looks them up while you wait."""
    await asyncio.sleep(0.3)
    answer = json.loads((DATA / "dairies" / f"{dairy}.json").read_text(encoding="utf-8"))
    return {cheese: Decimal(price) for cheese, price in answer["prices"].items()}


def book_collection(number: str, town: str, *, call: int) -> str:
    """Have a parcel collected; returns its tracking number.

    Raises `LineBusyError` on the first call for an island: they have one line to the mainland.
    """
    if town in ISLANDS and call == 1:
        raise LineBusyError(f"The line to {town} is busy.")
    return f"CHZ{number}GB"
