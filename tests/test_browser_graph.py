"""Workflows as graphs: columns by depth, like tasks folded, few nodes however many tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from djtasks import chain, chord, group
from djtasks.browser import graph as module
from djtasks.browser.filter import Filter
from djtasks.browser.folding import EDGES, FOLD, MOST, Drawing, Item, fold
from djtasks.browser.graph import Graph, GraphNode, graph
from djtasks.ids import new_id
from djtasks.models import Message, TaskResult
from djtasks.testing import run_tasks
from tests.admin_pages import a_worker, ended, failed, queued
from tests.testapp.replace_tasks import double, refuse, total

db = pytest.mark.django_db


# --- folding, without a database -------------------------------------------------------------


def names(drawing: Drawing) -> list[tuple[int, str, int]]:
    return [(one.column, one.items[0].task, one.size) for one in drawing.folds]


def like(count: int, task: str, takes: object = None, *gives: object) -> list[Item]:
    return [Item(task, "SUCCESS", takes, gives) for _ in range(count)]


def test_a_chain_goes_from_left_to_right() -> None:
    drawing = fold([*like(1, "c", 2), *like(1, "a", None, 1), *like(1, "b", 1, 2)])
    assert names(drawing) == [(0, "a", 1), (1, "b", 1), (2, "c", 1)]
    assert drawing.edges == [(0, 1), (1, 2)]


@pytest.mark.parametrize(("count", "nodes"), [(FOLD, FOLD + 1), (FOLD + 1, 2)])
def test_more_than_eight_members_are_one_node(count: int, nodes: int) -> None:
    drawing = fold([*like(count, "render", None, 1), *like(1, "join", 1)])
    assert len(drawing.folds) == nodes
    assert len(drawing.edges) == nodes - 1


def test_members_with_other_names_are_nodes_of_their_own() -> None:
    header = [*like(20, "render", None, 1), *like(1, "cover", None, 1), *like(9, "mix", None, 1)]
    drawing = fold([*header, *like(1, "join", 1)])
    assert names(drawing) == [(0, "render", 20), (0, "cover", 1), (0, "mix", 9), (1, "join", 1)]
    assert drawing.edges == [(0, 3), (1, 3), (2, 3)]


def test_two_chords_that_look_alike_stay_two() -> None:
    first = [*like(100, "render", None, 1), *like(1, "join", 1)]
    second = [*like(100, "render", None, 2), *like(1, "join", 2)]
    drawing = fold([*first, *second])
    assert [size for _, _, size in names(drawing)] == [100, 100, 1, 1]
    assert drawing.edges == [(0, 2), (1, 3)]


def test_very_many_chains_that_look_alike_are_one() -> None:
    items = [
        item
        for number in range(500)
        for item in (
            *like(1, "load", None, (1, number)),
            *like(1, "render", (1, number), (2, number)),
            *like(1, "store", (2, number), "end"),
        )
    ]
    drawing = fold([*items, *like(1, "report", "end")])
    assert names(drawing) == [
        (0, "load", 500),
        (1, "render", 500),
        (2, "store", 500),
        (3, "report", 1),
    ]
    assert drawing.edges == [(0, 1), (1, 2), (2, 3)]


def test_a_chain_that_goes_elsewhere_is_not_folded_into_the_others() -> None:
    items = [
        item
        for number in range(20)
        for item in (
            *like(1, "load", None, number),
            *like(1, "store" if number else "send", number),
        )
    ]
    assert names(fold(items)) == [(0, "load", 1), (0, "load", 19), (1, "send", 1), (1, "store", 19)]


def test_what_was_counted_already_is_never_drawn_as_one_task() -> None:
    many = Item("render", "SUCCESS", None, (1,), count=9_000)
    few = [Item("render", "FAILURE", None, (1,), id=uuid4()) for _ in range(3)]
    drawing = fold([many, *few, *like(1, "join", 1)])
    assert names(drawing) == [(0, "render", 9_003), (1, "join", 1)]


def test_a_row_of_tasks_of_one_kind_stands_between_the_first_and_the_last() -> None:
    middle = Item("step", "SUCCESS", 1, (1,), count=5_000)
    drawing = fold([*like(1, "step", 1), middle, *like(1, "step", None, 1)])
    assert [(column, size) for column, _, size in names(drawing)] == [(0, 1), (1, 5_000), (2, 1)]
    assert drawing.edges == [(0, 1), (0, 2), (1, 2)]


def test_rows_that_go_round_in_circles_are_drawn_too() -> None:
    alone = Item("own", "READY", 9, (9,))
    drawing = fold([*like(1, "a", 1, 2), *like(1, "b", 2, 1), alone, *like(1, "c", None, 1)])
    assert sorted(task for _, task, _ in names(drawing)) == ["a", "b", "c", "own"]
    assert [drawing.folds[a].items[0].task for a, _ in drawing.edges] == ["c", "a"]


def test_a_very_long_chain_is_pressed_together() -> None:
    items = [item for n in range(3_000) for item in like(1, "step", n or None, n + 1)]
    drawing = fold(items)
    assert [size for _, _, size in names(drawing)] == [60] * 50
    assert drawing.edges == [(n, n + 1) for n in range(49)]


def test_with_more_names_than_nodes_the_current_one_and_the_largest_are_drawn() -> None:
    items = [Item(f"t{n}", "READY", is_current=n == 450) for n in range(500)]
    drawing = fold([*items, *like(7, "large"), *like(5, "large too")])
    assert (len(drawing.folds), drawing.omitted) == (MOST, 512 - MOST - 6 - 4)
    assert [one.size for one in drawing.folds[-2:]] == [7, 5]
    assert [one.items[0].task for one in drawing.folds if one.is_current] == ["t450"]


points = st.one_of(st.none(), st.integers(0, 12))
shapes = st.builds(
    Item,
    st.sampled_from("abcdefgh"),
    st.sampled_from(["SUCCESS", "FAILURE", "READY"]),
    points,
    st.lists(st.integers(0, 12), max_size=3).map(tuple),
    count=st.sampled_from([1, 1, 1, 5, 100]),
)


def forward(items: Sequence[Item]) -> list[Item]:
    """The same without circles: what is given is larger than what is taken."""
    return [
        replace(item, gives=tuple(p for p in item.gives if isinstance(p, int) and p > least))
        for item in items
        for least in [item.takes if isinstance(item.takes, int) else -1]
    ]


@settings(max_examples=300, deadline=None)
@given(st.lists(shapes, max_size=60), st.integers(1, 30))
def test_every_drawing_is_small_and_has_every_task_once(items: list[Item], most: int) -> None:
    drawing = fold(items, most=most)
    assert len(drawing.folds) <= most
    assert len(drawing.edges) <= EDGES
    drawn = Counter(id(item) for one in drawing.folds for item in one.items)
    assert not [place for place, count in drawn.items() if count > 1]
    drawn_sizes = sum(one.size for one in drawing.folds)
    assert drawn_sizes + drawing.omitted == sum(item.count for item in items)
    assert all(len({item.task for item in one.items}) == 1 for one in drawing.folds)
    columns = [one.column for one in drawing.folds]
    assert columns == sorted(columns)
    assert len(set(drawing.edges)) == len(drawing.edges)
    for source, target in drawing.edges:
        assert columns[source] < columns[target]
        given_to = {point for item in drawing.folds[source].items for point in item.gives}
        assert given_to & {item.takes for item in drawing.folds[target].items}


@settings(max_examples=200, deadline=None)
@given(st.lists(shapes, max_size=40).map(forward))
def test_without_circles_no_edge_is_left_out(items: list[Item]) -> None:
    drawing = fold(items, most=len(items) + 1)
    node_of = {id(item): n for n, one in enumerate(drawing.folds) for item in one.items}
    wanted = {
        (node_of[id(a)], node_of[id(b)])
        for a in items
        for b in items
        if b.takes is not None and b.takes in a.gives
    }
    assert set(drawing.edges) == wanted
    for target, one in enumerate(drawing.folds):
        before = [drawing.folds[a].column for a, b in drawing.edges if b == target]
        assert one.column == max(before, default=-1) + 1


@settings(max_examples=100, deadline=None)
@given(
    st.lists(shapes, max_size=40).flatmap(
        lambda items: st.tuples(st.just(items), st.permutations(items))
    )
)
def test_a_drawing_does_not_depend_on_the_order_of_the_rows(
    given_items: tuple[list[Item], list[Item]],
) -> None:
    items, shuffled = map(forward, given_items)
    assert sorted(names(fold(items))) == sorted(names(fold(shuffled)))


# --- from the tables -------------------------------------------------------------------------


def drawn(root: UUID, *, current: UUID | None = None) -> Graph:
    found = graph(root, current=current)
    assert found is not None
    return found


def root_of_only() -> UUID:
    (root,) = set(Message.objects.values_list("root_id", flat=True))
    assert root is not None
    return root


def told(found: Graph) -> list[tuple[int, str, str, int]]:
    return [
        (node.column, node.task.rpartition(".")[2], node.state, node.size) for node in found.nodes
    ]


def joined(found: Graph) -> set[tuple[str, str]]:
    name = {node.key: node.task.rpartition(".")[2] for node in found.nodes}
    return {(name[a], name[b]) for a, b in found.edges}


@db
def test_one_task_alone_is_no_workflow() -> None:
    assert graph(queued().pk) is None
    assert graph(uuid4()) is None


@db
def test_a_chain_of_a_group_and_its_end_is_drawn_before_and_after_it_ran() -> None:
    chain(double.s(1), group(double.s() for _ in range(3)), total.s()).apply_async()
    root = root_of_only()
    first = Message.objects.get(after=None)
    found = drawn(root, current=first.pk)
    assert told(found) == [
        (0, "double", "READY", 1),
        *[(1, "double", "WAITING", 1)] * 3,
        (2, "total", "WAITING", 1),
    ]
    assert len(found.edges) == 6
    assert [node.is_current for node in found.nodes] == [True, False, False, False, False]
    run_tasks()
    after = drawn(root)
    assert [(node.column, node.id, node.state) for node in after.nodes] == [
        (node.column, node.id, "SUCCESS") for node in found.nodes
    ]
    assert all(node.runtime is not None for node in after.nodes)
    assert after.counts == {"SUCCESS": 5}


@db
def test_a_large_chord_is_two_nodes_with_counts_and_a_search() -> None:
    chord([*[double.s(n) for n in range(40)], refuse.s()], total.s()).apply_async()
    root = root_of_only()
    run_tasks()
    found = drawn(root)
    assert told(found) == [
        (0, "double", "SUCCESS", 40),
        (0, "refuse", "FAILURE", 1),
        (1, "total", "FAILURE", 1),
    ]
    many = found.nodes[0]
    assert (many.id, many.counts) == (None, {"SUCCESS": 40})
    assert Filter.parse(many.query) == Filter(root=root, task=f"={double.name}")
    assert Filter.parse(found.nodes[1].query) == Filter(id=str(found.nodes[1].id))


@db
def test_a_group_is_as_its_worst_member_and_current_if_one_is() -> None:
    root, join = new_id(), new_id()
    worker = a_worker()
    members = [ended(id=root if not n else new_id(), root_id=root, feeds=join) for n in range(9)]
    assert told(drawn(root)) == [(0, "add", "SUCCESS", 9)]
    queued(root_id=root, feeds=join)
    assert drawn(root).nodes[0].state == "READY"
    queued(root_id=root, feeds=join, worker_id=worker.pk)
    assert drawn(root).nodes[0].state == "RUNNING"
    failed(root_id=root, feeds=join)
    (node,) = drawn(root, current=members[3].pk).nodes
    assert (node.state, node.is_current, node.size) == ("FAILURE", True, 12)
    assert list(node.counts) == ["SUCCESS", "FAILURE", "RUNNING", "READY"]


@db
def test_what_a_task_called_comes_after_it() -> None:
    root = ended()
    child = queued(root_id=root.pk, parent_id=root.pk, task="child")
    queued(root_id=root.pk, parent_id=child.pk, task="grandchild")
    found = drawn(root.pk)
    assert told(found) == [
        (0, "add", "SUCCESS", 1),
        (1, "child", "READY", 1),
        (2, "grandchild", "READY", 1),
    ]
    assert joined(found) == {("add", "child"), ("child", "grandchild")}


@db
def test_a_task_that_waits_for_its_next_attempt_is_one_node() -> None:
    root = ended()
    child = queued(root_id=root.pk, state=1, retries=1)
    failed(id=child.pk, root_id=root.pk, date_done=None)
    assert drawn(root.pk).counts == {"SUCCESS": 1, "RETRY": 1}


@db
def test_rows_that_were_put_in_by_hand_are_drawn() -> None:
    root = ended(state="", task="", queue="")
    odd = new_id()
    ended(root_id=root.pk, after=odd, feeds=odd, parent_id=odd, state="ODD", runtime=-1.0)
    ended(id=odd, root_id=root.pk, parent_id=odd, task="\u202e" * 1_000)
    found = drawn(root.pk)
    assert found.counts == {"SUCCESS": 1, "": 1, "ODD": 1}
    assert all(Filter.parse(node.query) for node in found.nodes)


# --- large ones, which the database folds ----------------------------------------------------


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the database fold whatever has more than ten tasks."""
    monkeypatch.setattr(module, "WHOLE", 10)


def planned(root: UUID) -> tuple[Graph, Graph]:
    """The same workflow, read task by task and counted by the database."""
    counted = drawn(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WHOLE", 5_000)
        return drawn(root), counted


def looks(found: Graph) -> tuple[list[tuple[int, str, str, int]], set[tuple[str, str]]]:
    return sorted(told(found)), joined(found)


@db
@pytest.mark.usefixtures("few_are_many")
def test_the_database_folds_as_reading_one_by_one_does() -> None:
    chain(
        double.s(1),
        group([*[double.s() for _ in range(12)], refuse.s(), refuse.s()]),
        total.s(),
        double.s(),
    ).apply_async()
    root = root_of_only()
    whole, counted = planned(root)
    assert looks(whole) == looks(counted)
    run_tasks()
    whole, counted = planned(root)
    assert looks(whole) == looks(counted)
    assert whole.counts == counted.counts
    assert (counted.omitted, counted.is_partial) == (0, False)


@db
@pytest.mark.usefixtures("few_are_many")
def test_the_database_folds_very_many_chains_into_one() -> None:
    chord([chain(double.s(n), double.s(), total.s()) for n in range(250)], total.s()).apply_async()
    whole, counted = planned(root_of_only())
    assert told(whole) == [
        (0, "double", "READY", 250),
        (1, "double", "WAITING", 250),
        (2, "total", "WAITING", 250),
        (3, "total", "WAITING", 1),
    ]
    assert looks(whole) == looks(counted)


@db
@pytest.mark.usefixtures("few_are_many")
def test_a_current_task_is_known_alone_and_among_many() -> None:
    root, join = ended(), new_id()
    members = [queued(root_id=root.pk, parent_id=root.pk, feeds=join) for _ in range(20)]
    body = queued(root_id=root.pk, after=join, state=2)
    found = drawn(root.pk, current=members[3].pk)
    assert [node.is_current for node in found.nodes] == [False, True, False]
    assert joined(found) == {("add", "add")}
    found = drawn(root.pk, current=body.pk)
    assert [node.is_current for node in found.nodes] == [False, False, True]
    assert [node.id for node in found.nodes] == [root.pk, None, body.pk]


@db
@pytest.mark.usefixtures("few_are_many")
def test_a_task_that_called_itself_very_often_is_three_nodes() -> None:
    root = ended()
    last = root.pk
    for _ in range(40):
        last = ended(root_id=root.pk, parent_id=last).pk
    whole, counted = planned(root.pk)
    assert len(whole.nodes) == 41
    assert [size for _, _, _, size in told(counted)] == [1, 40]
    assert counted.counts == {"SUCCESS": 41}


@db
@pytest.mark.usefixtures("few_are_many")
def test_more_tasks_than_are_looked_at_are_said_to_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SCAN", 50)
    monkeypatch.setattr(module, "TAIL", 5)
    chord([double.s(n) for n in range(100)], total.s()).apply_async()
    root = root_of_only()
    found = drawn(root)
    assert found.is_partial
    assert [(column, name) for column, name, _, _ in told(found)] == [(0, "double"), (1, "total")]
    assert sum(found.counts.values()) <= 56


@db
def test_however_large_it_takes_two_queries_of_the_tables() -> None:
    root, join = new_id(), new_id()
    Message.objects.bulk_create(
        Message(id=new_id(), task="render", queue="q", root_id=root, feeds=join, position=n)
        for n in range(5_100)
    )
    TaskResult.objects.bulk_create(
        TaskResult(task="render", state="SUCCESS", queue="q", root_id=root, feeds=join)
        for _ in range(100)
    )
    queued("join", id=root, root_id=root, after=join, state=2)
    with CaptureQueriesContext(connection) as queries:
        found = drawn(root)
    assert len([q for q in queries.captured_queries if "djtasks_" in q["sql"]]) == 2
    assert told(found) == [(0, "render", "READY", 5_200), (1, "join", "WAITING", 1)]
    assert found.nodes[0].counts == {"SUCCESS": 100, "READY": 5_100}


def test_a_node_of_one_task_stands_for_one() -> None:
    node = GraphNode("n0", 0, "add", "READY", uuid4(), {}, "")
    assert node.size == 1
