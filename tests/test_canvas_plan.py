"""Random workflows give what Celery's definitions say: planned, here, in tests, in a worker."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from djtasks.canvas.plan import Gathering, Sink, Step, plan
from djtasks.models import Input, Join, Message
from djtasks.testing import run_tasks
from tests.canvas_meaning import Expected, Failed, Outcome, interpreted, name_of, numbered_ids
from tests.canvas_trees import (
    ARGUMENTS,
    MORE,
    Chain,
    Group,
    Leaf,
    Tree,
    as_given,
    built,
    ends_as_list,
    failing,
    is_nothing,
    leaves_of,
    numbered,
    resolved,
    trees,
)
from tests.testapp.canvas_tasks import RAN
from tests.worker_process import WorkerProcess, clean_tables, rolled_back, wait_drained


@pytest.fixture(autouse=True)
def silent() -> Iterator[None]:
    """Thousands of failures on purpose are not worth a log."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


TIMES = int(os.environ.get("CANVAS_EXAMPLES", "1"))
"""More examples than usual, to look for what is rare."""


def examples(number: int) -> Callable[[Any], Any]:
    return hypothesis_settings(
        max_examples=number * TIMES,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


Rows = list[Step | Gathering]


def planned(sig: Any, *args: Any, **options: Any) -> tuple[Rows, Any]:
    """The rows of a plan, and its value."""
    handles = []

    def all_of_it() -> Iterator[Step | Gathering]:
        handles.append((yield from plan(sig, *args, new_id=numbered_ids(), **options)))

    return list(all_of_it()), handles[0]


def steps_in(rows: Rows) -> dict[int, Step]:
    return {row.kwargs["label"]: row for row in rows if isinstance(row, Step)}


making = st.sampled_from([built, as_given])


# The rows


@given(failing(14) | trees(14), making, ARGUMENTS, MORE, st.data())
@examples(600)
def test_rows_run_in_any_order_give_what_the_tree_means(
    tree: Tree, make: Any, args: tuple[Any, ...], more: Any, data: st.DataObject
) -> None:
    rows, _ = planned(make(tree), args, dict(more))
    outcomes, order = interpreted(rows, lambda count: data.draw(st.integers(0, count - 1)))
    steps = steps_in(rows)
    expected = Expected(resolved(tree, args, more), order, lambda label: name_of(steps[label]))
    assert outcomes == expected.outcomes


@given(failing(20), making)
@examples(150)
def test_rows_fit_together(tree: Tree, make: Any) -> None:
    rows, _ = planned(make(tree))
    steps = [row for row in rows if isinstance(row, Step)]
    joins = {row.id: row for row in rows if isinstance(row, Gathering)}
    assert [step.kwargs["label"] for step in steps] == [leaf.label for leaf in leaves_of(tree)]
    assert len({row.id for row in rows}) == len(rows)
    assert {row.root_id for row in rows} == {step.id for step in steps[:1]}
    fed: dict[UUID, list[int | None]] = {}
    for row in rows:
        if isinstance(row, Gathering):
            assert fed[row.id] == list(range(row.size))
            continue
        if row.after is not None:
            # What it waits for has been written, the row that counts it too.
            places = fed[row.after]
            assert places == [None] or joins[row.after] in rows[: rows.index(row)]
        if row.feeds is not None:
            assert row.feeds not in joins or joins[row.feeds] in rows[rows.index(row) :]
            fed.setdefault(row.feeds, []).append(row.position)
    for join, places in fed.items():
        assert places == [None] or join in joins
    waited_for = {step.after for step in steps}
    assert waited_for.issuperset(fed)
    for join_id, row in joins.items():
        assert row.after is None or is_behind(join_id, row.after, steps)
    earlier: set[UUID | None] = {None}
    for step in steps:
        assert step.parent_id in earlier
        earlier.add(step.id)


def is_behind(join: UUID | None, other: UUID, steps: list[Step]) -> bool:
    """Whether everything that feeds a join waits for another one."""
    feeders = [step for step in steps if step.feeds == join]
    return bool(feeders) and all(
        step.after == other or is_behind(step.after, other, steps) for step in feeders
    )


@given(trees(20), making)
@examples(100)
def test_the_same_ids_give_the_same_rows(tree: Tree, make: Any) -> None:
    first, _ = planned(make(tree))
    sig = make(tree)
    if "generator" in repr(tree):
        assert planned(sig)[0] == first
        return
    before = json.dumps(sig)
    assert planned(sig)[0] == first
    assert planned(sig)[0] == first
    assert json.dumps(sig) == before


@given(trees(20), making)
@examples(100)
def test_the_ends_feed_what_the_whole_is_to_feed(tree: Tree, make: Any) -> None:
    alone, _ = planned(make(tree))
    sink = Sink(UUID(int=10**12), many=ends_as_list(tree), position=7)
    rows, _ = planned(make(tree), sink=sink)
    ends = [row for row in rows if isinstance(row, Step) and row.feeds == sink.join]
    expected = Expected(resolved(tree))
    assert [end.kwargs["label"] for end in ends] == expected.ends
    assert [end.position for end in ends] == ([*range(len(ends))] if sink.many else [7] * len(ends))
    assert sink.count == len(ends)
    if ends and not is_nothing(tree):
        assert len(rows) == len(alone)


@given(trees(20), making)
@examples(100)
def test_handles_are_those_of_the_ends_with_what_was_before_as_parents(
    tree: Tree, make: Any
) -> None:
    rows, handle = planned(make(tree))
    shape = Expected(resolved(tree)).shape
    steps = steps_in(rows)
    if shape is None or is_nothing(tree):
        assert not steps
        return
    found = shape.paired(handle)
    assert {label: handle.id for label, handle in found.items()} == {
        label: name_of(step) for label, step in steps.items()
    }


@given(trees(20))
@example(Group((Chain((Leaf(label=0), Group((Leaf(label=1), Leaf(label=2))))),)))
@examples(100)
def test_frozen_workflows_keep_their_ids(tree: Tree) -> None:
    sig = built(tree)
    if is_nothing(tree):
        return
    expected = Expected(resolved(tree))
    shape = expected.shape
    assert shape is not None
    assert expected.frozen_shape is not None
    handles = expected.frozen_shape.paired(sig.freeze())
    frozen = {label: result.id for label, result in handles.items()}
    rows, handle = planned(sig)
    assert {label: name_of(step) for label, step in steps_in(rows).items()} == frozen
    assert {label: result.id for label, result in shape.paired(handle).items()} == frozen


# Run here


def ends_of(found: dict[int, Any]) -> dict[int, Outcome]:
    """How tasks ended, by their handles, in the words of what was expected."""
    ends: dict[int, Outcome] = {}
    for label, handle in found.items():
        state, result = handle.state, handle.result
        if state == "SUCCESS":
            ends[label] = result
        elif state in ("IGNORED", "PENDING"):
            # Nothing is stored of a task that is ignored, as in Celery.
            ends[label] = Failed("IGNORED")
        else:
            ends[label] = Failed(state, repr(result))
    return ends


@given(failing() | trees(), making, ARGUMENTS, MORE)
@examples(150)
def test_apply_gives_what_the_tree_means(
    tree: Tree, make: Any, args: tuple[Any, ...], more: Any
) -> None:
    RAN.clear()
    handle = make(tree).apply(args, dict(more))
    check(resolved(tree, args, more), handle)


def ends_and_expected(
    tree: Tree, handle: Any, order: Sequence[int] = ()
) -> tuple[dict[int, Outcome], Expected]:
    """How the tasks of a tree ended, found by its handle, and how they should have."""
    shape = Expected(tree).shape
    assert shape is not None
    found = shape.paired(handle)
    return ends_of(found), Expected(tree, order, lambda label: found[label].id)


def check(tree: Tree, handle: Any) -> None:
    """Compare all tasks with what the tree means, given that they ended in the order of RAN."""
    if is_nothing(tree):
        assert RAN == []
        return
    ends, expected = ends_and_expected(tree, handle, RAN)
    assert ends == expected.outcomes
    if not any(isinstance(outcome, Failed) for outcome in ends.values()):
        assert sorted(RAN) == sorted(ends)
        assert expected.shape is not None
        assert handle.get() == expected.shape.value(ends)


def nothing_is_left() -> None:
    assert not Message.objects.exists()
    assert not Join.objects.exists()
    assert not Input.objects.exists()


@pytest.mark.django_db
@given(failing() | trees(), making, st.booleans(), ARGUMENTS, MORE)
@examples(150)
def test_run_tasks_gives_what_the_tree_means(
    tree: Tree, make: Any, freeze: bool, args: tuple[Any, ...], more: Any
) -> None:
    RAN.clear()
    with rolled_back():
        sig = make(tree)
        if freeze and make is built:
            sig.freeze()
        handle = sig.apply_async(args, dict(more))
        ran = run_tasks()
        check(resolved(tree, args, more), handle)
        nothing_is_left()
        assert len([run for run in ran if run.state != "RETRY"]) == len(RAN)


# In a worker


@pytest.fixture(scope="module")
def worker(live_database: None) -> Iterator[WorkerProcess]:
    with WorkerProcess("-c", "2", settings={"IMPORTS": ["tests.testapp.canvas_tasks"]}) as running:
        yield running


@given(st.data())
@hypothesis_settings(
    max_examples=3 * TIMES,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_workers_give_what_the_trees_mean(
    live: None, worker: WorkerProcess, data: st.DataObject
) -> None:
    clean_tables()
    several = [data.draw(failing() | trees()) for _ in range(30)]
    chosen = [numbered(tree, 1000 * n) for n, tree in enumerate(several) if not is_nothing(tree)]
    handles = [built(tree).apply_async() for tree in chosen]
    wait_drained()
    nothing_is_left()
    for tree, handle in zip(chosen, handles, strict=True):
        ends, expected = ends_and_expected(resolved(tree), handle)
        if sum(leaf.end in ("raise", "ignore") for leaf in leaves_of(tree)) > 1:
            # Which of them is the cause depends on who was first.
            told = [
                {n: "failed" if isinstance(end, Failed) else end for n, end in some.items()}
                for some in (ends, expected.outcomes)
            ]
            assert told[0] == told[1]
        else:
            assert ends == expected.outcomes
