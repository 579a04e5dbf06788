"""How much memory processes hold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def held_by(pids: Iterable[int]) -> int | None:
    """The bytes that these processes hold together; None where the system does not tell.

    What several of them share counts once, a part for each (PSS), where the kernel knows it;
    elsewhere it counts for each of them (RSS). Those that have ended count for nothing.
    """
    sizes = [size for pid in pids if (size := _of(pid)) is not None]
    return sum(sizes) if sizes else None


def _of(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        # An old kernel, or one that keeps it to itself.
        pass
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
