"""Limits on real workers: whatever becomes of who has a place, the others go on, in their order."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from djtasks import chain, control, enqueue_many
from djtasks.models import Message, MessageState, Place, TaskResult
from tests.test_lanes import SETTINGS, assert_kept, most_at_once
from tests.testapp import limit_tasks as tasks
from tests.worker_process import PATIENCE, Journal, WorkerProcess, eventually, states, wait_drained


@pytest.fixture(scope="module")
def workers(live_database: None) -> Iterator[list[WorkerProcess]]:
    """Two workers, one of threads; the queues one and two are left to others."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(WorkerProcess("-c", "3", "-X", "one,two", *more, settings=SETTINGS))
            for more in ((), ("-P", "threads"))
        ]


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """A file that lets waiting tasks end; it is there after the test, whatever became of it."""
    gate = tmp_path / "gate"
    yield gate
    gate.touch()


def names(journal: Journal, word: str, key: str) -> list[str]:
    """What was noted of a key, in order."""
    return [line.split()[2] for line in journal.lines if line.startswith(f"{word} {key} ")]


def starts(journal: Journal) -> list[float]:
    """When tasks of a rate began."""
    return sorted(float(line.split()[0]) for line in journal.lines if line[0].isdigit())


def some_blocked(count: int) -> None:
    """Wait until so many are blocked."""
    eventually(
        lambda: Message.objects.filter(state=MessageState.BLOCKED).count() == count,
        f"{count} to be blocked",
    )


# --- who holds the place goes another way ------------------------------------------------------


@pytest.mark.usefixtures("live", "workers")
@pytest.mark.parametrize("how", ["revoke", "delete", "purge", "hand"])
def test_the_others_go_on_when_the_one_with_the_place_is_taken_away(
    journal: Journal, how: str
) -> None:
    # It waits for its next try, in its place, until somebody takes it away.
    first = tasks.in_order.apply_async((str(journal), "k", "0", 0.0, 1, 3600.0), queue="first")
    eventually(Message.objects.filter(id=first.key, state=MessageState.SCHEDULED).exists)
    results = [tasks.in_order.delay(str(journal), "k", str(n)) for n in (1, 2)]
    some_blocked(2)
    match how:
        case "revoke":
            assert control.revoke([first.id]).done == 1
        case "purge":
            assert control.purge("first") == 1
        case "delete":
            Message.objects.filter(id=first.key).delete()
        case "hand":
            Message.objects.filter(id=first.key).delete()
            Place.objects.all().delete()
    for result in results:
        result.get(timeout=PATIENCE)
    assert names(journal, "done", "k") == ["1", "2"]


@pytest.mark.usefixtures("live", "workers")
def test_a_blocked_one_may_be_revoked_and_moved(journal: Journal, gate: Path) -> None:
    enqueue_many((tasks.one_of_each, (str(journal), "k", str(n), str(gate))) for n in range(4))
    some_blocked(3)
    waiting = list(Message.objects.filter(state=MessageState.BLOCKED).order_by("seq"))
    assert control.revoke([waiting[0].pk]).done == 1
    assert control.move([waiting[1].pk], queue="elsewhere").done == 1
    gate.touch()
    wait_drained()
    assert states() == {"SUCCESS": 3, "REVOKED": 1}
    assert most_at_once(journal.lines) == {"k": 1}


@pytest.mark.usefixtures("live", "workers")
def test_what_is_blocked_in_a_paused_queue_waits_for_it(journal: Journal, gate: Path) -> None:
    tasks.one_of_each.apply_async((str(journal), "k", "0", str(gate)), queue="open")
    journal.wait("begin k 0")
    paused = tasks.one_of_each.apply_async((str(journal), "k", "1"), queue="shut")
    some_blocked(1)
    control.pause("shut")
    gate.touch()
    journal.wait("end k 0")
    eventually(lambda: not Message.objects.filter(queue="open").exists())
    time.sleep(1.0)
    assert names(journal, "begin", "k") == ["0"]
    # Others of the lane that may run do not wait for it.
    control.resume("shut")
    paused.get(timeout=PATIENCE)


@pytest.mark.usefixtures("live", "workers")
def test_what_fails_in_an_order_lets_the_next_one_go(journal: Journal) -> None:
    enqueue_many((tasks.fails_in_order, (str(journal), "k", str(n))) for n in range(20))
    wait_drained()
    assert states() == {"FAILURE": 20}
    assert names(journal, "begin", "k") == [str(n) for n in range(20)]


@pytest.mark.usefixtures("live", "workers")
def test_two_tasks_in_two_queues_share_an_order(journal: Journal) -> None:
    for n in range(30):
        (tasks.numbered, tasks.numbered_too)[n % 2].delay(str(journal), "k", str(n), 0.005)
    wait_drained()
    assert names(journal, "begin", "k") == [str(n) for n in range(30)]
    assert most_at_once(journal.lines) == {"k": 1}


@pytest.mark.usefixtures("live", "workers")
def test_atomic_tasks_keep_their_order(journal: Journal) -> None:
    enqueue_many((tasks.atomic_in_order, (str(journal), "k", str(n), 0.01)) for n in range(20))
    wait_drained()
    assert names(journal, "begin", "k") == [str(n) for n in range(20)]
    assert most_at_once(journal.lines) == {"k": 1}


@pytest.mark.usefixtures("live", "workers")
def test_tasks_that_are_due_later_take_their_turn_then(journal: Journal) -> None:
    later = tasks.numbered.apply_async((str(journal), "k", "later"), countdown=5)
    for n in range(3):
        tasks.numbered.delay(str(journal), "k", str(n), 0.02)
    later.get(timeout=PATIENCE)
    assert names(journal, "begin", "k") == ["0", "1", "2", "later"]


@pytest.mark.usefixtures("live", "workers")
def test_a_step_gets_its_key_from_what_comes_before_it(journal: Journal) -> None:
    for n in range(6):
        chain(
            tasks.numbered.si(str(journal), f"x{n}", "same"),
            tasks.after_another.s(str(journal), str(n), 0.05),
        )()
    wait_drained()
    assert most_at_once(journal.lines)["same"] == 1
    assert set(TaskResult.objects.values_list("state", flat=True)) == {"SUCCESS"}


@pytest.mark.usefixtures("live", "workers")
def test_links_errbacks_and_what_a_task_becomes_are_limited_too(journal: Journal) -> None:
    tasks.numbered.delay(str(journal), "k", "first", 0.5)
    tasks.unlimited.apply_async(
        (str(journal), "x"), link=tasks.numbered.si(str(journal), "k", "link", 0.02)
    )
    tasks.fails_in_order.apply_async(
        (str(journal), "other", "x"),
        link_error=tasks.errback_in_order.s(),
    )
    tasks.becomes_ordered.delay(str(journal), "k", "replacement")
    wait_drained()
    assert most_at_once(journal.lines)["k"] == 1, journal.lines
    assert set(names(journal, "end", "k")) == {"first", "link", "replacement"}
    # One that takes more than an id is called where the task failed, as in Celery.
    errback = TaskResult.objects.get(task="errback_in_order")
    assert (errback.state, json.loads(errback.options or "{}")["lane"]) == (
        "SUCCESS",
        "order:numbers:k",
    )


@pytest.mark.usefixtures("live", "workers")
def test_a_retry_with_other_arguments_keeps_the_place_of_the_call(journal: Journal) -> None:
    first = tasks.turns_away.delay(str(journal), "k", "0")
    second = tasks.atomic_in_order.delay(str(journal), "k", "1")
    second.get(timeout=PATIENCE)
    assert first.state == "SUCCESS"
    assert [line for line in journal.lines if line.startswith("begin")] == [
        "begin another 0",
        "begin k 1",
    ]


# --- rates -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("live", "workers")
def test_a_rate_and_a_limit_both_hold(journal: Journal) -> None:
    asked = time.monotonic()
    enqueue_many((tasks.two_fast, (str(journal), str(n), 0.12)) for n in range(20))
    wait_drained()
    assert most_at_once([line for line in journal.lines if not line[0].isdigit()]) == {"all": 2}
    times = starts(journal)
    assert len(times) == 20
    assert_kept(times, asked, interval=0.05)


@pytest.mark.usefixtures("live")
def test_a_rate_of_workers_is_that_of_each(journal: Journal) -> None:
    with ExitStack() as stack:
        for queue in ("one", "two"):
            stack.enter_context(
                WorkerProcess("-c", "2", "-Q", queue, "-n", queue, settings=SETTINGS)
            )
        asked = time.monotonic()
        for n in range(16):
            for queue in ("one", "two"):
                tasks.ten_of_a_worker.apply_async((str(journal), f"{queue}-{n}"), queue=queue)
        wait_drained()
    times = {
        queue: sorted(float(line.split()[0]) for line in journal.lines if f" {queue}-" in line)
        for queue in ("one", "two")
    }
    for begun in times.values():
        assert len(begun) == 16
        assert_kept(begun, asked, interval=0.1)
    # One rate for both would let eight through in 0.7 seconds, and never sooner.
    both = sorted(times["one"] + times["two"])
    assert min(last - first for first, last in zip(both, both[7:], strict=False)) < 0.55


@pytest.mark.usefixtures("live", "workers")
def test_rates_that_somebody_deleted_or_that_are_no_more_hold_nobody_for_ever(
    journal: Journal,
) -> None:
    for gate, task in (
        ("rate:twenty_a_second", tasks.twenty_a_second),
        ("rate:ten_of_a_worker@99", tasks.ten_of_a_worker),
        ("rate:unlimited", tasks.unlimited),
        ("nobody:knows", tasks.unlimited),
        ("limit:unlimited", tasks.unlimited),
        ("order:k", tasks.unlimited),
    ):
        Message.objects.create(
            task=task.name,
            queue="celery",
            payload=json.dumps([[str(journal), gate], {}]),
            state=MessageState.BLOCKED,
            gate=gate,
            lane=None if gate.startswith("rate:") else gate,
        )
    wait_drained()
    assert states() == {"SUCCESS": 6}
