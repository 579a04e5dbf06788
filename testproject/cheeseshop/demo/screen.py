"""What the demo prints: a line of progress, and the summary."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.management.base import OutputWrapper

    from testproject.cheeseshop.demo.ledger import Ledger, Progress

BAR = 24  # characters
MOST_COMPLAINTS = 8
PLAIN_INTERVAL = 1.0  # seconds between lines of progress where a line cannot be overwritten

HEADINGS = ("task", "queue", "tasks", "succeeded", "failed as intended", "retries", "mean time")


class ProgressLine:
    """One line that updates on a terminal; elsewhere a line now and then."""

    def __init__(self, out: OutputWrapper) -> None:
        self._out = out
        self._updates = out.isatty()
        self._last = float("-inf")
        self._shown = ""
        blocks = "utf" in (getattr(out, "encoding", None) or "").lower()
        self._full, self._empty = ("█", "░") if blocks else ("#", "-")

    def show(self, now: Progress, *, final: bool = False) -> None:
        """Show how far things are."""
        text = f"{now.ended:,} of {now.total:,} tasks have ended"
        if now.running:
            text += f", {now.running} in hand"
        if now.retrying:
            text += f", {now.retrying} wait for another try"
        if self._updates:
            filled = BAR * now.ended // max(now.total, 1)
            text = f"{self._full * filled}{self._empty * (BAR - filled)} {text}"
            text = text[: shutil.get_terminal_size().columns - 1]
            self._write(f"\r{text:<{len(self._shown)}}")
            self._shown = text
            if final:
                self.end()
        elif text != self._shown and (final or time.monotonic() > self._last + PLAIN_INTERVAL):
            self._last, self._shown = time.monotonic(), text
            self._write(text + "\n")

    def end(self) -> None:
        """Leave the line as it is and go to the next one."""
        if self._updates and self._shown:
            self._write("\n")
            self._shown = ""

    def _write(self, text: str) -> None:
        self._out.write(text, ending="")
        self._out.flush()


def summary(ledger: Ledger, write: Callable[[str], object], folder: str) -> None:
    """Print what became of a day's tasks, what there is to look at, and what is not as it should.

    ``folder`` is how to name the day's folder.
    """
    rows = [HEADINGS]
    for account in ledger.accounts.values():
        mean = 1000 * account.runtime / account.tasks
        rows.append(
            (
                account.task.rpartition(".")[2],
                account.queue,
                f"{account.tasks}",
                f"{account.succeeded or '-'}",
                f"{account.intended or '-'}",
                f"{account.retries or '-'}",
                f"{mean:,.1f} ms",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    write("")
    for number, row in enumerate(rows):
        cells = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        write("  " + "  ".join(cells))
        if number == 0:
            write("  " + "  ".join("-" * width for width in widths))
    write("")
    files = ", ".join(f"{number} {name}" for name, number in ledger.files.items())
    write(f"Written to {folder}: {files}, sales.svg, invoices.zip")
    times = ledger.packing_times()
    if len(times) == 2:
        write(
            f"Express orders were packed after {times[True]:.1f} s, others after "
            f"{times[False]:.1f} s (mean)"
        )
    for complaint in ledger.complaints[:MOST_COMPLAINTS]:
        write(f"Not as expected: {complaint}")
    if len(ledger.complaints) > MOST_COMPLAINTS:
        write(f"Not as expected: {len(ledger.complaints) - MOST_COMPLAINTS} more.")
