"""Workflows in which something fails: everything that waits ends too, and somebody is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from djtasks import chain, chord, group
from djtasks.exceptions import ChordError
from djtasks.models import Message
from tests.canvas_world import FLOW_TASKS, PATIENCE, notes, nothing_left
from tests.testapp import flow_tasks as canvas
from tests.testapp import tasks
from tests.worker_process import Journal, WorkerProcess, eventually, somebody_waits, states

pytestmark = pytest.mark.usefixtures("live", "worker")


@pytest.fixture(scope="module")
def worker(live_database: None) -> Iterator[WorkerProcess]:
    """Two children that serve all queues but that of the worker below."""
    with WorkerProcess("-c", "2", "-X", "second", settings=FLOW_TASKS) as worker:
        yield worker


@pytest.fixture(scope="module")
def second(live_database: None) -> Iterator[WorkerProcess]:
    """One child more, in a worker of its own."""
    with WorkerProcess("-c", "1", "-Q", "second", settings=FLOW_TASKS) as worker:
        yield worker


@pytest.fixture(autouse=True)
def leaves_nothing(live: None) -> Iterator[None]:
    yield
    nothing_left()


def boom() -> Any:
    """A task that fails and takes no arguments of others."""
    return canvas.fail_with.si("boom")


def told_of(body: Any) -> list[str]:
    """What the two errbacks of a body note, sorted."""
    return sorted([f"errback {body.id}", f"new {body.id} ChordError: {body.result}"])


# --- chains ----------------------------------------------------------------------------------


@pytest.mark.parametrize("position", [0, 1, 2])
def test_what_follows_a_failed_step_fails_with_the_same_exception(position: int) -> None:
    steps = [canvas.same.si(n) for n in range(3)]
    steps[position] = boom()
    steps += [canvas.note.s(), canvas.note.s()]
    result = chain(*steps).delay()
    handles = [result]
    while handles[0].parent is not None:
        handles.insert(0, handles[0].parent)
    for follow_parents in (True, False):
        with pytest.raises(ValueError, match="boom"):
            result.get(PATIENCE, follow_parents=follow_parents)
    nothing_left()
    assert [handle.state for handle in handles] == ["SUCCESS"] * position + ["FAILURE"] * (
        5 - position
    )
    for handle in handles[position:]:
        assert repr(handle.result) == "ValueError('boom')"
        assert "raise ValueError" in (handle.traceback or "")
    assert notes() == []


def test_errbacks_of_steps_that_never_ran_are_not_called() -> None:
    last = canvas.same.s().on_error(tasks.errback.s()).on_error(canvas.new_errback.s())
    result = chain(boom(), last).delay()
    with pytest.raises(ValueError, match="boom"):
        result.get(PATIENCE)
    nothing_left()
    assert notes() == []


def test_a_group_behind_a_failed_step_fails_with_it() -> None:
    result: Any = chain(boom(), group(canvas.note.s(), canvas.note.s())).delay()
    with pytest.raises(ValueError, match="boom"):
        result.get(PATIENCE)
    nothing_left()
    assert [one.state for one in result.results] == ["FAILURE"] * 2


def test_a_chord_behind_a_failed_step_fails_header_and_body() -> None:
    """As the steps of a chain: with the same exception, and nobody's errbacks are called."""
    body = canvas.note.s().on_error(canvas.new_errback.s())
    flow = boom() | group(canvas.note.s(), canvas.note.s()) | body | canvas.note.s()
    result = flow.delay()
    with pytest.raises(ValueError, match="boom"):
        result.get(PATIENCE, follow_parents=False)
    with pytest.raises(ValueError, match="boom"):
        result.parent.get(PATIENCE, follow_parents=False)
    nothing_left()
    assert states() == {"FAILURE": 5}
    assert notes() == []


def test_members_of_a_group_fail_by_themselves() -> None:
    result: Any = group(tasks.add.s(1, 1), boom(), tasks.add.s(2, 2)).delay()
    with pytest.raises(ValueError, match="boom"):
        result.get(PATIENCE)
    nothing_left()
    assert [one.state for one in result.results] == ["SUCCESS", "FAILURE", "SUCCESS"]


# --- chords ----------------------------------------------------------------------------------


def test_a_failed_header_fails_the_body_and_what_follows() -> None:
    body = canvas.note.s().on_error(tasks.errback.s()).on_error(canvas.new_errback.s())
    result = (group(tasks.add.s(1, 1), boom()) | body | canvas.note.s()).delay()
    body = result.parent
    with pytest.raises(ChordError):
        result.get(PATIENCE, follow_parents=False)
    failed = body.parent.results[1]
    reason = f"Dependency {failed.id} raised ValueError('boom')"
    assert (str(body.result), str(result.result)) == (reason, reason)
    assert type(body.result) is type(result.result) is ChordError
    assert (body.state, result.state) == ("FAILURE", "FAILURE")
    assert "raise ValueError" in (body.traceback or "")
    nothing_left()
    assert sorted(notes()) == told_of(body)


def test_the_reason_names_the_task_as_its_caller_does() -> None:
    result = chord([boom().set(task_id="mine"), canvas.same.s(1)], canvas.note.s()).delay()
    with pytest.raises(ChordError, match=r"^Dependency mine raised ValueError\('boom'\)$"):
        result.get(PATIENCE, follow_parents=False)


def test_the_errbacks_of_a_call_of_a_chord_are_its_bodys() -> None:
    flow = chord([boom(), canvas.same.s(1)], canvas.note.s())
    result = flow.apply_async(link_error=[tasks.errback.s(), canvas.new_errback.s()])
    with pytest.raises(ChordError):
        result.get(PATIENCE, follow_parents=False)
    nothing_left()
    assert sorted(notes()) == told_of(result)


def test_a_body_that_fails_itself_calls_its_errbacks_once() -> None:
    body = canvas.fail_with.si("body").on_error(tasks.errback.s())
    result = (group(canvas.same.s(1), canvas.same.s(2)) | body).delay()
    with pytest.raises(ValueError, match="body"):
        result.get(PATIENCE)
    nothing_left()
    assert notes() == [f"errback {result.id}"]


def test_members_that_fail_in_one_batch_fail_the_body_once(second: WorkerProcess) -> None:
    # One child, which is given several at once and answers for several at once.
    body = canvas.note.s().on_error(tasks.errback.s()).on_error(canvas.new_errback.s())
    result = (group(boom().set(queue="second") for _ in range(20)) | body).delay()
    with pytest.raises(ChordError, match="Dependency"):
        result.get(PATIENCE, follow_parents=False)
    assert str(result.result).split()[1] in {one.id for one in result.parent.results}
    nothing_left()
    assert sorted(notes()) == told_of(result)
    assert [one.state for one in result.parent.results] == ["FAILURE"] * 20


def test_members_that_fail_in_two_workers_fail_the_body_once(
    second: WorkerProcess, journal: Journal
) -> None:
    body = canvas.note.s().on_error(tasks.errback.s()).on_error(canvas.new_errback.s())
    for turn in range(10):
        journal.path.write_text("")
        header = [canvas.fail_together.s(str(journal), n, 3) for n in range(3)]
        header[turn % 3].set(queue="second")
        result = (group(header) | body).delay()
        with pytest.raises(ChordError):
            result.get(PATIENCE, follow_parents=False)
        nothing_left()
        assert sorted(notes()[2 * turn :]) == told_of(result)


def test_members_that_end_after_the_failure_change_nothing(tmp_path: Any) -> None:
    gate = tmp_path / "gate"
    result = (group(boom(), canvas.wait_for.s(str(gate))) | canvas.note.s()).delay()
    with pytest.raises(ChordError):
        result.get(PATIENCE, follow_parents=False)
    assert Message.objects.count() == 1
    gate.touch()
    assert result.parent.results[1].get(PATIENCE) == str(gate)
    nothing_left()
    assert result.state == "FAILURE"
    assert notes() == []


def test_the_failure_of_an_inner_chord_fails_the_outer_one() -> None:
    inner = chord([boom(), canvas.same.s(1)], canvas.note.s().on_error(canvas.new_errback.s()))
    outer = chord([inner, canvas.same.s(2)], canvas.note.s().on_error(canvas.new_errback.s()))
    result = (outer | canvas.note.s()).delay()
    with pytest.raises(ChordError):
        result.get(PATIENCE, follow_parents=False)
    nothing_left()
    middle = result.parent
    body = middle.parent.results[0]
    failed = body.parent.results[0]
    assert str(body.result) == f"Dependency {failed.id} raised ValueError('boom')"
    assert str(middle.result) == f"Dependency {body.id} raised {body.result!r}"
    assert str(result.result) == str(middle.result)
    assert sorted(notes()) == sorted(
        f"new {one.id} ChordError: {one.result}" for one in (body, middle)
    )


def test_members_of_a_body_that_is_a_group_fail_with_the_original_exception() -> None:
    body = group(
        canvas.note.s().on_error(canvas.new_errback.s()),
        canvas.note.s().on_error(tasks.errback.s()),
    )
    result = (group(canvas.same.s(1), boom()) | body).delay()
    with pytest.raises(ValueError, match="boom"):
        result.results[0].get(PATIENCE, follow_parents=False)
    nothing_left()
    first, second = result.results
    assert (repr(first.result), repr(second.result)) == ("ValueError('boom')",) * 2
    assert sorted(notes()) == sorted([f"errback {second.id}", f"new {first.id} ValueError: boom"])


def test_a_chain_as_body_fails_as_a_whole_and_calls_the_errbacks_of_its_first_step() -> None:
    body = chain(
        canvas.note.s().on_error(canvas.new_errback.s()),
        canvas.note.s().on_error(canvas.new_errback.s()),
    )
    result = chord([boom(), canvas.same.s(1)], body).delay()
    with pytest.raises(ChordError):
        result.get(PATIENCE, follow_parents=False)
    nothing_left()
    assert str(result.result) == str(result.parent.result)
    assert notes() == [f"new {result.parent.id} ChordError: {result.parent.result}"]


def test_errbacks_of_a_body_reach_the_header_where_the_setting_says_so(settings: Any) -> None:
    settings.DJTASKS = {"TASK_ALLOW_ERROR_CB_ON_CHORD_HEADER": True}
    flow = chord([boom(), canvas.same.s(1)], canvas.note.s())
    flow.link_error(tasks.errback.s())
    result = flow.delay()
    with pytest.raises(ChordError):
        result.get(PATIENCE, follow_parents=False)
    nothing_left()
    failed = result.parent.results[0]
    assert sorted(notes()) == sorted([f"errback {failed.id}", f"errback {result.id}"])


def test_an_errback_of_a_body_that_never_ran_knows_what_its_message_carries() -> None:
    body = canvas.note.s().set(headers={"x": 1}, time_limit=9.5).stamp(order="2-17")
    whole = chord([boom()], body.on_error(canvas.errback_that_looks.s()))
    whole.delay()
    eventually(lambda: len(notes()) == 1, "the errback")
    assert notes() == ["{'x': 1} {'order': '2-17'} [9.5, None]"]


def test_an_errback_may_be_a_coroutine() -> None:
    failed = boom().on_error(canvas.async_errback.s()).delay()
    body = chord([boom()], canvas.note.s().on_error(canvas.async_errback.s())).delay()
    told = [f"async {failed.id} ValueError: ", f"async {body.id} ChordError: Dependency "]
    eventually(lambda: len(notes()) == 2, "the errbacks")
    for one in told:
        assert any(note.startswith(one) for note in notes())


def test_an_errback_that_raises_is_logged_and_the_others_are_called(
    worker: WorkerProcess,
) -> None:
    body = canvas.note.s().on_error(canvas.two_arguments_and_fail.s())
    body.link_error(canvas.new_errback.s())
    result = (group(canvas.same.s(1), boom()) | body).delay()
    with pytest.raises(ChordError):
        result.get(PATIENCE, follow_parents=False)
    worker.wait_log("two_arguments_and_fail.* failed")
    nothing_left()
    assert notes() == [f"new {result.id} ChordError: {result.result}"]


def test_an_exception_that_postgresql_cannot_hold_fails_the_body_all_the_same() -> None:
    result = (group(canvas.same.s(1), canvas.fail_with_nul.s()) | canvas.note.s()).delay()
    with pytest.raises(ChordError, match=r"Dependency .* raised ValueError"):
        result.get(PATIENCE, follow_parents=False)


def test_an_exception_whose_repr_raises_fails_the_body_all_the_same() -> None:
    result = (group(canvas.same.s(1), canvas.fail_unspeakably.s()) | canvas.note.s()).delay()
    with pytest.raises(ChordError, match=r"Dependency .* raised <UnspeakableError"):
        result.get(PATIENCE, follow_parents=False)


@pytest.mark.parametrize("text", ["a 'quote'", "two \"quotes\" and 'one'", "back\\slash", "☃\n"])
def test_the_reason_of_a_body_has_the_repr_of_the_exception(text: str) -> None:
    result = (group(canvas.same.s(1), canvas.fail_with.s(text)) | canvas.note.s()).delay()
    with pytest.raises(ChordError):
        result.get(PATIENCE, follow_parents=False)
    failed = result.parent.results[1]
    nothing_left()
    assert str(result.result) == f"Dependency {failed.id} raised {failed.result!r}"


# --- who waits -------------------------------------------------------------------------------


@pytest.mark.usefixtures("sound_wait")
@pytest.mark.parametrize("kind", ["chain", "chord", "group body"])
def test_whoever_waits_for_the_end_is_woken_at_once(kind: str, tmp_path: Any) -> None:
    gate = tmp_path / "gate"
    fails = canvas.wait_for.s(str(gate), fails=True)
    flow = {
        "chain": fails | canvas.note.s() | canvas.note.s(),
        "chord": group(canvas.same.s(1), fails) | canvas.note.s() | canvas.note.s(),
        "group body": group(canvas.same.s(1), fails) | group(canvas.note.s(), canvas.note.s()),
    }[kind]
    result = flow.delay()
    last = result.results[-1] if kind == "group body" else result

    def open_gate() -> None:
        # Once somebody waits only a notification ends the wait.
        try:
            eventually(somebody_waits, "somebody to wait")
            gate.touch()
        finally:
            connections.close_all()

    opening = threading.Thread(target=open_gate)
    opening.start()
    with pytest.raises((ValueError, ChordError)):
        last.get(PATIENCE, follow_parents=False)
    opening.join()


def test_a_workflow_of_thousands_that_wait_fails_at_once() -> None:
    header = (canvas.same.s(n) for n in range(2000))
    flow = chain(boom(), group(header), canvas.note.s())
    result = flow.delay()
    with pytest.raises(ValueError, match="boom"):
        result.get(PATIENCE, follow_parents=False)
    nothing_left()
    assert states() == {"FAILURE": 2002}


def test_all_results_of_a_failed_workflow_are_there_when_its_end_is() -> None:
    result = (boom() | group(canvas.note.s(), canvas.note.s()) | canvas.note.s()).delay()
    eventually(result.ready, "the end")
    assert [one.state for one in result.parent.results] == ["FAILURE"] * 2
