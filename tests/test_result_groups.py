"""Results of groups: their id and parent, where they are kept, and trees with groups in them."""

from __future__ import annotations

import asyncio
import importlib
import json
import pickle
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import djtasks
from djtasks import AsyncResult, EagerResult, GroupResult, ResultSet, result_from_tuple, shared_task
from djtasks.codec import decode_result, encode_result
from djtasks.exceptions import IncompleteStream, TimeoutError
from djtasks.ids import new_id, to_uuid
from djtasks.models import SavedGroup, TaskResult
from djtasks.testing import run_tasks
from tests.own_registry import own_registry  # noqa: F401
from tests.testapp.tasks import add
from tests.worker_process import WorkerProcess, eventually

pytestmark = [pytest.mark.usefixtures("own_registry"), pytest.mark.django_db]


@shared_task(name="tests.declining")
def declining(text: str) -> None:
    raise ValueError(text)


def handles(*ids: str) -> list[AsyncResult[Any]]:
    return [AsyncResult(id) for id in ids]


def stored(
    id: str, result: Any = None, children: list[Any] | None = None, state: str = "SUCCESS"
) -> AsyncResult[Any]:
    """A task that has ended, with the results of the calls that it made."""
    key, custom_id = to_uuid(id)
    TaskResult.objects.create(
        id=key,
        custom_id=custom_id,
        task="x",
        state=state,
        queue="q",
        result=encode_result(result, what="x"),
        date_done=timezone.now(),
        children=None if children is None else json.dumps([c.as_tuple() for c in children]),
    )
    return AsyncResult(id)


# --- as a value ------------------------------------------------------------------------------


def test_a_group_is_what_its_id_results_and_parent_are() -> None:
    group = GroupResult("g", handles("a", "b"))
    assert group == GroupResult("g", handles("a", "b")) == "g"
    assert group != GroupResult("h", handles("a", "b"))
    assert group != GroupResult("g", handles("a"))
    assert group != GroupResult("g", handles("a", "b"), parent=AsyncResult("p"))
    assert group != AsyncResult[Any]("g")
    assert group != 5
    assert hash(group) == hash("g")
    assert repr(group) == "<GroupResult: g [a, b]>"
    assert (str(group), group.id, group.children) == ("g", "g", handles("a", "b"))


def test_a_group_without_id_and_results_is_false() -> None:
    assert not GroupResult()
    assert GroupResult("g", [])
    assert GroupResult(None, handles("a"))
    assert not ResultSet([])


def test_the_id_is_a_text_also_where_a_uuid_was_given() -> None:
    id = new_id()
    assert GroupResult(id).id == str(id)


def test_celerys_module_has_them_too() -> None:
    module = importlib.import_module("djtasks.result")
    assert module.GroupResult is djtasks.GroupResult is GroupResult
    assert module.ResultSet is ResultSet
    assert module.EagerResult is EagerResult
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = module.Nothing


SHAPES = [
    AsyncResult("a"),
    AsyncResult("a", parent=AsyncResult("b", parent=AsyncResult("c"))),
    GroupResult("g", handles("a", "b")),
    GroupResult("g", []),
    GroupResult(None, handles("a")),
    GroupResult("g", handles("a"), parent=AsyncResult("p", parent=AsyncResult("q"))),
    AsyncResult("z", parent=GroupResult("g", handles("a", "b"), parent=AsyncResult("p"))),
    GroupResult(
        "g",
        [
            GroupResult("i", handles("a"), parent=AsyncResult("w")),
            AsyncResult("b", parent=AsyncResult("c")),
        ],
        parent=GroupResult("before", handles("d")),
    ),
]


def lineage(result: Any) -> Iterator[Any]:
    while result is not None:
        yield result
        result = result.parent


@pytest.mark.parametrize("result", SHAPES, ids=repr)
def test_a_result_becomes_a_tuple_and_one_again(result: Any) -> None:
    for again in (
        result_from_tuple(result.as_tuple()),
        result_from_tuple(json.loads(json.dumps(result.as_tuple()))),
        result_from_tuple(decode_result(encode_result(result, what="x"))),
        pickle.loads(pickle.dumps(result)),
    ):
        assert list(lineage(again)) == list(lineage(result))
        assert type(again) is type(result)
        assert again.as_tuple() == result.as_tuple()
    assert result_from_tuple(result) is result


def test_the_tuple_is_celerys() -> None:
    group = GroupResult("g", handles("a", "b"), parent=AsyncResult("p"))
    assert group.as_tuple() == (
        ("g", (("p", None), None)),
        [(("a", None), None), (("b", None), None)],
    )
    assert AsyncResult[Any]("c", parent=group).as_list() == ["c", "g", "p"]
    made = result_from_tuple(("g", [("a", None), ["b", None]]))
    assert made == GroupResult("g", handles("a", "b"))
    with pytest.raises(TypeError):
        result_from_tuple(None)


def test_a_long_chain_becomes_a_tuple_and_one_again() -> None:
    last: AsyncResult[Any] = AsyncResult("0")
    for number in range(1, 5000):
        last = AsyncResult(str(number), parent=last)
    again = result_from_tuple(last.as_tuple())
    assert sum(1 for _ in lineage(again)) == 5000
    assert last.as_list() == [str(number) for number in reversed(range(5000))]


def test_a_group_can_be_passed_to_a_task() -> None:
    @shared_task
    def members(group: Any) -> list[str]:
        return [result.id for result in result_from_tuple(group)]  # type: ignore[union-attr]

    result = members.delay(GroupResult("g", handles("a", "b")))
    run_tasks()
    assert result.get() == ["a", "b"]


# --- kept under its id -----------------------------------------------------------------------


@pytest.mark.parametrize("id", ["order-42", "01a2057a-e062-7cda-9a1c-ec7c7d367cf5"])
def test_a_group_that_was_saved_is_found_by_its_id(id: str) -> None:
    group = GroupResult(
        id,
        [AsyncResult("a"), GroupResult("i", handles("b"))],
        parent=AsyncResult("p", parent=GroupResult("h", handles("c"))),
    )
    assert group.save() is group
    again = GroupResult.restore(id)
    assert again == group
    assert list(lineage(again)) == list(lineage(group))
    group.delete()
    assert GroupResult.restore(id) is None
    group.delete()


def test_what_is_saved_again_is_replaced() -> None:
    GroupResult("g", handles("a")).save()
    SavedGroup.objects.update(saved_at=timezone.now() - timedelta(days=30))
    GroupResult("g", handles("a", "b")).save()
    assert GroupResult.restore("g") == GroupResult("g", handles("a", "b"))
    (saved,) = SavedGroup.objects.all()
    assert timezone.now() - saved.saved_at < timedelta(minutes=1)
    assert saved.custom_id == "g"


def test_a_group_without_an_id_cannot_be_saved() -> None:
    for call in (GroupResult(None, handles("a")).save, GroupResult(None, handles("a")).delete):
        with pytest.raises(ValueError, match="needs an id"):
            call()


def test_saved_tasks_still_have_their_results() -> None:
    GroupResult("g", [add.delay(1, 2), add.delay(3, 4)]).save()
    run_tasks()
    group = GroupResult.restore("g")
    assert group is not None
    assert group.get() == [3, 7]
    group.forget()
    assert GroupResult.restore("g") is not None


@pytest.mark.django_db(transaction=True)
def test_workers_delete_saved_groups_as_they_delete_results() -> None:
    for name, age in (("old", timedelta(hours=2)), ("young", timedelta(minutes=30))):
        GroupResult(name, handles("a")).save()
        SavedGroup.objects.filter(custom_id=name).update(saved_at=timezone.now() - age)
    with WorkerProcess("-c", "1", settings={"RESULT_EXPIRES": 3600}):
        eventually(lambda: SavedGroup.objects.count() < 2, "an old group to be deleted")
    assert GroupResult.restore("old") is None
    assert GroupResult.restore("young") is not None


@pytest.mark.django_db(transaction=True)
def test_asynchronous_code_saves_and_restores_too() -> None:
    async def ask() -> None:
        try:
            group = GroupResult("g", handles("a"))
            assert await group.asave() is group
            assert await GroupResult.arestore("g") == group
            await group.adelete()
            assert await GroupResult.arestore("g") is None
        finally:
            await sync_to_async(connections.close_all)()

    asyncio.run(ask())


# --- groups as parents -----------------------------------------------------------------------


def test_the_failure_of_a_member_of_the_group_before_is_raised() -> None:
    members = [add.delay(1, 2), declining.delay("member"), AsyncResult("unknown")]
    body: AsyncResult[Any] = AsyncResult("body", parent=GroupResult("g", members))
    run_tasks()
    with pytest.raises(ValueError, match="member"):
        body.get(timeout=60)
    for options in ({"follow_parents": False}, {"propagate": False}):
        with pytest.raises(TimeoutError):
            body.get(timeout=0, **options)  # type: ignore[arg-type]


def test_the_failure_of_the_first_parent_is_the_one_that_is_raised() -> None:
    first, second = declining.delay("first"), declining.delay("second")
    second.parent = first
    group = GroupResult("g", [declining.delay("third")], parent=second)
    result: AsyncResult[Any] = AsyncResult("r", parent=group)
    run_tasks()
    with pytest.raises(ValueError, match="first"):
        result.get(timeout=0)


def test_what_failed_because_of_a_parent_raises_its_own_exception() -> None:
    header = GroupResult("g", [stored("h", "why", state="FAILURE")])
    body = stored("b", "dependency", state="FAILURE")
    body.parent = header
    with pytest.raises(Exception, match="dependency"):
        body.get(timeout=0)


def test_hundreds_of_parents_are_read_in_one_query_and_only_until_they_are_known() -> None:
    last: AsyncResult[Any] | None = None
    for number in range(200):
        result = stored(f"s{number}", number)
        result.parent = last
        last = result
    end: AsyncResult[Any] = AsyncResult("end", parent=last)
    with CaptureQueriesContext(connection) as queries, pytest.raises(TimeoutError):
        end.get(timeout=0)
    assert len(queries.captured_queries) == 1
    stored("end", "value")
    with CaptureQueriesContext(connection) as queries:
        assert end.get() == "value"
    (query,) = queries.captured_queries
    assert len(query["sql"]) < 2000, "the parents were asked for again"


def test_forgetting_goes_back_to_the_group_before_and_no_further() -> None:
    for id in "fghij":
        stored(id, id)
    members = [AsyncResult[Any]("h"), AsyncResult[Any]("i", parent=AsyncResult("g"))]
    group = GroupResult("group", members, parent=AsyncResult("f"))
    AsyncResult[Any]("j", parent=group).forget()
    assert list(TaskResult.objects.values_list("custom_id", flat=True)) == ["f"]


# --- trees of calls --------------------------------------------------------------------------


def tree() -> tuple[AsyncResult[Any], list[Any]]:
    leaves = [stored("leaf1", 11), stored("leaf2", 12), stored("leaf3", 13)]
    children = [leaves[2], GroupResult("g", leaves[:2])]
    return stored("top", "top", children), children


def test_a_group_that_a_task_called_is_among_its_children() -> None:
    top, children = tree()
    assert top.children == children


def test_a_walk_goes_through_groups() -> None:
    top, (leaf, group) = tree()
    assert list(top.iterdeps()) == [
        (None, top),
        (top, leaf),
        (top, group),
        (group, group[0]),
        (group, group[1]),
    ]
    again: AsyncResult[Any] = AsyncResult("top")
    with CaptureQueriesContext(connection) as queries:
        walked = [(str(node), value) for node, value in again.collect()]
    assert walked == [("top", "top"), ("leaf3", 13), ("g", [11, 12]), ("leaf1", 11), ("leaf2", 12)]
    assert len(queries.captured_queries) == 2
    assert top.get_leaf() == 12


def test_a_walk_stops_at_a_group_that_has_not_ended() -> None:
    group = GroupResult("g", [stored("leaf", 1), AsyncResult("unknown")])
    top = stored("top", "top", [group])
    with pytest.raises(IncompleteStream, match="GroupResult: g"):
        list(top.iterdeps())
    assert list(top.iterdeps(intermediate=True)) == [(None, top), (top, group)]
    with pytest.raises(TimeoutError):
        list(top.collect(timeout=0))
