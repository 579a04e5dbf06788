"""Tasks that let others take their place, add to their chord, and look at what follows."""

from __future__ import annotations

from typing import Any

import pytest

from djtasks import Signature, chain, chord, group, signature
from djtasks.exceptions import ChordError, ImproperlyConfigured
from djtasks.models import Input, Join, Message, TaskResult
from djtasks.testing import run_tasks
from tests.testapp import replace_tasks as tasks
from tests.testapp.models import Note

pytestmark = pytest.mark.django_db


def value_of(sig: Signature[Any]) -> Any:
    """The value of a workflow that is run to its end, of which nothing must be left."""
    result = sig.apply_async()
    run_tasks()
    assert (Message.objects.count(), Join.objects.count(), Input.objects.count()) == (0, 0, 0)
    return result.get(timeout=1)


def becoming(sig: Signature[Any]) -> Signature[Any]:
    made: Signature[Any] = tasks.become.s(what=sig)
    return made


@pytest.mark.parametrize(
    ("sig", "value"),
    [
        (tasks.double.s(4), 8),
        (chain(tasks.double.s(4), tasks.double.s()), 16),
        (group(tasks.double.s(1), tasks.double.s(2)), [2, 4]),
        (chord([tasks.double.s(1), tasks.double.s(2)], tasks.total.s()), 6),
        (chain(tasks.double.s(4), group(tasks.double.s(), tasks.double.s())), [16, 16]),
        (tasks.become.s(what=tasks.double.s(5)), 10),
        (group(), []),
    ],
    ids=["task", "chain", "group", "chord", "chain to group", "replaced again", "empty group"],
)
def test_what_takes_a_tasks_place_gives_its_result(sig: Signature[Any], value: Any) -> None:
    assert value_of(becoming(sig)) == value
    assert becoming(sig).apply().get() == value


def test_what_follows_a_replaced_task_is_given_the_result_of_the_other() -> None:
    inner = chain(tasks.double.s(4), tasks.double.s())
    assert value_of(chain(becoming(inner), tasks.double.s())) == 32
    assert value_of(chord([becoming(inner), tasks.double.s(1)], tasks.total.s())) == 18


def test_a_task_may_replace_itself_many_times() -> None:
    assert value_of(tasks.countdown_by_replacing.s(20)) == 20
    assert TaskResult.objects.count() == 1


def test_links_and_errbacks_of_a_replaced_task_are_those_of_the_other() -> None:
    sig = becoming(tasks.double.s(4))
    sig.link(tasks.jot.si("linked"))
    assert value_of(sig) == 8
    failing = becoming(tasks.refuse.s())
    failing.link_error(tasks.jot.si("errback"))
    result = failing.apply_async()
    run_tasks()
    assert result.state == "FAILURE"
    assert sorted(Note.objects.values_list("text", flat=True)) == [
        "became",
        "became",
        "errback",
        "linked",
    ]


def test_when_the_other_fails_what_waits_for_the_replaced_task_fails() -> None:
    last = chain(becoming(tasks.refuse.s()), tasks.double.s()).apply_async()
    body = chord([becoming(tasks.refuse.s()), tasks.double.s(1)], tasks.total.s()).apply_async()
    run_tasks()
    with pytest.raises(ValueError, match="refused"):
        last.get(timeout=1)
    with pytest.raises(ChordError, match="refused"):
        body.get(timeout=1)
    assert (Message.objects.count(), Join.objects.count(), Input.objects.count()) == (0, 0, 0)


def test_a_replaced_atomic_task_keeps_what_it_wrote() -> None:
    assert value_of(tasks.become_atomically.s(what=tasks.double.s(4))) == 8
    assert Note.objects.get().text == "became"


def test_the_root_stays_and_ids_are_kept() -> None:
    first = chain(becoming(chain(tasks.double.s(1), tasks.double.s())), tasks.double.s())
    result = first.apply_async()
    run_tasks()
    assert result.get(timeout=1) == 8
    roots = set(TaskResult.objects.values_list("root_id", flat=True))
    assert roots == {TaskResult.objects.order_by("enqueued_at").first().root_id}  # type: ignore[union-attr]
    assert str(result.parent.id) in map(str, TaskResult.objects.values_list("id", flat=True))


def test_an_empty_chain_cannot_take_a_tasks_place() -> None:
    result = becoming(chain()).apply_async()
    run_tasks()
    with pytest.raises(ImproperlyConfigured, match="empty"):
        result.get(timeout=1)


def test_a_chord_without_body_cannot_take_a_tasks_place() -> None:
    result = becoming(chord([tasks.double.s(1)])).apply_async()
    run_tasks()
    with pytest.raises(TypeError, match="no body"):
        result.get(timeout=1)


@pytest.mark.parametrize(
    "sig",
    [
        chain(tasks.nesting.s(), tasks.nesting.s(), tasks.nesting.s()),
        chord([tasks.nesting.s(), tasks.nesting.s()], tasks.nesting.s()),
    ],
    ids=["chain", "chord"],
)
def test_every_task_that_replaces_one_knows_how_often_it_happened(sig: Signature[Any]) -> None:
    chain(tasks.nesting.s(), becoming(becoming(sig)), tasks.nesting.s()).apply_async()
    ran = [run.result for run in run_tasks() if run.name == tasks.nesting.name]
    assert ran == [0, 2, 2, 2, 0]


def test_a_task_class_is_asked_what_replaces_it() -> None:
    result = tasks.become_and_note.s(what=tasks.double.s(4)).apply_async()
    run_tasks()
    assert result.get(timeout=1) == 8
    assert Note.objects.get().text == f"replaced by {tasks.double.name}"
    assert tasks.become_and_note.s(what=tasks.double.s(4)).apply().get() == 8
    assert Note.objects.count() == 2


# --- adding to a chord -----------------------------------------------------------------------


def test_members_that_are_added_come_last() -> None:
    header = [tasks.widen.s(10, more=2), tasks.double.s(1)]
    assert value_of(chord(header, tasks.total.s())) == 10 + 2 + 20 + 22


def test_a_member_cannot_be_added_without_being_sent() -> None:
    result = chord([tasks.widen.s(10, lazy=True), tasks.double.s(1)], tasks.total.s()).delay()
    run_tasks()
    with pytest.raises(ChordError, match="NotImplementedError"):
        result.get(timeout=1)
    assert (Message.objects.count(), Join.objects.count()) == (0, 0)


def test_outside_of_a_chord_nothing_can_be_added() -> None:
    result = tasks.widen.delay(1)
    run_tasks()
    with pytest.raises(ValueError, match="not member of any chord"):
        result.get(timeout=1)


# --- looking ahead ---------------------------------------------------------------------------


def test_a_step_knows_what_follows_it() -> None:
    result = chain(tasks.look_ahead.s(), tasks.look_ahead.s(), tasks.jot.s()).apply_async()
    run_tasks()
    first, second = result.parent.parent.get(), result.parent.get()
    assert first == [tasks.jot.name, tasks.look_ahead.name]
    assert second == [tasks.jot.name]


def test_what_follows_has_the_options_that_it_was_given() -> None:
    errback = tasks.jot.si("errback")
    given: dict[str, Any] = {
        "queue": "celery",
        "priority": 3,
        "time_limit": 9.0,
        "soft_time_limit": 7.0,
        "headers": {"x": 1},
        "countdown": 0.5,
        "expires": 60.0,
        "ignore_result": True,
        "task_id": "the-last",
    }
    last = tasks.jot.s("x").set(**given, link_error=[errback]).stamp(order="2-17")
    chain(tasks.look_at_options.s(), last).apply_async()
    [options] = [ran.result for ran in run_tasks() if ran.name == tasks.look_at_options.name]
    assert {name: options[name] for name in given} == given
    assert [link["task"] for link in options["link_error"]] == [tasks.jot.name]
    assert (options["order"], options["stamped_headers"]) == ("2-17", ["order"])
    assert "parent_id" in options
    again = signature({**tasks.jot.s("x"), "options": {**options, "task_id": "another"}})
    again.apply_async()
    assert Message.objects.get(custom_id="another").options is not None


def test_a_header_member_knows_the_body() -> None:
    result = chord([tasks.look_ahead.s(), tasks.look_ahead.s()], tasks.jot.s()).apply_async()
    run_tasks()
    assert result.parent.get() == [[tasks.jot.name], [tasks.jot.name]]


def test_what_a_task_calls_is_among_its_children_and_what_follows_among_theirs() -> None:
    result = tasks.call_others.delay()
    run_tasks()
    values = sorted(str(value) for _, value in result.collect())
    assert values == sorted(["called", "2", "4", "[10, 12]", "10", "12"])
