"""Many calls at once: in batches, streamed, in one round trip for a thousand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from djtasks import Task, enqueue_many, shared_task, signals
from djtasks.bulk import BATCH
from djtasks.exceptions import DuplicateTaskId, EncodeError
from djtasks.execution.request import Context, pop, push
from djtasks.models import Message
from djtasks.testing import capture_tasks
from tests.own_registry import own_registry  # noqa: F401
from tests.testapp.tasks import add
from tests.worker_process import rolled_back

pytestmark = [pytest.mark.usefixtures("own_registry"), pytest.mark.django_db]


def with_setting(**values: Any) -> Any:
    return override_settings(DJTASKS={**settings.DJTASKS, **values})


def test_calls_are_signatures_and_tuples_and_results_come_in_their_order() -> None:
    results = enqueue_many(
        [
            add.s(1, 2).set(queue="sig"),
            (add, (3, 4)),
            (add, [5], {"b": 6}),
            (add, (7, 8), None, {"queue": "tuple", "priority": 9, "task_id": "mine"}),
            ("unknown.task", (1,)),
        ]
    )
    rows = {str(m.id): m for m in Message.objects.all()}
    found = [rows[str(result.key)] for result in results]
    assert [(m.task, m.payload, m.queue, m.priority) for m in found] == [
        (add.name, "[[1,2],{}]", "sig", 0),
        (add.name, "[[3,4],{}]", "celery", 0),
        (add.name, '[[5],{"b":6}]', "celery", 0),
        (add.name, "[[7,8],{}]", "tuple", 9),
        ("unknown.task", "[[1],{}]", "celery", 0),
    ]
    assert results[3].id == "mine"
    assert [m.seq for m in found] == sorted(m.seq for m in found)


def test_nothing_is_nothing() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert enqueue_many([]) == []
    assert not queries.captured_queries


def test_a_thousand_calls_are_one_round_trip() -> None:
    with CaptureQueriesContext(connection) as queries:
        results = enqueue_many((add, (i, i)) for i in range(2 * BATCH + 1))
    assert len(results) == len(set(results)) == Message.objects.count() == 2 * BATCH + 1
    inserts = [query for query in queries.captured_queries if "INSERT" in query["sql"]]
    assert len(inserts) == 3


def test_calls_are_read_no_further_than_a_batch_ahead() -> None:
    read: list[int] = []
    written: list[int] = []

    def calls() -> Iterator[Any]:
        for i in range(3 * BATCH):
            read.append(i)
            if i % BATCH == 0:
                written.append(Message.objects.count())
            yield add, (i, i)

    enqueue_many(calls())
    assert written == [0, BATCH, 2 * BATCH]


def test_calls_on_commit_wait_for_it_and_others_do_not() -> None:
    enqueue_many([(add, (1, 2)), add.s(3, 4).set(enqueue="on_commit"), (add, (5, 6))])
    assert set(Message.objects.values_list("payload", flat=True)) == {"[[1,2],{}]", "[[5,6],{}]"}


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        ((add, (1,)), TypeError, "missing 1 required positional argument"),
        ((add, 5), TypeError, "args must be a list or tuple"),
        ((add, (1, 2), None, {"count_down": 1}), TypeError, "Did you mean 'countdown'"),
        ((add, (1, object())), EncodeError, r"args\[1\]"),
        ((5, (1,)), TypeError, "neither a task nor the name of one"),
        ((), TypeError, "takes signatures and tuples"),
        (add, TypeError, "takes signatures and tuples"),
        ((add, (1, 2), {}, {}, {}), TypeError, "takes signatures and tuples"),
        ({"task": "x"}, TypeError, "takes signatures and tuples"),
    ],
)
def test_a_wrong_call_is_an_error(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        enqueue_many([(add, (1, 2)), call])
    assert not Message.objects.exists()


def test_an_id_that_is_taken_is_refused() -> None:
    add.apply_async((1, 2), task_id="taken")
    calls = [add.s(1, 2), add.s(1, 2).set(task_id="taken")]
    with pytest.raises(DuplicateTaskId, match="taken"), transaction.atomic():
        enqueue_many(calls)
    assert Message.objects.count() == 1


def test_routes_that_see_the_call_are_asked_for_each() -> None:
    def router(name: str, args: Any, *rest: Any, **kwargs: Any) -> str:
        return f"q{args[0]}"

    with with_setting(TASK_ROUTES=router):
        enqueue_many((add, (i, 0)) for i in range(3))
    with with_setting(TASK_ROUTES={add.name: "named"}):
        enqueue_many((add, (i, 0)) for i in range(2))
    queues = Message.objects.order_by("seq").values_list("queue", flat=True)
    assert list(queues) == ["q0", "q1", "q2", "named", "named"]


def test_options_of_the_task_hold() -> None:
    @shared_task(queue="mail", priority=3, expires=60, ignore_result=True)
    def mail(x: int) -> None: ...

    (result,) = enqueue_many([(mail, (1,))])
    message = Message.objects.get()
    assert (message.queue, message.priority, result.ignored) == ("mail", 3, True)
    assert message.expires is not None


def test_inside_a_task_they_know_their_parent_but_are_no_children() -> None:
    token = push(add, Context(id="parent", called_directly=False))
    try:
        results = enqueue_many([(add, (1, 2)), add.s(1, 2)])
        assert add.request.children == []
    finally:
        pop(token)
    parents = {m.parent_id for m in Message.objects.all()}
    assert len(parents) == 1
    assert None not in parents
    assert len(results) == 2


def test_a_class_with_its_own_way_of_being_called_is_asked() -> None:
    class Tenanted(Task[..., Any]):
        def apply_async(self, *args: Any, **kwargs: Any) -> Any:
            return super().apply_async(*args, **{**kwargs, "headers": {"tenant": 5}})

    @shared_task(base=Tenanted)
    def work(x: int) -> None: ...

    results = enqueue_many([(add, (1, 2)), (work, (3,), {}, {"queue": "q"}), (add, (4, 5))])
    rows = Message.objects.order_by("seq")
    assert [str(row.id) for row in rows] == [result.id for result in results]
    assert (rows[1].options, rows[1].queue) == ('{"headers":{"tenant":5}}', "q")


def test_signals_are_sent_for_each() -> None:
    seen: list[str] = []

    def note(sender: str, headers: dict[str, Any], **kwargs: Any) -> None:
        seen.append(headers["id"])

    signals.before_task_publish.connect(note)
    try:
        results = enqueue_many([(add, (1, 2)), add.s(1, 2)])
    finally:
        signals.before_task_publish.disconnect(note)
    assert seen == [result.id for result in results]
    assert Message.objects.count() == 2


def test_they_can_be_captured() -> None:
    with capture_tasks() as calls:
        results = enqueue_many([(add, (1, 2)), (add, (3, 4), {}, {"queue": "q"})])
    assert [(call.args, dict(call.options)) for call in calls] == [
        ((1, 2), {}),
        ((3, 4), {"queue": "q"}),
    ]
    assert [call.result for call in calls] == results
    assert not Message.objects.exists()


@given(words=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=9))
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_text_arrives_as_it_was_sent(words: list[str]) -> None:
    words = [word.replace("\0", "") for word in words]
    with rolled_back():
        results = enqueue_many([("some.task", (word,)) for word in words])
        stored = dict(Message.objects.values_list("id", "payload"))
    assert [json.loads(stored[UUID(r.id)] or "")[0] for r in results] == [[word] for word in words]
