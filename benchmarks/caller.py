"""What enqueueing a chord from a generator adds to the memory of its caller.

``python -m benchmarks.caller COUNT``, in a process of its own because a peak never goes down
again; prints bytes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

KIB = 1024


def growth(count: int) -> int:
    """The peak of the resident memory while a chord of so many is enqueued, above what it was."""
    from benchmarks.tasks import noop
    from djtasks import chord

    def enqueue(size: int) -> None:
        chord(noop.s(number) for number in range(size))(noop.s())

    # A first small one: what is imported, prepared and cached once does not count.
    enqueue(1500)
    before = _status("VmRSS")
    enqueue(count)
    return _status("VmHWM") - before


def _status(name: str) -> int:
    """A size in bytes of this process: what it has, or the most that it ever had."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"/proc/self/status has no {name}: memory is measured on Linux only.")
    return int(found[1]) * KIB


if __name__ == "__main__":
    import django

    django.setup()
    print(growth(int(sys.argv[1])))
