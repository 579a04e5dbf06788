"""Loggers of tasks, formats of a worker, and what tasks print."""

from __future__ import annotations

import io
import logging
import sys
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from djtasks import shared_task, signals
from djtasks.conf import SETTINGS
from djtasks.execution.request import Context, pop, push
from djtasks.log import (
    TaskContextFilter,
    TaskFormatter,
    get_task_logger,
    level_number,
    setup_worker_logging,
)


@shared_task
def logs() -> None: ...


@pytest.fixture
def running() -> Iterator[str]:
    """A task runs here; its id."""
    id = str(uuid.uuid4())
    token = push(logs, Context(id=id))
    yield id
    pop(token)


@pytest.fixture
def loggers() -> Iterator[None]:
    """All that set-up changes is put back."""
    changed = [logging.getLogger(name) for name in (None, "djtasks", "djtasks.task")]
    before = [(each, each.handlers[:], each.level, each.propagate) for each in changed]
    streams = sys.stdout, sys.stderr
    yield
    for logger, handlers, level, propagate in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)
    sys.stdout, sys.stderr = streams
    logging.captureWarnings(False)


def record() -> logging.LogRecord:
    return logging.LogRecord("x", logging.INFO, __file__, 1, "said %s", ("so",), None)


# -- loggers --------------------------------------------------------------------------------------


def test_a_task_logger_has_its_name_and_our_parent() -> None:
    logger = get_task_logger("shop_a.tasks")
    assert logger.name == "shop_a.tasks"
    assert logger is logging.getLogger("shop_a.tasks")
    assert logger.parent is logging.getLogger("djtasks.task")
    assert get_task_logger("shop_a.tasks") is logger


def test_a_parent_that_is_made_later_does_not_take_it_away() -> None:
    logger = get_task_logger("shop_b.inner.tasks")
    for name in ("shop_b", "shop_b.inner"):
        assert logging.getLogger(name).parent is not logging.getLogger("djtasks.task")
    assert logger.parent is logging.getLogger("djtasks.task")


def test_a_child_of_the_task_logger_stays_where_it_is() -> None:
    parent = logging.getLogger("djtasks.task.shop")
    assert get_task_logger("djtasks.task.shop.mail").parent is parent


@pytest.mark.parametrize("name", ["djtasks", "djtasks.task"])
def test_our_own_names_are_reserved(name: str) -> None:
    with pytest.raises(ValueError, match="is reserved"):
        get_task_logger(name)


def test_messages_of_tasks_reach_the_root_outside_of_a_worker(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        get_task_logger("shop_c.tasks").info("packed")
    assert caplog.messages == ["packed"]


# -- the task in the line -------------------------------------------------------------------------

FORMAT = "%(task_name)s[%(task_id)s] %(message)s"


def test_a_line_names_the_running_task(running: str) -> None:
    assert TaskFormatter(FORMAT).format(record()) == f"{logs.name}[{running}] said so"


def test_a_line_outside_of_tasks() -> None:
    assert TaskFormatter(FORMAT).format(record()) == "???[???] said so"


def test_a_line_about_a_task_that_runs_elsewhere() -> None:
    line = record()
    line.__dict__.update(task_name="shop.tasks.pack", task_id="7")
    assert TaskFormatter(FORMAT).format(line) == "shop.tasks.pack[7] said so"


def test_the_filter_does_it_for_handlers_of_others(running: str) -> None:
    line = record()
    assert TaskContextFilter().filter(line)
    assert (line.__dict__["task_name"], line.__dict__["task_id"]) == (logs.name, running)


# -- set-up ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("loggers")
def test_a_worker_writes_celerys_lines(running: str) -> None:
    stream = io.StringIO()
    assert setup_worker_logging("info", stream) is False
    logging.getLogger("shop").info("from the shop")
    get_task_logger("shop_d.tasks").info("from a task")
    logging.getLogger("shop").debug("too low")
    lines = stream.getvalue().splitlines()
    assert [line.partition(": ")[2] for line in lines] == [
        "INFO/MainProcess] from the shop",
        f"INFO/MainProcess] {logs.name}[{running}]: from a task",
    ]


@pytest.mark.usefixtures("loggers")
@override_settings(
    DJTASKS={"WORKER_LOG_FORMAT": "W %(message)s", "WORKER_TASK_LOG_FORMAT": "T %(message)s"}
)
def test_formats_are_settings() -> None:
    stream = io.StringIO()
    setup_worker_logging(logging.INFO, stream)
    logging.getLogger("shop").info("a")
    get_task_logger("shop_d.tasks").info("b")
    assert stream.getvalue() == "W a\nT b\n"


@pytest.mark.usefixtures("loggers")
@pytest.mark.parametrize("hijack", [True, False])
def test_handlers_of_the_root_logger(hijack: bool) -> None:
    own, others = io.StringIO(), io.StringIO()
    logging.getLogger().handlers = [logging.StreamHandler(others)]
    with override_settings(DJTASKS={"WORKER_HIJACK_ROOT_LOGGER": hijack}):
        setup_worker_logging("INFO", own)
    logging.getLogger("shop").info("a")
    assert ("a" in own.getvalue()) is hijack
    assert ("a" in others.getvalue()) is not hijack


@pytest.mark.usefixtures("loggers")
def test_a_receiver_of_setup_logging_takes_over() -> None:
    got: list[Any] = []

    @signals.setup_logging.connect
    def set_up(loglevel: int, **kwargs: Any) -> None:
        got.append((loglevel, kwargs["format"]))

    before = logging.getLogger().handlers[:]
    assert setup_worker_logging("INFO") is True
    signals.setup_logging.disconnect(set_up)
    assert got == [(logging.INFO, SETTINGS["WORKER_LOG_FORMAT"].default)]
    assert logging.getLogger().handlers == before


@pytest.mark.usefixtures("loggers")
def test_an_error_in_a_receiver_of_setup_logging_is_seen() -> None:
    @signals.setup_logging.connect
    def set_up(**kwargs: Any) -> None:
        raise ValueError("no such handler")

    try:
        with pytest.raises(ValueError, match="no such handler"):
            setup_worker_logging("INFO")
    finally:
        signals.setup_logging.disconnect(set_up)


@pytest.mark.usefixtures("loggers")
def test_receivers_may_add_handlers() -> None:
    got: list[Any] = []

    def receive(sender: object, signal: Any, logger: logging.Logger, **kwargs: Any) -> None:
        got.append((signal.name, logger.name, kwargs["loglevel"]))

    for signal in (signals.after_setup_logger, signals.after_setup_task_logger):
        signal.connect(receive)
    setup_worker_logging("INFO", io.StringIO())
    assert got == [
        ("after_setup_logger", "root", logging.INFO),
        ("after_setup_task_logger", "djtasks.task", logging.INFO),
    ]


@pytest.mark.usefixtures("loggers")
def test_set_up_twice_writes_each_line_once() -> None:
    stream = io.StringIO()
    setup_worker_logging("INFO", stream)
    setup_worker_logging("INFO", stream)
    logging.getLogger("shop").info("a")
    get_task_logger("shop_d.tasks").info("b")
    assert len(stream.getvalue().splitlines()) == 2


@pytest.mark.usefixtures("loggers")
@override_settings(DJTASKS={"WORKER_REDIRECT_STDOUTS": True, "WORKER_LOG_FORMAT": "%(message)s"})
def test_what_is_printed_becomes_lines(running: str) -> None:
    stream = io.StringIO()
    setup_worker_logging("INFO", stream)
    print("one", "two")  # noqa: T201
    print("\nthree\nfo", end="")  # noqa: T201
    thread = threading.Thread(target=print, args=("from a thread",))
    thread.start()
    thread.join()
    print("ur", flush=True)  # noqa: T201
    sys.stderr.write("five")
    sys.stderr.flush()
    sys.stderr.flush()
    lines = [line.partition(": ")[2] for line in stream.getvalue().splitlines()]
    assert lines == [
        f"WARNING/MainProcess] {logs.name}[{running}]: one two",
        f"WARNING/MainProcess] {logs.name}[{running}]: three",
        "WARNING/MainProcess] ???[???]: from a thread",
        f"WARNING/MainProcess] {logs.name}[{running}]: four",
        f"WARNING/MainProcess] {logs.name}[{running}]: five",
    ]


@pytest.mark.usefixtures("loggers")
@override_settings(DJTASKS={"WORKER_REDIRECT_STDOUTS": True})
def test_a_handler_that_prints_does_not_print_for_ever() -> None:
    setup_worker_logging("INFO", io.StringIO())
    seen: list[str] = []

    class Printing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())
            print("seen:", record.getMessage())  # noqa: T201

    logging.getLogger("djtasks.task").addHandler(Printing())
    print("once")  # noqa: T201
    assert seen == ["once"]


@pytest.mark.parametrize(("level", "number"), [("info", 20), ("WARNING", 30), (5, 5), ("Warn", 30)])
def test_levels(level: int | str, number: int) -> None:
    assert level_number(level) == number


def test_an_unknown_level() -> None:
    with pytest.raises(ValueError, match="There is no log level 'loud': use DEBUG"):
        level_number("loud")
