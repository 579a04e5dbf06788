"""Logging: the loggers of tasks, the formats of a worker, and what tasks print.

Names are Celery's where it has them. ``djtasks.task`` is the parent of every logger made by
:func:`get_task_logger`; a worker gives it a handler of its own whose lines begin with the task's
name and id.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
from typing import TextIO

from djtasks import signals
from djtasks.conf import conf

__all__ = [
    "TaskContextFilter",
    "TaskFormatter",
    "get_task_logger",
    "level_number",
    "setup_worker_logging",
]

ROOT_NAME = "djtasks"
TASK_NAME = "djtasks.task"
REDIRECTED_NAME = "djtasks.redirected"

_UNKNOWN = "???"


def get_task_logger(name: str) -> logging.Logger:
    """Return the logger ``name`` as a child of ``djtasks.task``; for tasks modules.

    Args:
        name: usually ``__name__``.

    Raises:
        ValueError: the name is that of djtasks' own loggers.
    """
    if name in (ROOT_NAME, TASK_NAME):
        raise ValueError(f"The logger name {name!r} is reserved: use your module's __name__.")
    parent = logging.getLogger(TASK_NAME)
    # Its dotted parents must exist first: one that is made later would become its parent again.
    for position, character in enumerate(name):
        if character == ".":
            logging.getLogger(name[:position])
    logger = logging.getLogger(name)
    ancestor: logging.Logger | None = logger
    while ancestor is not None and ancestor is not parent:
        ancestor = ancestor.parent
    if ancestor is None:
        logger.parent = parent
    return logger


def _name_task(record: logging.LogRecord) -> None:
    # The running task, or what the caller gave in ``extra``.
    from djtasks.execution.request import current_frame

    frame = current_frame()
    if frame is not None and frame.request.id is not None:
        record.task_name = frame.task.name
        record.task_id = frame.request.id
        return
    if not hasattr(record, "task_name"):
        record.task_name = _UNKNOWN
    if not hasattr(record, "task_id"):
        record.task_id = _UNKNOWN


class TaskFormatter(logging.Formatter):
    """A formatter whose format may name ``%(task_name)s`` and ``%(task_id)s``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of ``record``, after adding the running task's name and id to it."""
        _name_task(record)
        return super().format(record)


class TaskContextFilter(logging.Filter):
    """Adds ``task_name`` and ``task_id`` to records: for handlers of your own ``LOGGING``."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the running task's name and id to ``record``; let every record pass."""
        _name_task(record)
        return True


def level_number(level: int | str) -> int:
    """Return the number of a log level given as a number or a name in any case.

    Raises:
        ValueError: there is no such level.
    """
    if isinstance(level, int):
        return level
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(
            f"There is no log level {level!r}: use DEBUG, INFO, WARNING, ERROR or CRITICAL."
        )
    return number


def setup_worker_logging(loglevel: int | str = "WARNING", stream: TextIO | None = None) -> bool:
    """Set up logging in a worker, once, before it starts anything.

    A receiver of ``setup_logging`` takes over: then nothing is done here. Otherwise the root
    logger gets a handler with ``WORKER_LOG_FORMAT`` (in place of its own, or only if it has none
    where ``WORKER_HIJACK_ROOT_LOGGER`` is off), the tasks' loggers one with
    ``WORKER_TASK_LOG_FORMAT``, and ``after_setup_logger`` and ``after_setup_task_logger`` are sent.

    Args:
        loglevel: a level's name or number.
        stream: where lines go; standard error.

    Returns:
        Whether a receiver has taken over.

    Raises:
        ValueError: there is no such level.
        Exception: whatever a receiver of ``setup_logging`` raises.
    """
    level = level_number(loglevel)
    stream = stream if stream is not None else sys.__stderr__
    options = {
        "loglevel": level,
        "logfile": None,
        "format": conf.WORKER_LOG_FORMAT,
        "colorize": False,
    }
    logging.captureWarnings(True)
    if signals.setup_logging.send(sender=None, **options):
        return True
    root = logging.getLogger()
    task_logger = logging.getLogger(TASK_NAME)
    if conf.WORKER_HIJACK_ROOT_LOGGER:
        for logger in (root, logging.getLogger(ROOT_NAME), task_logger):
            logger.handlers = []
    _add_handler(root, logging.Formatter(conf.WORKER_LOG_FORMAT), level, stream)
    signals.after_setup_logger.emit(None, logger=root, **options)
    _add_handler(task_logger, TaskFormatter(conf.WORKER_TASK_LOG_FORMAT), level, stream)
    task_logger.propagate = False
    options["format"] = conf.WORKER_TASK_LOG_FORMAT
    signals.after_setup_task_logger.emit(None, logger=task_logger, **options)
    if conf.WORKER_REDIRECT_STDOUTS:
        redirect_stdouts(level_number(conf.WORKER_REDIRECT_STDOUTS_LEVEL))
    return False


def _add_handler(
    logger: logging.Logger, formatter: logging.Formatter, level: int, stream: TextIO | None
) -> None:
    logger.setLevel(level)
    if all(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter)
        logger.addHandler(handler)


def redirect_stdouts(level: int) -> None:
    """Make every line that is written to standard output or error a log line of ``level``."""
    logger = get_task_logger(REDIRECTED_NAME)
    sys.stdout = LoggingStream(logger, level)
    sys.stderr = LoggingStream(logger, level)


class LoggingStream(io.TextIOBase):
    """A text stream whose lines become records of ``logger``; blank ones are left out.

    ``print("a", "b")`` writes four times, and threads write at once: each thread's text is kept
    until its line ends, or until ``flush()``.
    """

    def __init__(self, logger: logging.Logger, level: int) -> None:
        super().__init__()
        self.logger = logger
        self.level = level
        self._thread = _ThreadState()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Log every line that ``text`` completes."""
        state = self._thread
        # A handler that writes to this very stream must not make it log for ever.
        if not state.is_logging:
            *lines, state.pending = (state.pending + text).split("\n")
            self._log(lines)
        return len(text)

    def flush(self) -> None:
        """Log what this thread has written of a line."""
        state = self._thread
        line, state.pending = state.pending, ""
        self._log([line])

    def _log(self, lines: list[str]) -> None:
        self._thread.is_logging = True
        try:
            for line in lines:
                if line.strip():
                    self.logger.log(self.level, "%s", line)
        finally:
            self._thread.is_logging = False


class _ThreadState(threading.local):
    pending = ""
    is_logging = False
