"""How workflows are sent: all of it or nothing, by whom, in tests, at once, and to which pool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.test import TestCase, override_settings

from djtasks import AsyncResult, chain, chord, group, signals
from djtasks.exceptions import ChordError, DuplicateTaskId, EncodeError
from djtasks.models import TaskResult
from djtasks.testing import capture_tasks, run_tasks
from tests.canvas_world import FLOW_TASKS, PATIENCE, counts, notes, nothing_left
from tests.testapp import flow_tasks as canvas
from tests.testapp import tasks
from tests.worker_process import WorkerProcess, eventually, rolled_back

NOTHING = (0, 0, 0, 0)


@pytest.fixture(scope="module")
def worker(live_database: None) -> Iterator[WorkerProcess]:
    """Two children that serve all queues but one, for all tests of this module that ask."""
    with WorkerProcess("-c", "2", "-X", "pool", settings=FLOW_TASKS) as worker:
        yield worker


def flow() -> Any:
    """Three tasks and a join between them, and one more task."""
    return group(tasks.add.s(1, 1), tasks.add.s(2, 2)) | canvas.total.s() | canvas.double.s()


# --- all or nothing --------------------------------------------------------------------------


@pytest.mark.usefixtures("live")
def test_a_workflow_whose_transaction_is_rolled_back_was_never_there() -> None:
    with rolled_back():
        flow().delay()
        group(canvas.same.s(n) for n in range(1500)).delay()
        assert counts() == (1504, 1, 0, 0)
    assert counts() == NOTHING


@pytest.mark.usefixtures("live", "worker")
def test_a_workflow_begins_when_its_transaction_commits() -> None:
    with transaction.atomic():
        result = flow().delay()
        with pytest.raises(RuntimeError, match="after the commit"):
            result.get(PATIENCE)
    assert result.get(PATIENCE) == 12
    nothing_left()


@pytest.mark.usefixtures("live", "worker")
def test_a_workflow_on_commit_is_written_then() -> None:
    with transaction.atomic():
        result = flow().apply_async(enqueue="on_commit")
        assert counts() == NOTHING
    assert result.get(PATIENCE) == 12
    nothing_left()


@pytest.mark.usefixtures("live", "worker")
def test_a_workflow_that_is_set_on_commit_is_written_then() -> None:
    with transaction.atomic():
        result = flow().set(enqueue="on_commit").delay()
        members = group(canvas.same.s(1)).set(enqueue="on_commit").delay()
        assert counts()[0] == 0
        flow().set(enqueue="on_commit").apply_async(enqueue="transaction")
        assert counts()[0] == 4
    assert (result.get(PATIENCE), members.get(PATIENCE)) == (12, [1])
    nothing_left()


@pytest.mark.usefixtures("live")
def test_a_part_cannot_be_written_at_another_time_than_the_whole() -> None:
    part = canvas.same.s(1).set(enqueue="on_commit")
    inner = group(canvas.same.s(), canvas.same.s()).set(enqueue="on_commit")
    for whole in (chain(part, canvas.same.s()), chain(canvas.same.s(1), inner)):
        with pytest.raises(ValueError, match=r"enqueue='on_commit' cannot be had by a part"):
            whole.delay()
        assert counts() == NOTHING
        with rolled_back():
            whole.apply_async(enqueue="on_commit")


@pytest.mark.usefixtures("live")
def test_a_workflow_on_commit_is_not_written_after_a_rollback() -> None:
    with rolled_back():
        flow().apply_async(enqueue="on_commit")
    assert counts() == NOTHING


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("mode", ["transaction", "on_commit"])
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("kind", [group, lambda header: chord(header, canvas.total.s())])
def test_a_generator_that_raises_enqueues_nothing(kind: Any, inside: bool, mode: str) -> None:
    sig = kind(canvas.broken_after(2500))
    if inside:
        with transaction.atomic():
            with pytest.raises(LookupError, match="2500"):
                sig.apply_async(enqueue=mode)
            # The caller's transaction goes on.
            assert counts() == NOTHING
    else:
        with pytest.raises(LookupError, match="2500"):
            sig.apply_async(enqueue=mode)
    assert counts() == NOTHING


@pytest.mark.usefixtures("live")
def test_a_step_that_cannot_be_sent_keeps_all_from_being_sent() -> None:
    with pytest.raises(EncodeError):
        (flow() | canvas.told.s(object())).delay()
    with pytest.raises(TypeError):
        (group(tasks.add.s(1, 1), tasks.add.s(1, 2, 3)) | canvas.total.s()).delay()
    frozen = canvas.same.s(1).set(task_id="taken", countdown=3600)
    frozen.delay()
    with pytest.raises(DuplicateTaskId, match="taken"):
        (group(canvas.same.s(2), frozen) | canvas.total.s()).delay()
    assert counts() == (1, 0, 0, 0)
    AsyncResult("taken").revoke()


# --- from inside a task ----------------------------------------------------------------------


@pytest.mark.usefixtures("live", "worker")
def test_a_workflow_that_a_task_sends_belongs_to_it() -> None:
    sent = canvas.send_chord.delay([1, 2])
    left, right, body, last = sent.get(PATIENCE)
    assert AsyncResult(last).get(PATIENCE) == 12
    nothing_left()
    places = {
        str(row.id): (str(row.root_id), str(row.parent_id)) for row in TaskResult.objects.all()
    }
    assert {places[id][0] for id in (left, right, body, last)} == {sent.id}
    assert places[left][1] == places[right][1] == sent.id
    assert places[body][1] in (left, right)
    assert places[last][1] == body
    # The rest is found from what begins, as the children of each.
    [begins] = sent.children or []
    assert [one.id for one in begins.results] == [left, right]


@pytest.mark.usefixtures("live", "worker")
def test_a_workflow_that_a_failed_atomic_task_sent_was_never_there() -> None:
    with pytest.raises(ValueError, match="rolled back"):
        canvas.send_chain_and_fail.delay().get(PATIENCE)
    nothing_left()
    assert TaskResult.objects.count() == 1
    assert notes() == []


# --- told by signals -------------------------------------------------------------------------


@pytest.mark.usefixtures("live", "worker")
def test_each_task_of_a_workflow_is_announced() -> None:
    told: list[tuple[str, str]] = []

    def before(sender: str, headers: dict[str, Any], **kwargs: Any) -> None:
        told.append(("before", headers["id"]))
        headers["stamp"] = f"of {sender.rpartition('.')[2]}"

    def after(sender: str, headers: dict[str, Any], **kwargs: Any) -> None:
        told.append(("after", headers["id"]))

    signals.before_task_publish.connect(before, weak=False)
    signals.after_task_publish.connect(after, weak=False)
    try:
        header = group(canvas.whereabouts.s(), canvas.whereabouts.s())
        result = (header | canvas.whereabouts.s()).delay()
    finally:
        signals.before_task_publish.disconnect(before)
        signals.after_task_publish.disconnect(after)
    ids = [*(one.id for one in result.parent.results), result.id]
    assert told == [*(("before", id) for id in ids), *(("after", id) for id in ids)]
    last = result.get(PATIENCE)
    assert [one["headers"] for one in (*last["args"][0], last)] == [{"stamp": "of whereabouts"}] * 3


# --- pools -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_workflows_on_other_pools(pool: str) -> None:
    members: list[Any] = [canvas.double_async, canvas.double_atomically, canvas.double_at_last]
    header = [member.s(n).set(queue="pool") for n, member in enumerate(members)]
    good = group(header) | canvas.total.s().set(queue="pool")
    bad = group(header[0].clone(), canvas.fail_with.si("x").set(queue="pool")) | (
        canvas.note.s().set(queue="pool").on_error(canvas.new_errback.s())
    )
    concurrency = {"threads": "2", "solo": "1"}[pool]
    with WorkerProcess("-P", pool, "-c", concurrency, "-Q", "pool", settings=FLOW_TASKS):
        succeeded = good.delay()
        failed = bad.delay()
        assert succeeded.get(PATIENCE) == 0 + 2 + 4
        with pytest.raises(ChordError):
            failed.get(PATIENCE, follow_parents=False)
        nothing_left()
    assert notes().count(f"new {failed.id} ChordError: {failed.result}") == 1


# --- without a worker ------------------------------------------------------------------------


class InTestCase(TestCase):
    """Inside a transaction that never commits."""

    def test_runs_workflows_to_their_end(self) -> None:
        result = (tasks.add.s(1, 1) | group(tasks.add.s(1), tasks.add.s(2)) | flow_end()).delay()
        names = [run.name.rpartition(".")[2] for run in run_tasks()]
        assert names == ["add", "add", "add", "total", "double"]
        assert result.get() == 14
        assert counts()[:3] == (0, 0, 0)

    def test_ends_what_waits_for_a_failure(self) -> None:
        body = canvas.note.s().on_error(tasks.errback.s())
        result = (group(canvas.same.s(1), canvas.fail_with.s("x")) | body | canvas.note.s()).delay()
        run_tasks()
        assert result.state == "FAILURE"
        assert notes() == [f"errback {result.parent.id}"]
        assert counts()[:3] == (0, 0, 0)

    def test_runs_what_is_due_later_only_when_asked(self) -> None:
        result = (canvas.same.s(1) | canvas.double.s().set(countdown=3600)).delay()
        assert len(run_tasks()) == 1
        assert not result.ready()
        assert len(run_tasks(scheduled=True)) == 1
        assert result.get() == 2

    def test_workflows_of_a_savepoint_that_is_rolled_back_do_not_run(self) -> None:
        with rolled_back():
            flow().delay()
        assert run_tasks() == []
        assert counts() == NOTHING

    def test_revoking_ends_what_waits(self) -> None:
        result = flow().delay()
        result.parent.parent.results[0].revoke()
        assert result.state == "FAILURE"
        assert len(run_tasks()) == 1
        assert counts()[:3] == (0, 0, 0)

    def test_captures_every_task_and_enqueues_nothing(self) -> None:
        with capture_tasks() as captured:
            result = flow().apply_async(queue="one")
        names = [name.rpartition(".")[2] for name in captured.names]
        assert names == ["add", "add", "total", "double"]
        assert [call.args for call in captured] == [(1, 1), (2, 2), (), ()]
        assert captured[-1].result.id == result.id
        assert captured[0].result.id == result.parent.parent.results[0].id
        assert counts() == NOTHING

    def test_captures_and_enqueues_if_asked(self) -> None:
        with capture_tasks(insert=True) as captured:
            result = flow().delay()
        assert len(captured) == 4
        assert len(run_tasks()) == 4
        assert result.get() == 12


def flow_end() -> Any:
    return canvas.total.s() | canvas.double.s()


@pytest.fixture
def eagerly() -> Iterator[None]:
    with override_settings(DJTASKS={**settings.DJTASKS, "TASK_ALWAYS_EAGER": True}):
        yield


@pytest.mark.django_db
@pytest.mark.usefixtures("eagerly")
class TestAlwaysEager:
    """Everything runs where it is called."""

    def test_every_kind(self) -> None:
        assert (tasks.add.s(1, 1) | canvas.double.s()).delay().get() == 4
        assert group(tasks.add.s(n, n) for n in range(3)).delay().get() == [0, 2, 4]
        assert flow().delay().get() == 12
        inner = group(tasks.add.s(1), tasks.add.s(2)) | canvas.total.s() | canvas.double.s()
        nested = chain(
            canvas.same.s(1), group(inner, canvas.double.si(5)), canvas.listed.s(), canvas.same.s()
        )
        assert nested.delay().get() == [[10, 10]]
        pairs = [(n, n) for n in range(4)]
        assert tasks.add.chunks(pairs, 2).delay().get() == [[0, 2], [4, 6]]
        assert chord([], canvas.listed.s()).delay().get() == [[]]
        ended = group(tasks.add.s(1, 1)) | group(canvas.total.s(), canvas.listed.s())
        assert ended.delay().get() == [2, [[2]]]
        assert counts() == NOTHING

    def test_a_result_of_none_is_handed_on(self) -> None:
        assert (canvas.same.s(None) | canvas.listed.s()).delay().get() == [None]

    def test_a_failure_ends_what_waits(self) -> None:
        body = canvas.note.s().on_error(tasks.errback.s()).on_error(canvas.new_errback.s())
        result = (group(canvas.same.s(1), canvas.fail_with.s("x")) | body | canvas.note.s()).delay()
        with pytest.raises(ChordError, match=r"raised ValueError\('x'\)"):
            result.get(follow_parents=False)
        body = result.parent
        assert body.state == result.state == "FAILURE"
        assert sorted(notes()) == [f"errback {body.id}", f"new {body.id} ChordError: {body.result}"]
        assert (canvas.fail_with.s("x") | canvas.note.s()).delay().state == "FAILURE"

    def test_retries_count_once(self) -> None:
        header = [canvas.double_at_last.s(1), canvas.same.s(5)]
        assert chord(header, canvas.listed.s()).delay().get() == [[2, 5]]

    def test_requests_know_their_place(self) -> None:
        result = (canvas.whereabouts.s() | group(canvas.whereabouts.s()) | canvas.same.s()).delay()
        told = result.get()
        [first] = told["args"]
        assert told["root_id"] == first["id"] == told["parent_id"]

    def test_a_link_of_a_workflow_is_called_once(self) -> None:
        flow().apply_async(link=canvas.note.s())
        assert notes() == ["note (12,)"]


@pytest.mark.usefixtures("live", "worker")
def test_async_callers_wait_for_workflows() -> None:
    from asgiref.sync import async_to_sync

    result = flow().delay()
    assert async_to_sync(result.aget)(PATIENCE) == 12
    eventually(result.parent.ready, "the body")
