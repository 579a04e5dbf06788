"""A whole workflow by its root: its tasks in one query, its joins in another."""

from __future__ import annotations

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from djtasks import chain, chord, group
from djtasks.exceptions import ChordError, InvalidTaskError
from djtasks.models import Input, Join, Message
from djtasks.queue.connect import parameters
from djtasks.queue.stuck import end_stuck
from djtasks.testing import run_tasks
from djtasks.workflow import SCHEDULED, WAITING, WorkflowRun
from tests.testapp.replace_tasks import double, total
from tests.testapp.tasks import add

pytestmark = pytest.mark.django_db


def root_of_only() -> object:
    (root,) = set(Message.objects.values_list("root_id", flat=True))
    return root


def test_it_is_whole_before_it_begins_and_after_it_ended() -> None:
    chain(double.s(1), group(double.s(), double.s()), total.s()).apply_async()
    double.delay(7)
    root = Message.objects.exclude(root_id=None).first().root_id  # type: ignore[union-attr]
    before = WorkflowRun(root)  # type: ignore[arg-type]
    assert before.counts == {"PENDING": 1, WAITING: 3}
    assert not before.is_over
    shape = [(a.task, b.task) for a, b in before.edges()]
    names = (double.name, total.name)
    assert shape == [(names[0], names[0])] * 2 + [(names[0], names[1])] * 2
    run_tasks()
    after = WorkflowRun(root)  # type: ignore[arg-type]
    assert after.counts == {"SUCCESS": 4}
    assert after.is_over
    assert [(a.id, b.id) for a, b in after.edges()] == [(a.id, b.id) for a, b in before.edges()]
    assert after.joins == {}


def test_however_large_it_takes_two_queries() -> None:
    chord((double.s(number) for number in range(1500)), total.s()).apply_async()
    root = root_of_only()
    with CaptureQueriesContext(connection) as queries:
        run = WorkflowRun(str(root))
        assert sum(1 for _ in run.edges()) == 1500
    assert len(queries.captured_queries) == 2
    (join,) = run.joins.values()
    assert (join.size, join.missing) == (1500, 1500)


def test_a_single_call_is_a_workflow_of_one() -> None:
    result = add.apply_async((1, 2), countdown=60)
    assert WorkflowRun(result.id).counts == {SCHEDULED: 1}
    assert [node.task for node in WorkflowRun(result.id).nodes] == [add.name]


def test_an_unknown_root_has_no_tasks() -> None:
    run = WorkflowRun("nobody")
    assert (run.nodes, list(run.edges()), run.is_over) == ([], [], True)


# --- rows that are deleted by hand -----------------------------------------------------------


def sweep() -> tuple[list[str], list[str]]:
    with psycopg.connect(**parameters("default"), autocommit=True) as own:
        return end_stuck(own)


@pytest.mark.django_db(transaction=True)
def test_what_waits_for_a_deleted_message_is_ended() -> None:
    last = chain(double.s(1), double.s(), double.s()).apply_async()
    body = (chord([double.s(1), double.s(2)], total.s()) | double.s()).apply_async()
    whole = chord([double.s(1), double.s(2)], total.s()).apply_async()
    Message.objects.filter(id=last.parent.parent.id).delete()
    Message.objects.filter(id=body.parent.parent[1].id).delete()
    _, ids = sweep()
    assert len(ids) == 4
    for result in (last, last.parent, body.parent, body):
        assert result.state == "FAILURE"
    with pytest.raises(InvalidTaskError, match="deleted"):
        last.get(timeout=1)
    with pytest.raises(ChordError, match="deleted"):
        body.get(timeout=1)
    assert sweep() == ([], [])
    run_tasks()
    assert whole.get(timeout=1) == 6
    assert not Join.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_joins_that_are_left_alone_are_removed() -> None:
    chord([double.s(1), double.s(2)], total.s()).apply_async()
    Message.objects.all().delete()
    sweep()
    assert not Join.objects.exists()
    assert not Input.objects.exists()
