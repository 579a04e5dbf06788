"""Limits together with what nobody may claim, and with what becomes of a message elsewhere."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from djtasks import chain, control
from djtasks.models import Message, MessageState, Place, Worker
from djtasks.testing import run_tasks
from tests.testapp import fair_tasks, tasks
from tests.testapp import interplay_tasks as interplay
from tests.testapp import limit_tasks as limited
from tests.worker_process import Journal, WorkerProcess, eventually, wait_drained

SETTINGS = {
    "IMPORTS": [
        f"tests.testapp.{name}" for name in ("limit_tasks", "fair_tasks", "interplay_tasks")
    ],
    "HEARTBEAT_INTERVAL": 0.3,
}

SOON = 12.0  # seconds, on a busy machine, for what takes at most five


@pytest.fixture(scope="module")
def fleet(live_database: None) -> Iterator[None]:
    """Two workers with two children each, which leave one queue to others."""
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(WorkerProcess("-c", "2", "-X", "unserved", settings=SETTINGS))
        yield


def standing(state: MessageState) -> int:
    return Message.objects.filter(state=state).count()


def written(task: str, lane: str, args: str = "[]") -> None:
    """A blocked message of a lane, as it is in the table."""
    Message.objects.create(
        id=uuid.uuid4(),
        task=task,
        payload=f"[{args},{{}}]",
        queue="celery",
        state=MessageState.BLOCKED,
        lane=lane,
        gate=lane,
    )


# --- what nobody may claim keeps no place -------------------------------------------------------


@pytest.mark.usefixtures("live", "fleet")
@pytest.mark.parametrize("how", ["paused", "unserved"])
def test_what_is_blocked_in_a_queue_that_nobody_claims_from_holds_up_no_others_of_its_lane(
    journal: Journal, how: str
) -> None:
    interplay.shares_one.delay(str(journal), "k", "0", 0.8)
    journal.wait("begin k 0")
    queue = "paused" if how == "paused" else "served-no-more"
    for n in range(20):
        interplay.shares_one.apply_async((str(journal), "k", f"other {n}"), queue=queue)
    eventually(lambda: standing(MessageState.BLOCKED) == 20)
    if how == "paused":
        control.pause(queue)
    else:
        Message.objects.filter(queue=queue).update(queue="unserved")
    for n in range(1, 4):
        interplay.shares_one.delay(str(journal), "k", str(n)).get(timeout=SOON)
    assert [line for line in journal.lines if line.startswith("begin")] == [
        f"begin k {n}" for n in range(4)
    ]
    if how == "paused":
        control.resume(queue)
    else:
        Message.objects.filter(queue="unserved").update(queue="celery")
    wait_drained()
    names = [line.split()[-1] for line in journal.lines if line.startswith("begin k other")]
    assert sorted(names, key=int) == [str(n) for n in range(20)]


@pytest.mark.usefixtures("live", "fleet")
def test_a_paused_task_holds_up_no_others_of_a_lane_that_it_shares(journal: Journal) -> None:
    interplay.shares_one.delay(str(journal), "k", "0", 0.8)
    journal.wait("begin k 0")
    for n in range(20):
        interplay.shares_one.delay(str(journal), "k", f"paused{n}")
    eventually(lambda: standing(MessageState.BLOCKED) == 20)
    control.pause_task("shares_one")
    interplay.shares_one_too.delay(str(journal), "k", "1").get(timeout=SOON)
    assert not any("paused" in line for line in journal.lines)
    eventually(lambda: standing(MessageState.HELD) == 20)
    control.resume_task("shares_one")
    wait_drained()
    assert len(journal.lines) == 2 * 22


@pytest.mark.usefixtures("live", "fleet")
def test_a_paused_queue_does_not_use_up_the_rate_of_another(journal: Journal) -> None:
    for n in range(150):
        interplay.five_a_second.apply_async((str(journal), str(n)), queue="paused")
    eventually(lambda: standing(MessageState.BLOCKED) > 100)
    control.pause("paused")
    interplay.five_a_second.delay(str(journal), "other").get(timeout=SOON)
    assert standing(MessageState.BLOCKED) + Message.objects.filter(state=0).count() > 90
    Message.objects.all().delete()
    control.resume("paused")


@pytest.mark.usefixtures("live", "fleet")
def test_tasks_that_nobody_knows_any_more_neither_stay_blocked_nor_hold_up_others(
    journal: Journal,
) -> None:
    # Somebody had the place, and died between his end and the next one's turn.
    Place.objects.create(lane="limit:shared:k", message_id=uuid.uuid4())
    written("known_to_nobody", "limit:shared:k")
    written("shares_one", "limit:shared:k", f'["{journal}","k","1"]')
    journal.wait("end k 1", within=SOON)
    interplay.shares_one.delay(str(journal), "k", "2").get(timeout=SOON)
    # It is failed in time, as any other that nobody knows.
    assert (
        Message.objects.filter(state=MessageState.READY, unknown_since__isnull=False).count() == 1
    )


@pytest.mark.usefixtures("empty")
def test_to_ask_who_serves_a_queue_is_cheap_where_sequential_scans_are_ruled_out() -> None:
    took = []
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL jit = on; SET LOCAL enable_seqscan = off")
        for _ in range(10):
            began = time.perf_counter()
            cursor.execute("SELECT djtasks_served('celery')")
            took.append(time.perf_counter() - began)
    # Compiled by the server each time it took 70 ms, while lanes are locked.
    assert min(took) < 0.02


@pytest.mark.usefixtures("live", "fleet")
def test_a_worker_with_rates_too_finds_what_nobody_told_it_of() -> None:
    add = "tests.testapp.tasks.add"
    for seconds in (None, 1):
        # As a caller leaves it that dies after its commit; first the workers have fallen asleep.
        eventually(lambda: Worker.objects.filter(wants_work=True).count() == 2)
        time.sleep(2.5)
        eta = None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
        state = MessageState.READY if eta is None else MessageState.SCHEDULED
        Message.objects.create(
            id=uuid.uuid4(), task=add, payload="[[1,1],{}]", queue="celery", state=state, eta=eta
        )
        wait_drained(within=SOON + 5)


# --- what a message becomes ---------------------------------------------------------------------


@pytest.mark.usefixtures("live", "fleet")
def test_a_task_may_become_a_chain_whose_steps_have_its_own_key(journal: Journal) -> None:
    interplay.becomes_steps.delay(str(journal), "k", "1")
    interplay.step_in_order.delay(str(journal), "k", "2")
    wait_drained(within=SOON)
    assert sorted(journal.lines[::2]) == ["begin k 1a", "begin k 1b", "begin k 2"]
    # One at a time.
    assert [line.replace("begin", "end") for line in journal.lines[::2]] == journal.lines[1::2]


@pytest.mark.usefixtures("empty")
def test_a_unique_link_stands_in_its_lane_and_in_its_line(journal: Journal) -> None:
    tasks.add.apply_async(
        (1, 1), link=interplay.unique_in_order.si(str(journal), "k", "1").set(queue="elsewhere")
    )
    tasks.add.apply_async(
        (1, 1), link=interplay.unique_in_turn.si(str(journal), "t").set(queue="elsewhere")
    )
    run_tasks(queues=["celery"])
    assert Message.objects.get(task="unique_in_order").lane == "order:unique:k"
    in_turn = Message.objects.get(task="unique_in_turn")
    assert (in_turn.fair, in_turn.state) == ("t", MessageState.IN_LINE)
    assert len(run_tasks()) == 2


# --- in tests -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("empty")
def test_run_tasks_lets_the_next_one_go_after_a_step_whose_key_is_a_result(
    journal: Journal,
) -> None:
    for name in ("1", "2", "3"):
        chain(tasks.add.si(1, 1), limited.after_another.s(str(journal), name))()
    assert len(run_tasks()) == 6
    assert journal.lines[::2] == ["begin 2 1", "begin 2 2", "begin 2 3"]


@pytest.mark.usefixtures("empty")
def test_run_tasks_goes_on_behind_what_is_held_in_a_line(journal: Journal) -> None:
    control.pause_task("for_tenant")
    for n in range(3):
        fair_tasks.for_tenant.delay(str(journal), "a", str(n))
    fair_tasks.tell_tenant.delay("b")
    assert [ran.name for ran in run_tasks()] == ["tell_tenant"]
    assert standing(MessageState.HELD) == 3
