"""Operations against workers that claim, end and retry the same tasks: all of it is counted."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import connections, transaction

from djtasks import chain, control, enqueue_many
from djtasks.control import Outcome
from djtasks.models import Attempt, Message, Payload, TaskResult
from tests.canvas_world import FLOW_TASKS
from tests.testapp import tasks
from tests.testapp.flow_tasks import double
from tests.worker_process import Journal, WorkerProcess, eventually, states, wait_drained

pytestmark = pytest.mark.usefixtures("live")


@pytest.fixture(scope="module")
def workers(live_database: None) -> Iterator[None]:
    """Two workers with two children each, for all queues but ``nobody``."""
    options = ("-c", "2", "-X", "nobody", "-l", "ERROR")
    with (
        WorkerProcess(*options, settings=FLOW_TASKS),
        WorkerProcess(*options, settings=FLOW_TASKS),
    ):
        yield


@pytest.fixture(autouse=True)
def no_attempts(live: None) -> Iterator[None]:
    Attempt.objects.all().delete()
    yield
    Attempt.objects.all().delete()


def together(*actions: Callable[[], Outcome | int | None]) -> list[list[int]]:
    """Do these again and again, each in a thread of its own, until nothing is queued.

    Returns how many each call of each action did.
    """
    done: list[list[int]] = [[] for _ in actions]
    errors: list[BaseException] = []
    over = threading.Event()

    def repeat(place: int, action: Callable[[], Outcome | int | None]) -> None:
        try:
            while not over.is_set():
                outcome = action()
                done[place].append(outcome.done if isinstance(outcome, Outcome) else outcome or 0)
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=repeat, args=(place, action))
        for place, action in enumerate(actions)
    ]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: errors or not Message.objects.exclude(queue="nobody").exists())
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not errors, errors
    wait_drained_but_for_nobody()
    return done


def wait_drained_but_for_nobody() -> None:
    eventually(lambda: not Message.objects.exclude(queue="nobody").exists())


def test_every_retry_is_one_run(workers: None, journal: Journal) -> None:
    """Three of them retry the same tasks while they fail, are retried and run."""
    number, failures = 120, 4
    acts = ["raise"] * failures + ["ok"]
    made = enqueue_many((tasks.early, (str(journal), str(n), acts)) for n in range(number))
    ids = [result.key for result in made]
    done = 0

    def retry_some() -> Outcome:
        return control.retry(random.sample(ids, 40))

    while states(ids)["SUCCESS"] < number:
        done += sum(sum(counts) for counts in together(*[retry_some] * 3))
    runs = journal.tally("begin")
    assert runs == {str(n): failures + 1 for n in range(number)}
    assert done == failures * number
    kept = Tally(Attempt.objects.values_list("task_id", flat=True))
    assert kept == dict.fromkeys(ids, failures)
    assert set(Attempt.objects.values_list("state", flat=True)) == {"FAILURE"}


def test_what_is_moved_hurried_and_revoked_runs_once_or_never(
    workers: None, journal: Journal
) -> None:
    chance = random.Random(7)
    calls = [
        (
            tasks.early,
            (str(journal), str(n), ["ok"]),
            None,
            {"queue": f"q{n % 3}", "countdown": 600.0 if n % 4 == 0 else None},
        )
        for n in range(600)
    ]
    made = enqueue_many(calls)
    keys = {result.key: str(n) for n, result in enumerate(made)}
    ids = list(keys)

    def move() -> Outcome:
        return control.move(
            chance.sample(ids, 60), queue=f"q{chance.randrange(4)}", priority=chance.randrange(5)
        )

    def revoke() -> Outcome:
        return control.revoke(chance.sample(ids, 3))

    _, _, hurried, revoked = together(
        move, move, lambda: control.run_now(chance.sample(ids, 60)), revoke
    )
    runs = journal.tally("begin")
    ended = dict(TaskResult.objects.values_list("id", "state"))
    assert set(ended) == set(ids)
    assert {keys[id] for id, state in ended.items() if state == "SUCCESS"} == set(runs)
    assert set(runs.values()) == {1}
    assert Tally(ended.values())["REVOKED"] == sum(revoked) == len(ids) - len(runs)
    assert 0 < sum(hurried) <= len(ids) // 4


def test_what_is_purged_does_not_run_and_nothing_else_is_lost(
    workers: None, journal: Journal
) -> None:
    made: list[UUID] = []

    def enqueue() -> int:
        if len(made) < 900:
            start = len(made)
            results = enqueue_many(
                (tasks.early, (str(journal), str(n), ["ok"]), None, {"queue": f"p{n % 2}"})
                for n in range(start, start + 30)
            )
            made.extend(result.key for result in results)
        return 0

    enqueue()
    _, purged, also = together(enqueue, lambda: control.purge("p0"), lambda: control.purge("p0"))
    control.resume("p0")
    wait_drained_but_for_nobody()
    runs = journal.tally("begin")
    assert set(runs.values()) == {1}
    assert states() == {"SUCCESS": len(runs)}
    assert len(runs) + sum(purged) + sum(also) == len(made)


def test_chains_that_are_purged_while_they_run_end_whole(workers: None) -> None:
    """Each step has ended, or was discarded with nothing behind it."""
    made: list[Any] = []

    def send() -> int:
        if len(made) < 400:
            with transaction.atomic():
                for _ in range(20):
                    steps = (double.si(1), double.s(), double.s(), double.s())
                    queues = ("p1", "p0", "p1", "p0")
                    placed = [
                        step.set(queue=queue) for step, queue in zip(steps, queues, strict=True)
                    ]
                    made.append(chain(*placed).apply_async())
        return 0

    def purge(queue: str) -> int:
        time.sleep(0.002)  # seconds in which some of them run
        return control.purge(queue)

    send()
    together(send, lambda: purge("p0"), lambda: purge("p1"))
    wait_drained()
    # How many of each is up to the race.
    assert set(states()) <= {"SUCCESS", "REVOKED"}
    for last in made:
        known = [last.state]
        while (last := last.parent) is not None:
            known.append(last.state)
        told = "".join(state[0] for state in reversed(known)).rstrip("P")
        # Some that succeeded, then some that were revoked; the last step can be discarded.
        assert told == "S" * told.count("S") + "R" * told.count("R"), known
        assert len(told) in (0, 3, 4), known


def test_steps_that_are_moved_while_they_become_ready_are_not_lost(workers: None) -> None:
    with transaction.atomic():
        made = [
            chain(double.s(1), *[double.s().set(queue=f"m{n}") for n in range(4)]).apply_async()
            for _ in range(80)
        ]
        ids = list(Message.objects.values_list("id", flat=True))
    assert len(ids) == 5 * len(made)

    def move() -> Outcome:
        chosen = random.sample(ids, 50)
        return control.move(chosen, queue=f"m{random.randrange(5)}", priority=random.randrange(3))

    together(move, move, move)
    assert [last.state for last in made] == ["SUCCESS"] * len(made)
    assert {last.get(1) for last in made} == {32}
    assert states() == {"SUCCESS": len(ids)}


def test_a_result_is_deleted_or_its_task_runs_again(workers: None) -> None:
    made = enqueue_many(
        (tasks.fail, (f"{n}{'x' * 3000}",), None, {"queue": f"q{n % 2}"}) for n in range(400)
    )
    wait_drained()
    ids = [result.key for result in made]
    TaskResult.objects.update(queue="nobody")
    done: dict[str, list[Outcome]] = {"retry": [], "delete": [], "new": []}
    start = threading.Barrier(5)

    def act(what: str) -> None:
        chosen = ids[:]
        random.shuffle(chosen)
        try:
            start.wait()
            for place in range(0, len(chosen), 20):
                batch = chosen[place : place + 20]
                if what == "delete":
                    done[what].append(control.delete(batch))
                else:
                    done[what].append(control.retry(batch, keep_id=what == "retry"))
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=act, args=(what,))
        for what in ("retry", "retry", "delete", "delete", "new")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    retried, deleted, new = (
        sum(outcome.done for outcome in done[what]) for what in ("retry", "delete", "new")
    )
    queued = set(Message.objects.values_list("id", flat=True))
    made_anew = {id for outcome in done["new"] for id in outcome.ids}
    assert len(made_anew) == new
    assert queued >= made_anew
    assert len(queued & set(ids)) == retried
    # What was passed over as being changed at that moment may be left.
    left = TaskResult.objects.count()
    assert retried + deleted + left == len(ids)
    assert Attempt.objects.count() == retried
    assert set(Payload.objects.values_list("id", flat=True)) == queued | set(
        TaskResult.objects.values_list("id", flat=True)
    )
