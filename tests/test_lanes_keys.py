"""Declaring what limits a task: what can be said, and what a mistake is told."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest
from django.test import override_settings

from djtasks import shared_task
from djtasks.keys import LONGEST, shortened
from djtasks.lanes import Rate, rate_of
from djtasks.models import Message
from djtasks.registry import annotate
from tests.testapp.models import Counter

Options = dict[str, Any]

NUMBERS = itertools.count()
"""Tasks of one name would be one."""


def declared(**options: Any) -> Any:
    """A task with these options."""

    def plain(account_id: int, *, region: str = "eu", **rest: Any) -> None:
        """Nothing."""

    return shared_task(name=f"lanes.rest{next(NUMBERS)}", **options)(plain)


def strict(**options: Any) -> Any:
    """A task with these options that takes two arguments."""

    def plain(account_id: int, region: str = "eu") -> None:
        """Nothing."""

    return shared_task(name=f"lanes.strict{next(NUMBERS)}", **options)(plain)


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        ("100/m", Rate(0.6, 1.0)),
        ("100/s", Rate(0.01, 10.0)),
        ("5/h", Rate(720.0, 1.0)),
        ("0.5/s", Rate(2.0, 1.0)),
        (3, Rate(1 / 3, 1.0)),
        ("0", None),
        (0, None),
    ],
)
def test_rates_are_written_as_celery_writes_them(value: Any, rate: Rate | None) -> None:
    assert rate_of(value) == rate


@pytest.mark.parametrize("value", ["", "fast", "10/d", "-1/s", "10 /s/m", "nan", True])
def test_what_is_no_rate_is_told_what_one_looks_like(value: Any) -> None:
    with pytest.raises(ValueError, match="is no rate: write"):
        rate_of(value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate_limit": "10/d"}, "rate_limit must be a rate"),
        ({"rate_limit_scope": "queue"}, 'rate_limit_scope must be "global" or "worker"'),
        ({"concurrency_limit": 0}, "concurrency_limit must be a whole number above 0"),
        ({"concurrency_limit": True}, "concurrency_limit must be a whole number above 0"),
        ({"concurrency_key": "{account_id}"}, "give concurrency_limit too"),
        ({"concurrency_limit": 1, "concurrency_key": ""}, "concurrency_key must be a text"),
        ({"order_key": 5}, "order_key must be a text"),
        ({"order_key": "{account_id}", "concurrency_limit": 2}, "remove concurrency_limit"),
        (
            {"order_key": "{acount_id}"},
            "no argument of the task. Did you mean 'account_id'. It takes: acc",
        ),
        ({"order_key": "{}"}, "must name the arguments that it is made of"),
        ({"order_key": "{account_id"}, "is no template"),
        ({"order_keys": "{account_id}"}, "order_key"),
    ],
)
def test_a_mistake_of_a_declaration_is_told_at_once(options: Options, message: str) -> None:
    with pytest.raises(TypeError, match=message) as caught:
        strict(**options)
    assert "lanes.strict" in str(caught.value)


def test_a_template_takes_arguments_however_they_are_given_and_defaults() -> None:
    task = strict(order_key="{account_id}-{region}")
    lanes = {
        task.limits.lane(args, kwargs)
        for args, kwargs in (
            ([7], {}),
            ([7, "eu"], {}),
            ([], {"account_id": 7}),
            ([7], {"region": "eu"}),
        )
    }
    assert lanes == {"order:7-eu"}
    assert task.limits.lane([7, "us"], {}) == "order:7-us"


def test_a_template_reads_attributes_items_and_what_else_is_named() -> None:
    task = declared(order_key="{account_id.year}-{extra[0]}")
    assert task.limits.lane([dt.date(2026, 1, 2)], {"extra": ["a"]}) == "order:2026-a"


def test_a_model_instance_is_its_primary_key_in_a_template() -> None:
    task = strict(order_key="{account_id}-{account_id.name}", fair_key="{account_id:>3}")
    counter = Counter(pk=7, name="x")
    assert task.limits.lane([counter], {}) == "order:7-x"
    assert task.limits.fair([counter], {}, complete=True) == "  7"


def test_a_limit_without_a_key_counts_all_of_the_task() -> None:
    task = strict(concurrency_limit=3)
    assert task.limits.lane([1], {}) == f"limit:{task.name}"


@shared_task(name="lanes.{braced}", concurrency_limit=1)
def braced() -> None:
    """A name that looks like a template."""


def test_a_name_with_braces_is_no_template() -> None:
    assert braced.limits.lane([], {}) == "limit:lanes.{braced}"


@pytest.mark.usefixtures("empty")
def test_a_call_whose_key_cannot_be_made_is_refused_and_nothing_is_written() -> None:
    for key, problem in (
        ("{account_id.name}", "cannot be made of these arguments: AttributeError"),
        (lambda account_id, region="eu": {}[account_id], "raised KeyError: 7"),
        (lambda account_id, region="eu": "", "must return a non-empty text, not ''"),
        (lambda account_id, region="eu": 5, "must return a non-empty text, not 5"),
    ):
        with pytest.raises((TypeError, ValueError), match=problem) as caught:
            strict(order_key=key).delay(7)
        assert ": the order_key" in str(caught.value)
    assert not Message.objects.exists()


@pytest.mark.usefixtures("empty")
def test_a_call_has_its_lane_in_its_row_and_keys_may_be_any_text() -> None:
    task = strict(order_key=lambda account_id, region="eu": f"{region}\0{account_id}")
    for region in ("ελ \"x\\ {}'%", "x" * 5000, "🦉, NULL"):
        lane = task.limits.lane([7, region], {})
        result = task.delay(7, region)
        message = Message.objects.get(id=result.key)
        assert message.lane == lane
        assert len(lane) <= LONGEST + len("order:")
        assert message.gate is None


def test_long_keys_are_told_apart() -> None:
    keys = {shortened("x" * 500 + tail) for tail in "ab"}
    assert len(keys) == 2
    assert {len(key) for key in keys} == {LONGEST}
    assert shortened("x" * LONGEST) == "x" * LONGEST


@pytest.mark.usefixtures("empty")
def test_priorities_do_not_count_in_an_order() -> None:
    result = strict(order_key="{account_id}").apply_async((7,), priority=9)
    assert Message.objects.get(id=result.key).priority == 0
    limited = strict(concurrency_limit=1).apply_async((7,), priority=9)
    assert Message.objects.get(id=limited.key).priority == 9


def rate(task: Any) -> Rate | None:
    """The rate that holds for a task now."""
    found: Rate | None = task.limits.rate
    return found


def test_rates_come_from_annotations_and_settings_as_in_celery() -> None:
    task = strict()
    assert rate(task) is None
    with override_settings(DJTASKS={"TASK_DEFAULT_RATE_LIMIT": "5/s"}):
        assert task.rate_limit == "5/s"
        assert rate(task) == Rate(0.2, 1.0)
        assert rate(strict(rate_limit=0)) is None
        assert rate(strict(rate_limit="1/s")) == Rate(1.0, 1.0)
        with override_settings(DJTASKS={"WORKER_DISABLE_RATE_LIMITS": True}):
            assert rate(strict(rate_limit="1/s")) is None
    annotate(task, {"*": {"rate_limit": "10/s"}})
    assert rate(task) == Rate(0.1, 1.0)
    with pytest.raises(TypeError, match="the option rate_limit must be a rate"):
        annotate(task, {"*": {"rate_limit": "often"}})
