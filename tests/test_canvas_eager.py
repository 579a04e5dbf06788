"""Workflows that run where they are called: what is checked, recorded, told, and when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.test import TestCase, override_settings

from djtasks import Signature, chain, chord, group
from djtasks.exceptions import NotRegistered
from djtasks.testing import capture_tasks
from tests.canvas_world import counts, notes
from tests.testapp import flow_tasks as canvas
from tests.testapp import replace_tasks as replacing
from tests.testapp import tasks
from tests.worker_process import rolled_back

EAGER = {**settings.DJTASKS, "TASK_ALWAYS_EAGER": True}
NOTHING = (0, 0, 0, 0)


@pytest.fixture(autouse=True)
def eagerly() -> Iterator[None]:
    with override_settings(DJTASKS=EAGER):
        yield


# --- replacing -------------------------------------------------------------------------------


def becoming(sig: Signature[Any]) -> Signature[Any]:
    made: Signature[Any] = replacing.become.s(what=sig)
    return made


@pytest.mark.django_db
def test_a_task_is_replaced_alone_and_in_a_workflow() -> None:
    assert becoming(tasks.add.s(1, 1)).delay().get() == 2
    assert chain(becoming(tasks.add.s(1, 1)), canvas.double.s()).delay().get() == 4
    inner = group(tasks.add.s(1, 1), tasks.add.s(2, 2))
    assert chain(becoming(inner), canvas.listed.s()).delay().get() == [[2, 4]]
    header = [becoming(canvas.same.s(1) | canvas.double.s()), canvas.same.s(5)]
    assert chord(header, canvas.total.s()).delay().get() == 7


@pytest.mark.django_db
def test_links_and_errbacks_of_a_replaced_task_are_called_once() -> None:
    becoming(canvas.same.s(3)).apply_async(link=canvas.note.s("linked"))
    assert notes() == ["became", "note (3, 'linked')"]
    failing = becoming(canvas.fail_with.s("x")).apply_async(link_error=canvas.new_errback.s())
    assert failing.state == "FAILURE"
    assert notes()[2:] == ["became", f"new {failing.id} ValueError: x"]


@pytest.mark.django_db
def test_what_replaces_a_task_has_its_id_and_its_place() -> None:
    told = (canvas.same.s(1) | becoming(canvas.whereabouts.s())).delay()
    found = told.get()
    assert (found["id"], found["parent_id"]) == (told.id, told.parent.id)
    assert found["root_id"] == told.parent.id
    alone = becoming(canvas.whereabouts.s()).delay()
    assert (alone.get()["id"], alone.get()["parent_id"]) == (alone.id, None)


# --- what is checked -------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("sig", "options", "error"),
    [
        (group(canvas.note.s(), canvas.double.s(1, 2)), {}, TypeError),
        (chain(canvas.note.s(), canvas.note.s()), {"queue": 5}, TypeError),
        (chain(canvas.note.s(), canvas.note.s()), {"enqueue": "bogus"}, ValueError),
        (chain(canvas.note.s(), canvas.note.s()), {"link_error": "x"}, TypeError),
        (chain(canvas.note.s(), canvas.note.s().set(quue="x")), {}, TypeError),
        (chain(canvas.note.s(), Signature("unknown.task")), {}, NotRegistered),
        (chord([canvas.note.s()], canvas.note.s().set(time_limit=0)), {}, ValueError),
    ],
    ids=["arguments", "queue", "enqueue", "errback", "typo", "unknown", "limit"],
)
def test_all_calls_are_checked_before_the_first_runs(
    sig: Signature[Any], options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        sig.apply_async(**options)
    assert notes() == []


# --- what a task is told ---------------------------------------------------------------------


@pytest.mark.django_db
def test_every_task_knows_its_root_and_its_header() -> None:
    root = "0199c0de-0000-7000-8000-000000000001"
    flow = chord([canvas.whereabouts.s(), canvas.whereabouts.s()], canvas.whereabouts.s())
    body = flow.apply_async(root_id=root)
    told = body.get()
    left, right = told["args"][0]
    assert {one["root_id"] for one in (told, left, right)} == {root}
    assert left["group"] == right["group"] == body.parent.id
    assert (left["group_index"], right["group_index"]) == (0, 1)
    assert told["group"] is None


@pytest.mark.django_db
def test_a_workflow_that_a_task_calls_belongs_to_it() -> None:
    result = canvas.call_and_tell.delay()
    called = canvas.CALLED.pop()
    assert called["parent_id"] == called["root_id"] == result.id


# --- what tests see --------------------------------------------------------------------------


@pytest.mark.django_db
def test_every_task_is_captured_and_none_runs() -> None:
    flow = group(canvas.note.s(1), canvas.note.s(2)) | canvas.note.s() | canvas.note.s()
    with capture_tasks() as captured:
        result = flow.delay()
    assert [call.args for call in captured] == [(1,), (2,), (), ()]
    assert captured[-1].result.id == result.id
    assert (notes(), result.state) == ([], "PENDING")
    with capture_tasks(insert=True) as captured:
        flow.delay()
    assert (len(captured), len(notes())) == (4, 4)


class OnCommit(TestCase):
    """With ``enqueue="on_commit"`` of its own a workflow runs when the caller commits."""

    def test_a_workflow_runs_after_the_commit(self) -> None:
        with override_settings(DJTASKS=EAGER):
            flows = (
                chain(canvas.same.s(1), canvas.double.s()).set(enqueue="on_commit"),
                chain(canvas.same.s(1), canvas.double.s()),
            )
            with self.captureOnCommitCallbacks(execute=True):
                results = [flows[0].delay(), flows[1].apply_async(enqueue="on_commit")]
                assert [result.state for result in results] == ["PENDING", "PENDING"]
            assert [result.get() for result in results] == [2, 2]


@pytest.mark.usefixtures("live")
def test_a_workflow_on_commit_does_not_run_after_a_rollback() -> None:
    with rolled_back():
        result = chain(canvas.note.s(), canvas.note.s()).apply_async(enqueue="on_commit")
    assert (result.state, counts()) == ("PENDING", NOTHING)
    with transaction.atomic():
        assert notes() == []
