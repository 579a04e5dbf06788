"""The start of a fresh interpreter for the worker: ``python -m djtasks.worker.boot ROLE FD …``."""

from __future__ import annotations

import os
import socket
import sys


def main(role: str, fds: list[int]) -> int:
    """Set Django up and take up the role: ``forker``, ``child`` or ``beat``."""
    if role == "spawner":
        from djtasks.worker import forker

        forker.run(socket.socket(fileno=fds[0]), "spawn")
        return 0

    import django

    django.setup()
    if role == "forker":
        from djtasks.worker import forker

        forker.run(socket.socket(fileno=fds[0]), "forkserver", fresh=True)
        return 0
    if role == "beat":
        from djtasks.worker import beating

        return beating.main(fds[0], fresh=True)
    from djtasks.worker import child

    return child.main(fds[0], fds[1], fresh=True)


if __name__ == "__main__":
    # Ended as a forked child is: nothing that was imported runs code at the exit of a child.
    status = main(sys.argv[1], [int(fd) for fd in sys.argv[2:]])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
