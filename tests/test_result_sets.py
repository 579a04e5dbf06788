"""Sets of results: their members, what is known of them, their results in one list."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from djtasks import AsyncResult, EagerResult, GroupResult, ResultSet, shared_task
from djtasks.exceptions import EncodeError, ImproperlyConfigured, TaskRevokedError, TimeoutError
from djtasks.execution.request import Context, pop, push
from djtasks.ids import new_id
from djtasks.joining import denied_join_result
from djtasks.models import Message, TaskResult, Worker
from djtasks.queue.state import STATES_AT_ONCE, VALUES_AT_ONCE
from djtasks.testing import run_tasks
from tests.own_registry import own_registry  # noqa: F401
from tests.testapp.tasks import add

pytestmark = [pytest.mark.usefixtures("own_registry"), pytest.mark.django_db]


@shared_task(name="tests.refusing")
def refusing(text: str) -> None:
    raise ValueError(text)


def handles(*ids: str) -> list[AsyncResult[Any]]:
    return [AsyncResult(id) for id in ids]


def ended(count: int, state: str = "SUCCESS") -> list[UUID]:
    """Tasks that have ended; their results are 0, 1, 2 ..."""
    ids = [new_id() for _ in range(count)]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO djtasks_taskresult (id, task, state, queue, result, date_done)"
            " SELECT id, 'x', %s, 'q', (n - 1)::text, now()"
            " FROM unnest(%s::uuid[]) WITH ORDINALITY AS i (id, n)",
            (state, ids),
        )
    return ids


def set_of(ids: Sequence[UUID]) -> ResultSet:
    return ResultSet([AsyncResult(id) for id in ids])


# --- members ---------------------------------------------------------------------------------


def test_members_are_kept_in_order_and_once() -> None:
    results = ResultSet(handles("a", "b"))
    results.add(AsyncResult("a"))
    results.add(AsyncResult("c"))
    results.update(handles("c", "d", "d"))
    assert [result.id for result in results] == ["a", "b", "c", "d"]
    assert (len(results), results[1].id, [r.id for r in results[2:]]) == (4, "b", ["c", "d"])
    assert "a" in results
    assert AsyncResult[Any]("z") not in results


def test_a_member_is_removed_by_itself_or_by_its_id() -> None:
    results = ResultSet(handles("a", "b", "c", "d"))
    results.remove("a")
    results.remove(AsyncResult("b"))
    results.discard("c")
    results.discard("z")
    assert results.results == handles("d")
    with pytest.raises(KeyError, match="z"):
        results.remove("z")


def test_the_list_that_was_given_is_the_one_that_is_kept() -> None:
    members = handles("a", "b")
    results = ResultSet(members)
    assert results.results is members
    results.clear()
    assert members == []
    assert ResultSet(AsyncResult[Any](id) for id in "ab").results == handles("a", "b")


def test_groups_can_be_members() -> None:
    group = GroupResult("g", handles("a"))
    results = ResultSet([group])
    results.add(GroupResult("g", handles("a")))
    results.update([group, GroupResult("h", [])])
    assert results.results == [group, GroupResult("h", [])]


def test_sets_are_equal_by_their_members_and_have_no_hash() -> None:
    assert ResultSet(handles("a", "b")) == ResultSet(handles("a", "b"))
    assert ResultSet(handles("a", "b")) != ResultSet(handles("b", "a"))
    assert ResultSet([]) != 5
    with pytest.raises(TypeError, match="unhashable"):
        hash(ResultSet([]))
    assert repr(ResultSet(handles("a", "b"))) == "<ResultSet: [a, b]>"
    assert pickle.loads(pickle.dumps(ResultSet(handles("a")))) == ResultSet(handles("a"))


def test_a_set_has_no_id_to_be_passed_by() -> None:
    with pytest.raises(EncodeError, match="ResultSet"):
        add.delay(1, ResultSet([]))  # type: ignore[arg-type]


# --- what is known ---------------------------------------------------------------------------


def test_nothing_of_an_empty_set_is_waited_for() -> None:
    results = ResultSet([])
    with CaptureQueriesContext(connection) as queries:
        known = (results.ready(), results.successful(), results.failed(), results.waiting())
        assert known == (True, True, False, False)
        assert (results.completed_count(), results.get(), results.join()) == (0, [], [])
    assert not queries.captured_queries


def test_a_set_is_ready_when_all_of_its_tasks_have_ended() -> None:
    results = ResultSet([add.delay(1, 2), add.delay(3, 4)])
    assert (results.ready(), results.waiting(), results.successful()) == (False, True, False)
    assert (results.failed(), results.completed_count()) == (False, 0)
    run_tasks()
    assert (results.ready(), results.waiting(), results.successful()) == (True, False, True)
    assert (results.failed(), results.completed_count()) == (False, 2)
    assert results.get() == results.join() == results.join_native() == [3, 7]


def test_one_failure_fails_the_set() -> None:
    results = ResultSet([add.delay(1, 2), refusing.delay("no"), AsyncResult("unknown")])
    run_tasks()
    assert (results.failed(), results.successful(), results.ready()) == (True, False, False)
    assert results.completed_count() == 1


def test_a_revoked_task_is_no_failure_and_no_success() -> None:
    results = ResultSet([add.apply_async((1, 2), expires=-1)])
    run_tasks()
    assert (results.ready(), results.failed(), results.successful()) == (True, False, False)
    with pytest.raises(TaskRevokedError):
        results.get()


def test_a_set_in_the_set_counts_as_one() -> None:
    results = ResultSet([add.delay(1, 2), GroupResult("g", [add.delay(3, 4), add.delay(5, 6)])])
    run_tasks()
    assert (results.completed_count(), results.get(), results.join()) == (
        2,
        [3, [7, 11]],
        [3, [7, 11]],
    )


def test_a_stored_end_of_an_earlier_run_of_the_same_id_does_not_count() -> None:
    add.apply_async((1, 2), task_id="again")
    run_tasks()
    add.apply_async((3, 4), task_id="again")
    results = ResultSet(handles("again"))
    assert not results.ready()
    with pytest.raises(TimeoutError):
        results.get(timeout=0)
    run_tasks()
    assert results.get() == [7]


# --- results ---------------------------------------------------------------------------------


@pytest.mark.parametrize("join", [ResultSet.join, ResultSet.join_native, ResultSet.get])
def test_a_failure_is_raised_or_returned(join: Callable[..., Any]) -> None:
    results = ResultSet([add.delay(1, 2), refusing.delay("no")])
    run_tasks()
    with pytest.raises(ValueError, match="no"):
        join(results)
    three, error = join(results, propagate=False)
    assert three == 3
    assert isinstance(error, ValueError)


def test_a_failure_is_not_waited_for_in_turn_unless_it_is_joined_so() -> None:
    results = ResultSet([AsyncResult("unknown"), refusing.delay("no")])
    run_tasks()
    for call in (results.get, results.join_native):
        with pytest.raises(ValueError, match="no"):
            call(timeout=0)
    with pytest.raises(TimeoutError):
        results.join(timeout=0)


def test_the_timeout_is_for_all_together() -> None:
    for call in (ResultSet.get, ResultSet.join):
        with pytest.raises(TimeoutError, match="The operation timed out"):
            call(ResultSet(handles("x", "y", "z")), timeout=0.05)


def test_a_callback_gets_each_id_and_value_and_no_list_is_returned() -> None:
    results = ResultSet([add.delay(1, 2), add.delay(3, 4)])
    run_tasks()
    for call, returned in ((results.join, []), (results.join_native, None), (results.get, None)):
        seen: list[Any] = []

        def note(id: str, value: Any, seen: list[Any] = seen) -> None:
            seen.append((id, value))

        value: Any = call(callback=note)
        assert value == returned
        assert seen == [(results[0].id, 3), (results[1].id, 7)]


def test_results_come_with_what_is_known_of_each() -> None:
    results = ResultSet([add.delay(1, 2), GroupResult("g", [add.delay(3, 4)])])
    run_tasks()
    (id, meta), (group_id, members) = results.iter_native(timeout=0)
    assert (id, group_id) == (results[0].id, "g")
    assert meta == {
        "task_id": id,
        "status": "SUCCESS",
        "result": 3,
        "traceback": None,
        "children": None,
    }
    assert [member.get() for member in members] == [7]
    with pytest.raises(TimeoutError):
        list(ResultSet(handles("unknown")).iter_native(timeout=0))


def test_a_task_that_is_twice_in_the_set_has_two_results() -> None:
    result = add.delay(1, 2)
    results = ResultSet([result, AsyncResult(result.id), result])
    run_tasks()
    assert (results.join(), results.get(), results.completed_count()) == ([3, 3, 3], [3, 3, 3], 3)


def test_an_ignored_result_is_none_at_once() -> None:
    results = ResultSet([add.apply_async((1, 2), ignore_result=True), add.delay(3, 4)])
    run_tasks()
    assert results.join(timeout=0) == results.get(timeout=0) == [None, 7]


def test_the_failure_of_a_members_parent_is_raised_by_join_only() -> None:
    result, parent = add.delay(1, 2), refusing.delay("before")
    result.parent = parent
    run_tasks()
    assert ResultSet([result]).get() == [3]
    assert ResultSet([result]).join(propagate=False) == [3]
    with pytest.raises(ValueError, match="before"):
        ResultSet([result]).join()


def test_known_failures_are_raised_without_a_wait() -> None:
    results = ResultSet([AsyncResult("unknown"), add.delay(1, 2), refusing.delay("no")])
    results.maybe_throw()
    run_tasks()
    seen: list[Any] = []
    with pytest.raises(ValueError, match="no"):
        results.maybe_throw(callback=lambda id, value: seen.append(value))
    assert seen == [None, 3]
    results.maybe_reraise(propagate=False)


def test_inside_a_task_a_set_is_not_waited_for_unless_allowed() -> None:
    results = ResultSet(handles("inner"))
    token = push(add, Context(id="outer", called_directly=False))
    try:
        for call in (results.join, results.join_native, results.get):
            with pytest.raises(RuntimeError, match="Never call"):
                call(timeout=0)
            with pytest.raises(TimeoutError):
                call(timeout=0, disable_sync_subtasks=False)
    finally:
        pop(token)
    with denied_join_result(), pytest.raises(RuntimeError, match="Never call"):
        asyncio.run(results.aget(timeout=0))


def test_what_needs_a_broker_says_so() -> None:
    results = ResultSet(handles("x"))
    for call in (results.join, results.get):
        with pytest.raises(ImproperlyConfigured, match="on_interval"):
            call(on_message=lambda body: None)  # type: ignore[arg-type]


def test_a_set_that_only_this_transaction_sees_is_not_waited_for() -> None:
    results = ResultSet([add.delay(n, n) for n in range(3)])
    with pytest.raises(RuntimeError, match="in the transaction that is still open"):
        results.get(timeout=60)


# --- how it is read --------------------------------------------------------------------------


def test_thousands_of_results_are_read_in_a_few_queries() -> None:
    count = 2 * VALUES_AT_ONCE + 1
    ids = ended(count)
    for read in (ResultSet.get, ResultSet.join):
        results = set_of(ids)
        with CaptureQueriesContext(connection) as queries:
            assert read(results) == list(range(count))
        assert len(queries.captured_queries) == 3
        with CaptureQueriesContext(connection) as queries:
            assert read(results) == list(range(count))
            assert results.ready()
        assert not queries.captured_queries


def test_the_states_of_thousands_are_read_in_one_query_and_once() -> None:
    ids = ended(STATES_AT_ONCE - 1)
    results = set_of([*ids, new_id()])
    with CaptureQueriesContext(connection) as queries:
        assert results.completed_count() == len(ids)
    assert len(queries.captured_queries) == 1
    with CaptureQueriesContext(connection) as queries:
        assert not results.ready()
    (query,) = queries.captured_queries
    assert len(query["sql"]) < 2000, "what has ended was asked for again"
    results.remove(results[-1])
    with CaptureQueriesContext(connection) as queries:
        assert results.ready()
        assert results.successful()
        assert results[5].state == "SUCCESS"
    assert not queries.captured_queries
    assert results[5].result == 5


def test_one_that_was_read_with_many_tells_the_rest_as_well() -> None:
    results = ResultSet([add.delay(1, 2), refusing.delay("no")])
    run_tasks()
    results.join(propagate=False)
    good, bad = results
    assert "ValueError: no" in (bad.traceback or "")
    assert (good.traceback, good.children) == (None, None)
    assert (good.name, good.args, good.queue, good.exists()) == (add.name, [1, 2], "celery", True)
    assert good.date_done is not None


def test_a_result_that_was_deleted_after_its_end_was_seen_is_unknown_again() -> None:
    results = set_of(ended(2))
    assert results.ready()
    TaskResult.objects.all().delete()
    assert results[0].state == "SUCCESS"
    assert results[0].result is None
    assert results[0].state == "PENDING"
    with pytest.raises(TimeoutError):
        results.get(timeout=0)


# --- deleting and revoking -------------------------------------------------------------------


def test_a_set_is_forgotten_with_the_parents_of_its_members() -> None:
    first, second = add.delay(1, 2), add.delay(3, 4)
    second.parent = first
    results = ResultSet([second, add.delay(5, 6)])
    run_tasks()
    assert results.get() == [7, 11]
    with CaptureQueriesContext(connection) as queries:
        results.forget()
    assert len(queries.captured_queries) == 1
    assert not TaskResult.objects.exists()
    assert not results.ready()


def test_what_waits_in_the_queue_is_revoked() -> None:
    results = ResultSet([add.delay(1, 2), GroupResult("g", [add.delay(3, 4)])])
    other = add.delay(5, 6)
    results.revoke()
    assert Message.objects.count() == 1
    assert (results.ready(), results.successful(), results.failed()) == (True, False, False)
    with pytest.raises(TaskRevokedError):
        results.get()
    other.revoke()
    assert other.state == "REVOKED"
    for one in (results, other):
        one.revoke(terminate=True)  # They have ended: nothing is left to be done.
        with pytest.raises(ValueError, match="SIGTERM"):
            one.revoke(terminate=True, signal="SIGUSR1")


# --- eager results ---------------------------------------------------------------------------


def test_tasks_that_ran_here_can_be_members() -> None:
    results = ResultSet([add.apply((1, 2)), EagerResult("e", 5, "SUCCESS")])
    with CaptureQueriesContext(connection) as queries:
        assert (results.ready(), results.successful(), results.completed_count()) == (True, True, 2)
        assert results.get() == results.join() == [3, 5]
        assert [meta["result"] for _, meta in results.iter_native()] == [3, 5]
        failing = ResultSet([refusing.apply(("no",))])
        assert failing.failed()
        for call in (failing.get, failing.join, failing.maybe_throw):
            with pytest.raises(ValueError, match="no"):
                call()
        results.forget()
    assert not queries.captured_queries
    mixed = ResultSet([EagerResult("e", 5, "SUCCESS"), add.delay(1, 2)])
    assert not mixed.ready()
    run_tasks()
    assert mixed.get() == [5, 3]


def test_one_that_waits_for_the_commit_says_so() -> None:
    results = ResultSet([EagerResult("e", None, "PENDING")])
    assert (results.ready(), results.waiting()) == (False, True)
    with pytest.raises(RuntimeError, match="runs when the open transaction commits"):
        results.join()


# --- asynchronous code -----------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_asynchronous_code_has_twins_of_it_all() -> None:
    async def ask() -> None:
        try:
            results = ResultSet([await add.adelay(1, 2), await add.adelay(3, 4)])
            assert not await results.aready()
            assert await results.awaiting()
            for call in (results.aget, results.ajoin):
                with pytest.raises(TimeoutError):
                    await call(timeout=0.05)
            await sync_to_async(run_tasks)()
            assert await results.aget(timeout=60) == [3, 7]
            assert await results.ajoin(timeout=60) == [3, 7]
            assert await results.asuccessful()
            assert not await results.afailed()
            assert await results.acompleted_count() == 2
            await results.aforget()
            assert not await results.aready()
            queued = ResultSet([await add.adelay(1, 2)])
            await queued.arevoke()
            with pytest.raises(TaskRevokedError):
                await queued.aget(timeout=60)
        finally:
            await sync_to_async(connections.close_all)()

    asyncio.run(ask())
    Worker.objects.all().delete()
