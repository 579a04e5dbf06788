"""An exception with its traceback as text, as handlers and signals receive it."""

from __future__ import annotations

import asyncio
import os
import traceback
from typing import TYPE_CHECKING

from djtasks.codec import storable

if TYPE_CHECKING:
    from types import TracebackType


_OURS = (os.path.dirname(__file__), os.path.dirname(asyncio.__file__))


def _is_ours(tb: TracebackType) -> bool:
    """Whether a frame is of the executor, or of the loop in which it runs a coroutine."""
    return tb.tb_frame.f_code.co_filename.startswith(_OURS)


class ExceptionInfo:
    """Celery's ``einfo``: ``exception``, ``type``, ``traceback`` (text) and ``tb``."""

    __slots__ = ("exception", "tb", "traceback", "type")

    def __init__(self, exception: BaseException) -> None:
        """Describe ``exception``, leaving out the outermost frames, which are the executor's."""
        tb: TracebackType | None = exception.__traceback__
        while tb is not None and tb.tb_next is not None and _is_ours(tb):
            tb = tb.tb_next
        self.exception = exception
        self.type = type(exception)
        self.tb = tb
        self.traceback = storable("".join(traceback.format_exception(self.type, exception, tb)))

    def __str__(self) -> str:
        return self.traceback

    def __repr__(self) -> str:
        return f"<ExceptionInfo: {self.exception!r}>"

    def clear(self) -> None:
        """Let go of what the frames hold, so that a failure does not keep memory."""
        traceback.clear_frames(self.tb)
        self.tb = None
