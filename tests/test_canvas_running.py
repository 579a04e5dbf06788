"""Workflows on a worker: every kind of them, their results, their order, and what they carry."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from djtasks import GroupResult, Signature, chain, chord, group, signature
from djtasks.models import Payload, TaskResult
from tests.canvas_world import FLOW_TASKS, PATIENCE, notes, nothing_left
from tests.testapp import flow_tasks as canvas
from tests.testapp import tasks
from tests.testapp.models import Counter
from tests.worker_process import WorkerProcess, eventually, states

pytestmark = pytest.mark.usefixtures("live", "worker")

LARGE = 1_000_000
"""Characters of a result that is far too large to travel with a message."""


@pytest.fixture(scope="module")
def worker(live_database: None) -> Iterator[WorkerProcess]:
    """Two children that serve all queues, for all tests of this module."""
    with WorkerProcess("-c", "2", settings=FLOW_TASKS) as worker:
        yield worker


@pytest.fixture(autouse=True)
def leaves_nothing(live: None) -> Iterator[None]:
    yield
    nothing_left()


def ids(result: Any) -> list[str]:
    return [one.id for one in result.results]


# --- every kind ------------------------------------------------------------------------------


def test_a_chain_hands_each_result_on() -> None:
    result = chain(tasks.add.s(1, 2), tasks.add.s(10), tasks.add.s(100)).delay()
    assert result.get(PATIENCE) == 113
    assert (result.parent.get(), result.parent.parent.get()) == (13, 3)
    assert result.parent.parent.parent is None


def test_a_group_has_its_results_in_order() -> None:
    result: Any = group(tasks.add.s(n, n) for n in range(20)).delay()
    assert type(result) is GroupResult
    assert result.get(PATIENCE) == [2 * n for n in range(20)]
    assert result.successful()


def test_a_group_in_a_group_is_flat() -> None:
    inner = group(tasks.add.s(2, 2), tasks.add.s(3, 3))
    assert group(tasks.add.s(1, 1), inner, tasks.add.s(4, 4)).delay().get(PATIENCE) == [2, 4, 6, 8]


def test_a_group_of_one_chain_that_ends_in_a_group_is_that_group() -> None:
    inner = tasks.add.s(1, 1) | group(canvas.double.s(), canvas.same.s())
    result: Any = group([inner]).delay()
    assert (len(result), result.get(PATIENCE)) == (2, [4, 2])
    assert result.parent.get() == 2
    nested: Any = group([inner, canvas.same.s(7)]).delay()
    assert (len(nested), nested.get(PATIENCE)) == (2, [[4, 2], 7])


def test_the_body_of_a_chord_gets_the_results_in_order() -> None:
    # The first members end last.
    header = [canvas.same.s(n).set(countdown=0.2 if n < 2 else None) for n in range(10)]
    result = chord(header, canvas.listed.s()).delay()
    assert result.get(PATIENCE) == [list(range(10))]
    assert result.parent.get(PATIENCE) == list(range(10))


def test_a_chord_without_header_runs_its_body_with_an_empty_list() -> None:
    assert chord([], canvas.listed.s())().get(PATIENCE) == [[]]


def test_a_chain_without_tasks_is_nothing() -> None:
    assert chain().delay() is None


def test_each_task_of_a_second_group_gets_all_results_of_the_first() -> None:
    flow = group(tasks.add.s(1, 1), tasks.add.s(2, 2)) | group(
        canvas.total.s(), canvas.listed.s("more")
    )
    assert flow.delay().get(PATIENCE) == [6, [[2, 4], "more"]]


def test_a_chain_in_a_chord_in_a_chain() -> None:
    flow = (
        tasks.add.s(1, 1)
        | group(chain(tasks.add.s(10), canvas.double.s()), tasks.add.s(100))
        | canvas.total.s()
        | canvas.double.s()
    )
    assert flow.delay().get(PATIENCE) == 2 * ((2 + 10) * 2 + 102)


def test_a_chord_in_the_header_of_a_chord() -> None:
    inner = chord([tasks.add.s(1, 1), tasks.add.s(2, 2)], canvas.total.s())
    outer = chord([inner, tasks.add.s(3, 3)], canvas.listed.s())
    assert outer.delay().get(PATIENCE) == [[6, 6]]


def test_a_group_at_the_end_of_a_chain_in_a_header_counts_with_each_member() -> None:
    branch = chain(tasks.add.s(1, 1), group(tasks.add.s(10), tasks.add.s(20)))
    assert chord([branch, tasks.add.s(5, 5)], canvas.listed.s()).delay().get(PATIENCE) == [
        [12, 22, 10]
    ]


def test_a_chain_of_groups_goes_from_one_to_the_next() -> None:
    flow = chain(
        group(canvas.same.s(n) for n in range(3)),
        group(canvas.total.s(), canvas.total.s()),
        canvas.total.s(),
        group(tasks.add.s(1), tasks.add.s(2)),
    )
    assert flow.delay().get(PATIENCE) == [7, 8]


def test_map_starmap_and_chunks() -> None:
    pairs = [(n, n) for n in range(10)]
    assert canvas.double.map(range(5)).delay().get(PATIENCE) == [0, 2, 4, 6, 8]
    assert tasks.add.starmap(pairs).delay().get(PATIENCE) == [2 * n for n in range(10)]
    assert tasks.add.chunks(pairs, 4).delay().get(PATIENCE) == [
        [0, 2, 4, 6],
        [8, 10, 12, 14],
        [16, 18],
    ]


def test_chunks_may_be_a_header() -> None:
    flow = tasks.add.chunks([(n, n) for n in range(6)], 2).group() | canvas.listed.s()
    assert flow.delay().get(PATIENCE) == [[[0, 2], [4, 6], [8, 10]]]


def test_map_of_coroutines() -> None:
    assert canvas.double_async.map([1, 2]).delay().get(PATIENCE) == [2, 4]


def test_a_generator_of_thousands_is_a_header() -> None:
    header = (canvas.same.s(n) for n in range(2500))
    result = chord(header, canvas.listed.s()).delay()
    assert result.get(PATIENCE) == [list(range(2500))]
    assert states() == {"SUCCESS": 2501}


def test_a_chain_of_hundreds_of_steps() -> None:
    flow = chain(canvas.same.s(0), *(tasks.add.s(1) for _ in range(100)))
    assert flow.delay().get(PATIENCE) == 100


def test_a_signature_that_went_through_json_is_the_same_workflow() -> None:
    import json

    flow = group(tasks.add.s(1, 1), tasks.add.s(2, 2)) | canvas.total.s() | canvas.double.s()
    again: Signature[Any] = signature(json.loads(json.dumps(flow)))
    assert again.delay().get(PATIENCE) == 12


# --- arguments -------------------------------------------------------------------------------


def test_arguments_of_the_call_come_before_those_of_the_first_tasks() -> None:
    assert chain(canvas.listed.s(2), canvas.listed.s(3)).delay(1).get(PATIENCE) == [[1, 2], 3]
    assert group(canvas.listed.s(2), canvas.listed.s(3)).delay(1).get(PATIENCE) == [[1, 2], [1, 3]]
    result = chord([canvas.listed.s(2), canvas.listed.s(3)], canvas.listed.s(4)).delay(1)
    assert result.get(PATIENCE) == [[[1, 2], [1, 3]], 4]


def test_the_result_comes_before_the_arguments_and_beside_the_keyword_arguments() -> None:
    flow = canvas.same.s("first") | canvas.told.s("second", "third", key="word")
    assert flow.delay().get(PATIENCE) == {
        "value": "first",
        "args": ["second", "third"],
        "kwargs": {"key": "word"},
    }


def test_keyword_arguments_of_the_call_win() -> None:
    flow = canvas.told.s(1, key="own", other="kept") | canvas.same.s()
    told = flow.apply_async(kwargs={"key": "later"}).get(PATIENCE)
    assert told["kwargs"] == {"key": "later", "other": "kept"}


def test_an_immutable_step_gets_no_result() -> None:
    flow = canvas.same.s(1) | canvas.listed.si(2) | canvas.listed.s(3)
    assert flow.delay().get(PATIENCE) == [[2], 3]
    body = group(canvas.same.s(1), canvas.same.s(2)) | canvas.listed.si("nothing")
    assert body.delay().get(PATIENCE) == ["nothing"]
    beside = canvas.same.s(1) | group(canvas.listed.si(), canvas.listed.s())
    assert beside.delay().get(PATIENCE) == [[], [1]]


def test_an_immutable_first_step_ignores_the_arguments_of_the_call() -> None:
    assert chain(canvas.listed.si(1), canvas.listed.s()).delay(7).get(PATIENCE) == [[1]]


# --- values ----------------------------------------------------------------------------------

TYPED = [
    dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC),
    Decimal("1.10"),
    (1, (2,)),
    {"when": dt.date(2026, 1, 2), 3: {4}},
    b"\x00\xff",
    'a "quoted" \\ text, ☃',
    None,
]


@pytest.mark.parametrize("value", TYPED, ids=lambda value: type(value).__name__)
def test_results_keep_their_types_on_their_way(value: Any) -> None:
    through = chain(canvas.same.s(value), canvas.same.s(), canvas.same.s()).delay()
    gathered = chord([canvas.same.s(value), canvas.same.s(1)], canvas.same.s()).delay()
    assert through.get(PATIENCE) == value
    assert type(through.get()) is type(value)
    assert gathered.get(PATIENCE) == [value, 1]
    behind = canvas.same.s(1) | canvas.told.s(value, key=value)
    assert behind.delay().get(PATIENCE) == {"value": 1, "args": [value], "kwargs": {"key": value}}


def test_a_model_instance_is_fetched_anew_for_each_step() -> None:
    counter = Counter.objects.create(name="visits", value=3)
    through = chain(canvas.same.s(counter), canvas.same.s()).delay().get(PATIENCE)
    assert (through, through.value) == (counter, 3)
    gathered = chord([canvas.same.s(counter), canvas.same.s(counter)], canvas.same.s()).delay()
    assert gathered.get(PATIENCE) == [counter, counter]


def test_a_megabyte_goes_through_a_chain_and_a_chord() -> None:
    through = chain(canvas.text_of.s(LARGE), canvas.same.s(), canvas.length.s()).delay()
    header = [canvas.text_of.s(LARGE), canvas.text_of.s(LARGE // 2)]
    gathered = chord(header, canvas.length.s()).delay()
    assert through.get(PATIENCE) == LARGE
    assert through.parent.get() == canvas.text_of.run(LARGE)
    assert gathered.get(PATIENCE) == [LARGE, LARGE // 2]


def test_a_megabyte_of_arguments_for_the_first_and_for_a_later_step() -> None:
    text = canvas.text_of.run(LARGE)
    flow = canvas.same.s(text) | canvas.listed.s(text) | canvas.length.s()
    assert flow.delay().get(PATIENCE) == [LARGE, LARGE]
    nothing_left()
    kept = set(TaskResult.objects.exclude(payload_id=None).values_list("payload_id", flat=True))
    assert set(Payload.objects.values_list("id", flat=True)) == kept


def test_tasks_that_store_no_result_pass_theirs_on() -> None:
    through = chain(canvas.double_quietly.s(1), canvas.double_quietly.s(), canvas.same.s()).delay()
    header = [canvas.double_quietly.s(n) for n in range(3)]
    gathered = chord(header, canvas.listed.s()).delay()
    called = chain(tasks.add.s(1, 1).set(ignore_result=True), canvas.same.s()).delay()
    assert through.get(PATIENCE) == 4
    assert gathered.get(PATIENCE) == [[0, 2, 4]]
    assert called.get(PATIENCE) == 2
    assert states() == {"SUCCESS": 3}


def test_the_end_of_a_workflow_that_stores_no_result_is_not_waited_for() -> None:
    ends = [
        chain(canvas.same.s(1), canvas.double_quietly.s()).delay(),
        chain(canvas.same.s(1), canvas.double.s().set(ignore_result=True)).delay(),
        chord([canvas.same.s(1), canvas.same.s(2)], tasks.record_quietly.s()).delay(),
    ]
    assert [end.get(PATIENCE) for end in ends] == [None] * 3
    eventually(lambda: notes() == ["[1, 2]"], "the body")


def test_results_that_are_forgotten_meanwhile_do_not_matter() -> None:
    header = [canvas.same.s(1), canvas.same.s(2).set(countdown=0.5)]
    result = (group(header) | canvas.same.s().set(countdown=0.3) | canvas.total.s()).delay()
    first = result.parent.parent.results[0]
    assert first.get(PATIENCE) == 1
    first.forget()
    assert result.parent.get(PATIENCE) == [1, 2]
    assert result.get(PATIENCE) == 3
    assert not first.ready()


# --- how its tasks run -----------------------------------------------------------------------


def test_a_retry_in_a_chain_and_in_a_header_counts_once() -> None:
    assert chain(canvas.same.s(1), canvas.double_at_last.s(), canvas.same.s()).delay().get(
        PATIENCE
    ) == (2)
    header = [canvas.double_at_last.s(1, retries=1), canvas.same.s(5)]
    assert chord(header, canvas.listed.s()).delay().get(PATIENCE) == [[2, 5]]
    assert sorted(notes()) == ["try 0", "try 0", "try 1", "try 1", "try 2"]


@pytest.mark.parametrize("task", ["double_atomically", "double_late", "double_async"])
def test_members_of_every_kind(task: str) -> None:
    member = getattr(canvas, task)
    flow = member.s(1) | group(member.s(), member.s()) | canvas.total.s() | member.s()
    assert flow.delay().get(PATIENCE) == 16
    if task == "double_atomically":
        assert sorted(notes()) == ["atomic 1", "atomic 2", "atomic 2", "atomic 8"]


def test_a_link_of_a_workflow_is_called_once_with_its_result() -> None:
    flow = chain(canvas.same.s(1), canvas.double.s())
    flow.link(canvas.note.s())
    flow.delay()
    chord([canvas.same.s(1), canvas.same.s(2)], canvas.total.s()).apply_async(link=canvas.note.s())
    eventually(lambda: len(notes()) == 2, "both links")
    nothing_left()
    assert sorted(notes()) == ["note (2,)", "note (3,)"]


def test_a_link_may_be_a_workflow_itself() -> None:
    link = chain(tasks.add.s(1), group(tasks.add.s(10), tasks.add.s(20)), canvas.note.s())
    canvas.same.apply_async((1,), link=link)
    (canvas.same.s(2) | canvas.double.s()).apply_async(link=canvas.double.s() | canvas.note.s())
    eventually(lambda: len(notes()) == 2, "the ends of the links")
    nothing_left()
    assert set(notes()) == {"note ([12, 22],)", "note (8,)"}


def test_an_errback_of_a_chain_is_called_by_whichever_step_fails() -> None:
    result = chain(canvas.same.s("x"), canvas.fail_with.s(), canvas.same.s()).apply_async(
        link_error=tasks.errback.s()
    )
    with pytest.raises(ValueError, match="x"):
        result.get(PATIENCE)
    eventually(notes, "the errback")
    nothing_left()
    assert notes() == [f"errback {result.parent.id}"]


def test_a_workflow_as_errback() -> None:
    errback = canvas.same.s() | tasks.errback.s()
    failed = tasks.fail.apply_async(("x",), link_error=errback)
    eventually(notes, "the end of the errback")
    assert notes() == [f"errback {failed.id}"]
