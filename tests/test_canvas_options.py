"""Options of workflows on a worker, and what each task is told of the workflow that it is in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from djtasks import AsyncResult, chain, chord, group
from djtasks.exceptions import TaskRevokedError
from djtasks.models import TaskResult
from tests.canvas_world import FLOW_TASKS, PATIENCE, notes, nothing_left
from tests.testapp import flow_tasks as canvas
from tests.testapp import tasks
from tests.worker_process import WorkerProcess, eventually

pytestmark = pytest.mark.usefixtures("live", "worker")


@pytest.fixture(scope="module")
def worker(live_database: None) -> Iterator[WorkerProcess]:
    """Two children that serve all queues but that of the worker below."""
    with WorkerProcess("-c", "2", "-X", "second", settings=FLOW_TASKS) as worker:
        yield worker


@pytest.fixture(autouse=True)
def leaves_nothing(live: None) -> Iterator[None]:
    yield
    nothing_left()


def row(result: Any) -> TaskResult:
    return TaskResult.objects.get(id=result.key)


def nested(value: Any, ends: int) -> Any:
    """The list that a body was given, with its first ends in a list of their own."""
    [given] = value
    return [[given[:ends], *given[ends:]]]


def wait_between(before: Any, after: Any) -> float:
    """Seconds from the end of a task until the beginning of the one behind it."""
    started, done = row(after).started_at, row(before).date_done
    assert started is not None
    assert done is not None
    return float((started - done).total_seconds())


# --- queue, priority, headers ----------------------------------------------------------------


def test_each_task_has_the_options_of_its_signature() -> None:
    flow = (
        canvas.whereabouts.s().set(queue="one", priority=3, headers={"x": 1})
        | group(canvas.whereabouts.s().set(queue="two"), canvas.whereabouts.s().set(priority=5))
        | canvas.whereabouts.s().set(queue="three", headers={"y": 2})
    )
    last = flow.delay().get(PATIENCE)
    [[left, right]] = last["args"]
    [first] = left["args"]
    found = [(one["queue"], one["priority"], one["headers"]) for one in (first, left, right, last)]
    assert found == [
        ("one", 3, {"x": 1}),
        ("two", 0, None),
        ("celery", 5, None),
        ("three", 0, {"y": 2}),
    ]


def test_options_of_a_call_of_a_chain_are_its_first_tasks() -> None:
    flow = chain(canvas.whereabouts.s(), canvas.whereabouts.s())
    last = flow.apply_async(queue="one", priority=4, headers={"x": 1}).get(PATIENCE)
    [first] = last["args"]
    assert (first["queue"], first["priority"], first["headers"]) == ("one", 4, {"x": 1})
    assert (last["queue"], last["priority"], last["headers"]) == ("celery", 0, None)


def test_options_of_a_call_of_a_group_are_those_of_each_member() -> None:
    members = group(canvas.whereabouts.s(), canvas.whereabouts.s().set(queue="two"))
    for told in members.apply_async(queue="one", priority=4, headers={"x": 1}).get(PATIENCE):
        assert (told["queue"], told["priority"], told["headers"]) == ("one", 4, {"x": 1})


def test_options_of_a_call_of_a_chord_are_those_of_header_and_body() -> None:
    flow = chord([canvas.whereabouts.s(), canvas.whereabouts.s()], canvas.whereabouts.s())
    given: dict[str, Any] = {"queue": "one", "priority": 4, "headers": {"x": 1}}
    for result in (flow.apply_async(**given), flow.clone().set(**given).delay()):
        body = result.get(PATIENCE)
        for told in (body, *body["args"][0]):
            assert {name: told[name] for name in given} == given


def test_options_of_a_call_reach_the_header_of_a_chord_that_begins() -> None:
    flow = group(canvas.whereabouts.s(), canvas.whereabouts.s()) | canvas.whereabouts.s()
    longer = chain(flow, group(canvas.whereabouts.s(), canvas.whereabouts.s()))
    for last in longer.apply_async(queue="one").get(PATIENCE):
        [body] = last["args"]
        assert (last["queue"], body["queue"]) == ("celery", "one")
        assert {told["queue"] for told in body["args"][0]} == {"one"}
    [body] = group([flow]).apply_async(queue="one").get(PATIENCE)
    assert [body["queue"]] + [told["queue"] for told in body["args"][0]] == ["one"] * 3


def test_what_a_chord_is_called_with_for_its_end_is_its_bodys_alone() -> None:
    flow = chord([canvas.same.s(1), canvas.same.s(2)], canvas.total.s())
    result = flow.apply_async(ignore_result=True, link=canvas.note.s(), task_id="the-sum")
    eventually(lambda: notes() == ["note (3,)"], "the link")
    assert result.id == "the-sum"
    assert not TaskResult.objects.filter(task__in=[canvas.total.name, canvas.same.name]).exists()


def test_options_of_a_call_of_map_and_chunks_are_those_of_their_tasks() -> None:
    mapped = canvas.double.map([1, 2]).apply_async(queue="one", priority=4)
    parts = tasks.add.chunks([(1, 1), (2, 2)], 1).apply_async(queue="one", priority=4)
    assert (mapped.get(PATIENCE), parts.get(PATIENCE)) == ([2, 4], [[2], [4]])
    for result in (mapped, *parts.results):
        assert (row(result).queue, row(result).priority) == ("one", 4)


def test_a_chain_goes_from_one_worker_to_another_and_back() -> None:
    flow = chain(
        canvas.whereabouts.s().set(queue="first"),
        group(canvas.whereabouts.s().set(queue=queue) for queue in ("second", "first", "second")),
        canvas.whereabouts.s().set(queue="first"),
    )
    with WorkerProcess("-c", "1", "-Q", "second", "-n", "second@here", settings=FLOW_TASKS):
        last = flow.delay().get(PATIENCE)
    [members] = last["args"]
    [first] = members[0]["args"]
    hosts = [told["hostname"] for told in (first, *members, last)]
    here, there = hosts[:2]
    assert hosts == [here, there, here, there, here]
    assert here != there == "second@here"


# --- time ------------------------------------------------------------------------------------


def test_a_countdown_in_the_middle_counts_from_the_end_of_the_step_before() -> None:
    flow = chain(tasks.sleep.s(0.4), canvas.same.s().set(countdown=3), canvas.same.s())
    result = flow.delay()
    assert result.get(PATIENCE) == 0.4
    assert wait_between(result.parent.parent, result.parent) >= 3
    assert wait_between(result.parent, result) < 3


def test_a_countdown_of_a_body_counts_from_the_end_of_the_header() -> None:
    header = [tasks.sleep.s(0.4), tasks.sleep.s(0.0)]
    result = chord(header, canvas.same.s().set(countdown=0.6)).delay()
    result.get(PATIENCE)
    assert wait_between(result.parent.results[0], result) >= 0.6


def test_the_countdown_of_a_call_delays_what_begins() -> None:
    ways = (
        chain(canvas.clock.s(), canvas.same.s()),
        group(canvas.clock.s(), canvas.clock.s()),
        chord([canvas.clock.s(), canvas.clock.s()], canvas.same.s()),
    )
    began = timezone.now().timestamp()
    results = [way.apply_async(countdown=3) for way in ways]
    clocks = [result.get(PATIENCE) for result in results]
    for clock in (clocks[0], *clocks[1], *clocks[2]):
        assert clock - began >= 3
    assert wait_between(results[2].parent.results[0], results[2]) < 3


def test_an_eta_of_a_later_step_is_kept() -> None:
    eta = timezone.now() + dt.timedelta(seconds=0.8)
    assert (canvas.same.s(1) | canvas.clock.s().set(eta=eta)).delay().get(PATIENCE) >= (
        eta.timestamp()
    )


def test_expires_in_the_middle_counts_from_the_end_of_the_step_before() -> None:
    flow = chain(tasks.sleep.s(4), canvas.same.s().set(expires=3), canvas.double.s())
    assert flow.delay().get(PATIENCE) == 8


def test_a_middle_step_that_expires_is_revoked_with_what_follows() -> None:
    late = canvas.note.s().set(expires=0.2, countdown=0.5)
    result = chain(canvas.same.s(1), late, canvas.note.s()).delay()
    with pytest.raises(TaskRevokedError, match="expired"):
        result.get(PATIENCE)
    assert (result.parent.state, result.state) == ("REVOKED", "REVOKED")
    assert notes() == []


# --- ids and places --------------------------------------------------------------------------


def test_a_task_id_is_that_of_the_end() -> None:
    ended = chain(canvas.same.s(1), canvas.whereabouts.s()).apply_async(task_id="the-chain")
    assert ended.id == "the-chain"
    assert ended.get(PATIENCE)["id"] == "the-chain"
    assert AsyncResult("the-chain").get(PATIENCE)["args"] == [1]

    members = group(canvas.whereabouts.s(), canvas.whereabouts.s()).apply_async(task_id="the-group")
    assert members.id == "the-group"
    assert {told["group"] for told in members.get(PATIENCE)} == {"the-group"}

    flow = chord([canvas.same.s(1), canvas.same.s(2)], canvas.whereabouts.s())
    body = flow.apply_async(task_id="the-body")
    assert body.id == "the-body"
    assert body.get(PATIENCE)["id"] == "the-body"


def test_every_task_knows_its_root_its_parent_and_its_group() -> None:
    flow = (
        canvas.whereabouts.s()
        | group(
            canvas.whereabouts.s(),
            canvas.whereabouts.s() | canvas.whereabouts.s(),
        )
        | canvas.whereabouts.s()
        | canvas.whereabouts.s()
    )
    result = flow.delay()
    last = result.get(PATIENCE)
    [body] = last["args"]
    [[left, right]] = body["args"]
    [inner] = right["args"]
    [first] = left["args"]
    assert inner["args"] == [first]
    everyone = (first, left, inner, right, body, last)
    assert {told["root_id"] for told in everyone} == {first["id"]}
    assert first["parent_id"] is None
    assert left["parent_id"] == inner["parent_id"] == first["id"]
    assert right["parent_id"] == inner["id"]
    assert last["parent_id"] == body["id"] == result.parent.id
    header = result.parent.parent
    assert left["group"] == right["group"] == header.id
    assert (left["group_index"], right["group_index"]) == (0, 1)
    assert [one.id for one in header.results] == [left["id"], right["id"]]
    assert {told["group"] for told in (first, inner, body, last)} == {None}


def test_members_of_a_header_know_the_group_that_its_handle_is() -> None:
    two = canvas.same.s(1) | group(canvas.whereabouts.s(), canvas.whereabouts.s())
    header = group(two, canvas.whereabouts.s(), canvas.whereabouts.s(), task_id="my-group")
    result = chord(header, canvas.listed.s()).delay()
    [[inner, *others]] = nested(result.get(PATIENCE), 2)
    members = result.parent
    assert members.id == "my-group"
    assert [(told["group"], told["group_index"]) for told in others] == [
        ("my-group", 1),
        ("my-group", 2),
    ]
    assert [told["group"] for told in inner] == [members.results[0].id] * 2
    assert [told["group_index"] for told in inner] == [0, 1]


def test_the_handle_of_a_frozen_workflow_is_that_of_its_run() -> None:
    flow = chain(canvas.whereabouts.s(), group(canvas.whereabouts.s(), canvas.whereabouts.s()))
    flow |= canvas.whereabouts.s()
    frozen = flow.freeze()
    sent = flow.delay()
    told = sent.get(PATIENCE)
    assert frozen.id == sent.id == told["id"]
    assert frozen.get(PATIENCE) == told
    ids = [one["id"] for one in told["args"][0]]
    assert ids == [one.id for one in frozen.parent.results]
    assert ids == [one.id for one in sent.parent.results]
    assert {one["group"] for one in told["args"][0]} == {frozen.parent.id}


@pytest.mark.parametrize("kind", [chain, group, chord])
def test_a_root_and_a_parent_that_were_set_are_kept(kind: Any) -> None:
    root, parent = (f"0199c0de-0000-7000-8000-00000000000{n}" for n in (1, 2))

    def flow() -> Any:
        if kind is chord:
            return chord([canvas.whereabouts.s()], canvas.whereabouts.s())
        return kind([canvas.whereabouts.s(), canvas.whereabouts.s()])

    def first(told: Any) -> Any:
        while isinstance(told, list) or told["args"]:
            told = told[0] if isinstance(told, list) else told["args"][0]
        return told

    frozen = flow()
    frozen.freeze(root_id=root, parent_id=parent)
    for one in (frozen, flow().set(root_id=root, parent_id=parent)):
        told = one.delay().get(PATIENCE)
        last = told[-1] if isinstance(told, list) else told
        assert (last["root_id"], first(told)["root_id"]) == (root, root)
        assert first(told)["parent_id"] == parent


def test_a_link_knows_where_it_comes_from() -> None:
    link = canvas.whereabouts.s().set(task_id="linked")
    result = (canvas.same.s(1) | canvas.same.s()).apply_async(link=link)
    linked: AsyncResult[Any] = AsyncResult("linked")
    eventually(linked.ready, "the link")
    told = linked.get()
    assert told["parent_id"] == result.id
    assert told["root_id"] == result.parent.id


def test_a_body_that_is_a_group_knows_its_place() -> None:
    flow = chord([canvas.same.s(1)] * 2, group(canvas.whereabouts.s(), canvas.whereabouts.s()))
    result = flow.delay()
    left, right = result.get(PATIENCE)
    assert left["group"] == right["group"] == result.id
    assert (left["group_index"], right["group_index"]) == (0, 1)
    assert left["root_id"] == result.parent.results[0].id
