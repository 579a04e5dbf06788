"""Limits together with what is set at run time: rates of tasks, and pauses of tasks in lines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction

from djtasks import control, enqueue_many
from djtasks.browser.conditions import KINDS
from djtasks.browser.counts import Capped, counts
from djtasks.browser.find import Filter, find
from djtasks.browser.fleet import workers
from djtasks.browser.offered import offered
from djtasks.browser.queues import queues
from djtasks.models import Message, MessageState, Rate
from djtasks.testing import run_tasks
from djtasks.worker.rates import Rates
from tests.test_lanes import assert_kept
from tests.testapp import fair_tasks, tasks
from tests.testapp import limit_tasks as limited
from tests.worker_process import (
    Journal,
    WorkerProcess,
    eventually,
    states,
    wait_drained,
    wait_known,
)

SETTINGS = {
    "IMPORTS": ["tests.testapp.limit_tasks", "tests.testapp.fair_tasks"],
    "HEARTBEAT_INTERVAL": 0.3,
}


@pytest.fixture(scope="module")
def fleet(live_database: None) -> Iterator[None]:
    """Two workers with two children each."""
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(WorkerProcess("-c", "2", settings=SETTINGS))
        yield


def standing(state: MessageState) -> int:
    return Message.objects.filter(state=state).count()


def starts(journal: Journal) -> list[float]:
    """When tasks of a rate began."""
    return sorted(float(line.split()[0]) for line in journal.lines if line[0].isdigit())


# --- rates that are set ------------------------------------------------------------------------


@pytest.mark.usefixtures("live", "fleet")
def test_a_rate_that_is_set_holds_over_all_workers_until_it_is_lifted(journal: Journal) -> None:
    control.limit_task("unlimited", rate_limit="1/h")
    wait_known()
    enqueue_many((limited.unlimited, (str(journal), str(n))) for n in range(50))
    eventually(lambda: standing(MessageState.BLOCKED) == 49)
    assert len(journal.lines) == 1
    control.limit_task("unlimited", rate_limit=None)
    wait_drained()
    assert len(journal.lines) == 50


@pytest.mark.usefixtures("live", "fleet")
def test_what_waits_for_a_slow_rate_goes_by_the_faster_one_that_is_set(journal: Journal) -> None:
    control.limit_task("twenty_a_second", rate_limit="1/h")
    wait_known()
    enqueue_many((limited.twenty_a_second, (str(journal), str(n))) for n in range(31))
    eventually(lambda: standing(MessageState.BLOCKED) == 30)
    asked = time.monotonic()
    control.limit_task("twenty_a_second", rate_limit="10/s")
    wait_drained()
    times = starts(journal)[1:]
    assert len(times) == 30
    assert_kept(times, asked, interval=0.1)


@pytest.mark.usefixtures("live", "fleet")
def test_zero_lifts_the_rate_of_the_code(journal: Journal) -> None:
    control.limit_task("twenty_a_second", rate_limit="0")
    wait_known()
    enqueue_many((limited.twenty_a_second, (str(journal), str(n))) for n in range(600))
    wait_drained()
    times = starts(journal)
    assert len(times) == 600
    # It would be thirty seconds.
    assert times[-1] - times[0] < 20


def test_a_rate_that_somebody_wrote_by_hand_and_is_none_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rates = Rates()
    rates.set([("a", "often"), ("b", "5/s"), ("c", None)])
    assert ("a" in rates, "b" in rates, "c" in rates) == (False, True, False)
    assert "Task a: the rate that is set for it is left out: 'often' is no rate" in caplog.text
    assert rates.any


# --- pauses of tasks ---------------------------------------------------------------------------


@pytest.mark.usefixtures("live", "fleet")
def test_a_paused_task_of_a_line_is_held_and_goes_back_into_its_line(journal: Journal) -> None:
    control.pause_task("for_tenant")
    calls = [(str(journal), tenant, str(n)) for n in range(20) for tenant in "ab"]
    enqueue_many((fair_tasks.for_tenant, call) for call in calls)
    eventually(lambda: standing(MessageState.HELD) == 40)
    # In nobody's way: others of the queue run.
    assert tasks.add.delay(1, 1).get(timeout=60) == 2
    assert journal.lines == []
    Message.objects.filter(fair="a").update(worker_id=None)
    control.resume_task("for_tenant")
    wait_drained()
    assert sum(line.startswith("done") for line in journal.lines) == 40


@pytest.mark.usefixtures("live", "fleet")
def test_nobody_overtakes_a_paused_one_in_an_order(journal: Journal) -> None:
    control.pause_task("numbered")
    limited.numbered.delay(str(journal), "k", "1")
    eventually(lambda: standing(MessageState.HELD) == 1)
    limited.numbered_too.delay(str(journal), "k", "2")
    eventually(lambda: standing(MessageState.BLOCKED) == 1)
    control.resume_task("numbered")
    wait_drained()
    assert [line for line in journal.lines if line.startswith("begin")] == [
        "begin k 1",
        "begin k 2",
    ]


@pytest.mark.usefixtures("live", "fleet")
def test_those_that_an_end_lets_through_are_held_if_their_task_is_paused(
    journal: Journal, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    limited.one_of_each.delay(str(journal), "k", "0", str(gate))
    journal.wait("begin k 0")
    for n in range(1, 4):
        limited.one_of_each.delay(str(journal), "k", str(n), str(gate))
    try:
        eventually(lambda: standing(MessageState.BLOCKED) == 3)
        control.pause_task("one_of_each")
    finally:
        gate.touch()
    journal.wait("end k 0")
    time.sleep(0.5)
    assert sum(line.startswith("begin") for line in journal.lines) == 1
    control.resume_task("one_of_each")
    wait_drained()
    assert states() == {"SUCCESS": 4}


@pytest.mark.usefixtures("empty")
def test_in_tests_what_is_in_a_line_is_held_too(journal: Journal) -> None:
    control.pause_task("for_tenant")
    fair_tasks.for_tenant.delay(str(journal), "a", "1")
    assert run_tasks() == []
    assert standing(MessageState.HELD) == 1
    control.resume_task("for_tenant")
    assert standing(MessageState.IN_LINE) == 1
    assert len(run_tasks()) == 1


# --- in the browser ----------------------------------------------------------------------------


@pytest.mark.usefixtures("empty")
def test_what_stands_in_lines_is_shown_as_ready(journal: Journal) -> None:
    for tenant in "aab":
        fair_tasks.for_tenant.apply_async((str(journal), tenant, "1"), queue="lined")
    (queue,) = queues()
    assert (queue.name, queue.ready, queue.running) == ("lined", Capped(3), 0)
    assert queue.latency is not None
    numbers = counts(queues(), workers())
    assert (numbers.ready, numbers.blocked) == (Capped(3), Capped(0))
    assert "lined" in offered().queues
    assert len(find(Filter(states=("READY",))).records) == 3
    assert {record.state for record in find(Filter()).records} == {"READY"}


def test_every_state_of_messages_is_shown_as_something() -> None:
    assert set(KINDS) == set(MessageState)


# --- rows that somebody wrote by hand ----------------------------------------------------------


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("state", [MessageState.BLOCKED, MessageState.IN_LINE])
def test_a_message_that_nobody_would_find_is_refused_by_the_database(state: MessageState) -> None:
    with pytest.raises(IntegrityError, match="djtasks_message_findable"), transaction.atomic():
        Message.objects.create(task="a", queue="q", payload="[[],{}]", state=state)
    Message.objects.create(task="a", queue="q", payload="[[],{}]", state=state, gate="g", fair="f")


@pytest.mark.usefixtures("live", "fleet")
def test_a_rate_and_turns_both_hold(journal: Journal) -> None:
    calls = [(str(journal), tenant, str(n)) for n in range(10) for tenant in "abc"]
    asked = time.monotonic()
    enqueue_many((fair_tasks.thirty_a_second, call) for call in calls)
    wait_drained()
    times = starts(journal)
    assert len(times) == 30
    assert_kept(times, asked, interval=1 / 30)
    assert not Rate.objects.exclude(name="rate:thirty_a_second").exists()
