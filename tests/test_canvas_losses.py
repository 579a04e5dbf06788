"""Workflows of which a task ends in another way than it should: all that waits for it ends too."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import connections, transaction

from djtasks import AsyncResult, chain, chord, group, signature
from djtasks.exceptions import (
    ChordError,
    EncodeError,
    InvalidTaskError,
    NotRegistered,
    Reject,
    TaskRevokedError,
    TimeLimitExceeded,
    WorkerLostError,
)
from djtasks.models import Join, Message, TaskResult
from djtasks.queue.enqueue import wake_workers
from djtasks.queue.revoke import revoke
from tests.canvas_world import FLOW_TASKS, PATIENCE, notes, nothing_left
from tests.testapp import flow_tasks as canvas
from tests.testapp import tasks
from tests.worker_process import (
    Journal,
    WorkerProcess,
    eventually,
    rolled_back,
    somebody_waits,
    states,
)

pytestmark = pytest.mark.usefixtures("live", "worker")

SETTINGS = {**FLOW_TASKS, "UNKNOWN_TASK_TIMEOUT": 0.0, "LEASE": 2.0, "HEARTBEAT_INTERVAL": 0.5}


@pytest.fixture(scope="module")
def worker(live_database: None) -> Iterator[WorkerProcess]:
    """Two children that serve all queues but those of other workers, and that nobody serves."""
    with WorkerProcess("-c", "2", "-X", "nobody,own", settings=SETTINGS) as worker:
        yield worker


@pytest.fixture(autouse=True)
def leaves_nothing(live: None) -> Iterator[None]:
    yield
    nothing_left()


ENDS: dict[str, tuple[Any, str, type[BaseException], str]] = {
    "expired": (
        canvas.note.si().set(expires=0.001, countdown=0.1),
        "REVOKED",
        TaskRevokedError,
        "TaskRevokedError('expired')",
    ),
    "unknown": (signature("tests.nobody"), "FAILURE", NotRegistered, "'tests.nobody' never reg"),
    "unencodable": (tasks.make_object.si(), "FAILURE", EncodeError, "EncodeError("),
    "ignored": (tasks.ignored.si(), "PENDING", TaskRevokedError, "TaskRevokedError("),
    "rejected": (tasks.rejected.si("no"), "FAILURE", Reject, "reject requeue=False: no"),
    "overrun": (canvas.overrun.si(), "FAILURE", TimeLimitExceeded, "TimeLimitExceeded(0.5"),
    "killed": (canvas.die.si(), "FAILURE", WorkerLostError, "WorkerLostError("),
    "exited": (canvas.leave.si(), "FAILURE", WorkerLostError, "WorkerLostError("),
    "not stored": (
        canvas.fail_with.si("x").set(ignore_result=True),
        "PENDING",
        ValueError,
        "ValueError('x')",
    ),
    "atomic": (canvas.fail_atomically.si(), "FAILURE", ValueError, "ValueError('atomic')"),
}
"""A task, the state that it ends in, what follows it ends with, and how that is shown."""


@pytest.mark.usefixtures("sound_wait")
@pytest.mark.parametrize("way", ENDS)
def test_all_that_waits_for_it_ends_at_once(way: str) -> None:
    task, state, kind, shown = ENDS[way]
    in_chain = (task.clone() | canvas.note.s() | group(canvas.note.s(), canvas.note.s())).delay()
    body = canvas.note.s().on_error(tasks.errback.s()).on_error(canvas.new_errback.s())
    in_header = (group(canvas.same.s(1), task.clone()) | body | canvas.note.s()).delay()
    in_group = group(canvas.same.s(1), task.clone()) | group(canvas.note.s(), canvas.note.s())
    before_group = in_group.delay()
    for last in in_chain.results + before_group.results:
        with pytest.raises(kind):
            last.get(PATIENCE, follow_parents=False)
    with pytest.raises(ChordError):
        in_header.get(PATIENCE, follow_parents=False)
    nothing_left()
    body = in_header.parent
    failed = body.parent.results[1]
    assert (failed.state, body.state) == (state, "FAILURE")
    assert str(body.result).startswith(f"Dependency {failed.id} raised ")
    assert shown in str(body.result)
    assert sorted(notes()) == [f"errback {body.id}", f"new {body.id} ChordError: {body.result}"]


def test_the_errbacks_of_a_task_that_has_stored_no_failure_are_called() -> None:
    result = chain(
        canvas.fail_with.si("x").set(ignore_result=True).on_error(tasks.errback.s()),
        canvas.note.s(),
    ).delay()
    with pytest.raises(ValueError, match="x"):
        result.get(PATIENCE, follow_parents=False)
    nothing_left()
    assert notes() == [f"errback {result.parent.id}"]


# --- revoked ---------------------------------------------------------------------------------


def parked(**options: Any) -> Any:
    """A task in a queue that nobody serves."""
    return canvas.same.si(1).set(queue="nobody", **options)


def unpark() -> None:
    """Put those tasks into a queue that is served."""
    Message.objects.filter(queue="nobody").update(queue="celery")
    wake_workers(connections["default"], {"djtasks_wake": {"celery"}})


def test_a_revoked_step_ends_what_follows() -> None:
    result = chain(parked(), canvas.note.s(), canvas.note.s()).delay()
    result.parent.parent.revoke()
    nothing_left()
    with pytest.raises(TaskRevokedError, match="revoked"):
        result.get(PATIENCE)
    assert states() == {"REVOKED": 3}


def test_a_revoked_step_that_waits_ends_what_follows_and_not_what_comes_before() -> None:
    first = parked()
    result = chain(first, canvas.note.s(), canvas.note.s()).delay()
    middle = result.parent
    assert revoke([middle.key]) == 1
    assert (middle.state, result.state) == ("REVOKED", "REVOKED")
    unpark()
    assert middle.parent.get(PATIENCE) == 1


def test_a_revoked_member_fails_the_body() -> None:
    body = canvas.note.s().on_error(tasks.errback.s()).on_error(canvas.new_errback.s())
    result = (group(canvas.same.s(1), parked()) | body | canvas.note.s()).delay()
    eventually(result.parent.parent.results[0].ready, "the other member")
    result.parent.parent.results[1].revoke()
    with pytest.raises(ChordError, match="TaskRevokedError"):
        result.get(PATIENCE, follow_parents=False)
    nothing_left()
    assert len(notes()) == 2


def test_a_revoked_body_leaves_its_header_alone() -> None:
    result = (group(canvas.same.s(1), parked()) | canvas.note.s() | canvas.note.s()).delay()
    body, header = result.parent, result.parent.parent
    body.revoke()
    assert (body.state, result.state) == ("REVOKED", "REVOKED")
    eventually(header.results[0].ready, "the first member")
    assert Join.objects.count() == 1
    unpark()
    assert header.get(PATIENCE) == [1, 1]
    nothing_left()
    assert notes() == []


def test_a_revoked_group_ends_what_follows() -> None:
    result = (group(parked(), parked()) | canvas.note.s()).delay()
    result.parent.revoke()
    with pytest.raises(ChordError):
        result.get(PATIENCE, follow_parents=False)
    assert states() == {"REVOKED": 2, "FAILURE": 1}


def test_a_revocation_that_is_rolled_back_has_done_nothing() -> None:
    result = (group(parked(), parked()) | canvas.same.s()).delay()
    with rolled_back():
        result.parent.results[0].revoke()
        assert AsyncResult(result.id).state == "FAILURE"
    assert Message.objects.count() == 3
    unpark()
    assert result.get(PATIENCE) == [1, 1]


@pytest.mark.usefixtures("sound_wait")
def test_a_waiter_is_woken_by_a_revocation() -> None:
    result = chain(parked(), canvas.note.s(), canvas.note.s()).delay()

    def revoke_first() -> None:
        try:
            eventually(somebody_waits, "somebody to wait")
            result.parent.parent.revoke()
        finally:
            connections.close_all()

    revoking = threading.Thread(target=revoke_first)
    revoking.start()
    with pytest.raises(TaskRevokedError):
        result.get(PATIENCE, follow_parents=False)
    revoking.join()


def test_a_revocation_that_is_not_committed_holds_up_no_other_workflow(
    worker: WorkerProcess, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    held = canvas.wait_for.s(str(gate))
    result = (group(held, parked()) | canvas.note.s()).delay()
    other = (group(canvas.wait_for.s(str(gate)), canvas.same.s(1)) | canvas.listed.s()).delay()
    with transaction.atomic():
        result.parent.results[1].revoke()
        gate.touch()
        worker.wait_log("is locked; its outcome is kept")
        assert other.get(PATIENCE) == [[str(gate), 1]]
    with pytest.raises(ChordError, match="TaskRevokedError"):
        result.get(PATIENCE, follow_parents=False)
    assert result.parent.results[0].get(PATIENCE) == str(gate)


def test_everything_of_a_workflow_can_be_revoked_at_once() -> None:
    inner = chord([parked(), parked()], canvas.note.s())
    (chain(parked(), canvas.note.s()) | group(inner, parked()) | canvas.note.s()).delay()
    ids = list(Message.objects.values_list("id", flat=True))
    assert revoke(ids) == len(ids)
    nothing_left()
    assert notes() == []
    assert states() == {"REVOKED": len(ids)}


# --- broken by hand --------------------------------------------------------------------------


@pytest.mark.parametrize("payload", ["no json", "[1, 2]", '{"a": 1}', "", "[[1]]"])
@pytest.mark.parametrize("which", ["first", "member", "body"])
def test_a_broken_payload_ends_what_waits(which: str, payload: str) -> None:
    with transaction.atomic():
        flow = canvas.same.s(1) | group(canvas.same.s(), canvas.same.s()) | canvas.same.s()
        result = (flow | canvas.note.s()).delay()
        body = result.parent
        member = body.parent.results[0]
        broken = {"first": body.parent.parent, "member": member, "body": body}[which]
        Message.objects.filter(id=broken.key).update(payload=payload)
    eventually(result.ready, "the end of the workflow")
    nothing_left()
    assert broken.state == "FAILURE"
    assert result.state == "FAILURE"
    assert notes() == []


def test_broken_options_end_what_waits() -> None:
    with transaction.atomic():
        result = (group(canvas.same.s(1), canvas.same.s(2)) | canvas.note.s()).delay()
        member = result.parent.results[0]
        Message.objects.filter(id=member.key).update(options="no json")
    with pytest.raises(ChordError, match=InvalidTaskError.__name__):
        result.get(PATIENCE, follow_parents=False)


def test_broken_options_of_a_body_do_not_keep_the_worker_from_failing_it() -> None:
    with transaction.atomic():
        result = (group(canvas.same.s(1), canvas.fail_with.si("x")) | canvas.note.s()).delay()
        Message.objects.filter(id=result.key).update(options="no json")
    with pytest.raises(ChordError):
        result.get(PATIENCE, follow_parents=False)


# --- the worker dies -------------------------------------------------------------------------


def test_a_worker_that_dies_with_members_of_chords(journal: Journal) -> None:
    results = {}
    with WorkerProcess("-c", "2", "-Q", "own", settings=SETTINGS) as first:
        for key in ("early", "late"):
            held = getattr(tasks, key).s(str(journal), key, ["sleep:60", "ok"]).set(queue="own")
            body = canvas.listed.s().on_error(tasks.errback.s())
            results[key] = (group(canvas.same.s("b"), held) | body | canvas.same.s()).delay()
            journal.wait(f"held {key}")
        first.kill()
    with WorkerProcess("-c", "1", "-Q", "own", settings=SETTINGS):
        assert results["late"].get(PATIENCE) == [["b", "late"]]
        with pytest.raises(ChordError, match="WorkerLostError"):
            results["early"].get(PATIENCE, follow_parents=False)
        nothing_left()
    assert f"errback {results['early'].parent.id}" in notes()
    assert journal.tally() == {"early": 1, "late": 2}


def test_a_child_that_dies_with_a_late_member_runs_it_again(journal: Journal) -> None:
    late = tasks.late_reject.s(str(journal), "x", ["kill", "ok"])
    assert (group(late, canvas.same.s("b")) | canvas.listed.s()).delay().get(PATIENCE) == [
        ["x", "b"]
    ]
    assert journal.tally() == {"x": 2}


def test_an_atomic_member_that_dies_counts_once(journal: Journal) -> None:
    atomic = tasks.atomic.s(str(journal), "x", ["kill", "ok"])
    result = (group(atomic, canvas.same.s("b")) | canvas.listed.s()).delay()
    assert result.get(PATIENCE) == [["x", "b"]]
    assert notes() == ["x"]


def test_a_requeued_member_counts_once() -> None:
    result = (group(tasks.requeued.s("again", 1), canvas.same.s("b")) | canvas.listed.s()).delay()
    assert result.get(PATIENCE) == [["again", "b"]]
    assert notes() == ["again"] * 2


def test_the_process_that_starts_children_dies_with_a_member(
    worker: WorkerProcess, journal: Journal
) -> None:
    held = tasks.early.s(str(journal), "x", ["sleep:60"])
    result = (group(held, canvas.same.s("b")) | canvas.note.s()).delay()
    journal.wait("held x")
    os.kill(worker.forker.pid, signal.SIGKILL)
    with pytest.raises(ChordError, match="WorkerLostError"):
        result.get(PATIENCE, follow_parents=False)


def test_a_worker_that_is_told_to_stop_at_once_ends_what_waits(journal: Journal) -> None:
    with WorkerProcess("-c", "1", "-Q", "own", settings=SETTINGS) as other:
        held = tasks.early.s(str(journal), "x", ["sleep:60"]).set(queue="own")
        result = (group(held, canvas.same.s("b")) | canvas.note.s()).delay()
        journal.wait("held x")
        other.stop(signal.SIGQUIT)
    with pytest.raises(ChordError, match="WorkerLostError"):
        result.get(PATIENCE, follow_parents=False)
    assert TaskResult.objects.get(id=result.key).state == "FAILURE"
    assert not psutil.pid_exists(other.pid)


def any_flow(chance: random.Random, depth: int) -> Any:
    """A workflow of any kind, of tasks that may fail."""
    if not depth:
        kinds = [canvas.same.si(1)] * 12
        kinds += [canvas.fail_with.si("x"), canvas.double_atomically.si(1), tasks.ignored.si()]
        return chance.choice(kinds).clone()
    parts = [any_flow(chance, depth - 1) for _ in range(chance.randint(1, 4))]
    kind = chance.choice([chain, group, chord])
    return chord(parts, any_flow(chance, depth - 1)) if kind is chord else kind(*parts)


def test_workflows_that_fail_and_are_revoked_at_random_leave_nothing() -> None:
    """With two workers, which end members of the same workflows at the same time."""
    chance = random.Random(3)
    with WorkerProcess("-c", "2", "-X", "nobody", settings=SETTINGS) as other:
        for number in range(60):
            any_flow(chance, 3).delay()
            if number % 3 == 0:
                ids = list(Message.objects.values_list("id", flat=True)[:200])
                revoke(chance.sample(ids, min(3, len(ids))))
        nothing_left()
        assert "A turn failed" not in other.log
    assert set(states()) == {"SUCCESS", "FAILURE", "REVOKED"}
