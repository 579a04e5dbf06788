"""What the processes of a worker owe each other: an environment, and an end."""

from __future__ import annotations

import ctypes
import os
import signal
import sys


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent is gone (Linux).

    Elsewhere the closed socket tells it, as soon as it looks.
    """
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)


def fresh_environment() -> dict[str, str]:
    """The environment in which a fresh interpreter finds what this one has imported."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
