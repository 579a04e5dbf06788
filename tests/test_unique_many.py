"""Unique calls of which there are many at once, or that wait for a commit."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import TestCase

from djtasks import enqueue_many, states
from djtasks.exceptions import NotUnique, TaskRevokedError
from djtasks.models import Message, UniqueKey
from djtasks.testing import run_tasks
from tests.test_unique_calls import claim
from tests.testapp.tasks import add
from tests.testapp.unique_tasks import latest, once, strict

pytestmark = pytest.mark.usefixtures("empty")


# On commit


def test_a_call_that_waits_for_the_commit_and_finds_its_key_taken_says_so() -> None:
    first = once.delay("a")
    with capture_on_commit():
        late = once.delay_on_commit("a")
        error = strict.delay_on_commit("a")
        same = strict.delay_on_commit("a")
    assert late.state == states.REVOKED
    with pytest.raises(TaskRevokedError, match=f"not unique: {first.id} has the key"):
        late.get(timeout=0)
    assert (error.state, same.state) == (states.PENDING, states.REVOKED)
    assert {message.id for message in Message.objects.all()} == {first.key, error.key}


def test_a_late_call_with_the_same_id_of_ones_own_speaks_of_the_first() -> None:
    with capture_on_commit():
        made = [
            once.apply_async(("a",), task_id="mine", enqueue="on_commit", queue="a")
            for _ in range(2)
        ]
    with capture_on_commit():
        made.append(once.apply_async(("a",), task_id="mine", enqueue="on_commit"))
    assert {(result.id, result.state, result.queue) for result in made} == {
        ("mine", states.PENDING, "a")
    }


def test_many_calls_with_one_id_of_ones_own_and_one_key_are_one() -> None:
    call = (once, ("a",), None, {"task_id": "mine"})
    assert enqueue_many([call, call]) == ["mine", "mine"]
    assert Message.objects.count() == 1
    with pytest.raises(NotUnique):
        enqueue_many([(strict, ("a",), None, {"task_id": "b"})] * 2)


def capture_on_commit() -> Any:
    return TestCase.captureOnCommitCallbacks(execute=True)


# Many at once


def test_many_calls_have_the_handles_of_those_that_have_their_keys() -> None:
    before = once.delay("c")
    made = enqueue_many(
        [
            (once, ("a",)),
            (add, (1, 2)),
            (once, ("b",)),
            once.s(name="a", more=2),
            (once, ("c",)),
            (add, (1, 2)),
            (once, ("a",), None, {"unique": False}),
        ]
    )
    assert len(made) == 7
    assert made[3] == made[0]
    assert made[4] == before
    assert len({*made}) == 6
    written = list(Message.objects.order_by("seq").values_list("id", flat=True))
    assert written == [before.key, *(made[n].key for n in (0, 1, 2, 5, 6))]


def test_the_last_of_many_that_replace_each_other_is_run() -> None:
    old = latest.delay("a", note="old")
    made = enqueue_many([(latest, ("a", str(n))) for n in range(3)] + [(latest, ("b",))])
    assert sorted(run.result for run in run_tasks()) == ["a 2", "b "]
    assert [result.state for result in [old, *made]] == [
        *[states.REVOKED] * 3,
        *[states.SUCCESS] * 2,
    ]
    for result in made[:2]:
        with pytest.raises(TaskRevokedError, match=f"replaced by {made[2].id}"):
            result.get(timeout=0)


def test_many_that_meet_one_that_runs_have_its_handle() -> None:
    running = latest.delay("a")
    claim(running)
    made = enqueue_many([(latest, ("a", str(n))) for n in range(3)])
    assert made == [running] * 3


def test_one_of_many_that_raises_leaves_none_of_its_thousand() -> None:
    strict.delay("b")
    with pytest.raises(NotUnique):
        enqueue_many([(strict, ("a",)), (add, (1, 2)), (strict, ("b",)), (strict, ("c",))])
    assert Message.objects.count() == UniqueKey.objects.count() == 1


def test_more_than_a_thousand_are_one_for_each_key() -> None:
    made = enqueue_many((once, (str(n % 700),)) for n in range(2500))
    assert len(made) == 2500
    assert len({*made}) == Message.objects.count() == 700
    assert [made[n] for n in range(700)] == [made[n] for n in range(1400, 2100)]


def test_large_arguments_are_kept_for_the_one_only() -> None:
    text = "x" * 50_000
    first = once.delay(text)
    assert once.delay(text) == first
    run_tasks()
    assert first.get(timeout=0) == f"{text} 2"
