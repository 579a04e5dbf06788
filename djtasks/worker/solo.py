"""The solo pool: tasks run in the main thread of the worker's only process."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from djtasks import signals
from djtasks.execution import connections
from djtasks.worker.child import Child
from djtasks.worker.runner import Runner, note
from djtasks.worker.wire import Reader

if TYPE_CHECKING:
    from djtasks.worker.parent import Parent

logger = logging.getLogger("djtasks.worker")


class SoloChild:
    """The parent's only child, in the same process, on the other end of the same socket pair.

    Made when the parent has started its crew.
    """

    def __init__(self, parent: Parent) -> None:
        self._board = parent.crew.board
        self._sock = parent.crew.members[0].theirs

    def serve(self) -> None:
        """Run what the parent hands out until it closes its end."""
        reader = Reader(self._sock)
        frames = reader.wait()
        if not frames:
            return
        config = frames[0]
        connections.watch_connections()
        runner = Runner(config)
        signals.worker_process_init.emit(None)
        self._sock.sendall(note("ready", []))
        try:
            Child(self._sock, reader, self._board, runner, config).serve(frames[1:])
        except (BrokenPipeError, ConnectionResetError):
            # The parent stopped at once, without waiting for the outcome.
            logger.debug("The parent is gone")
        finally:
            signals.worker_process_shutdown.emit(None, pid=os.getpid(), exitcode=0)
            runner.close()
