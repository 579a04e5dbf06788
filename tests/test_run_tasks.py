"""run_tasks() and capture_tasks(): queues in tests, on the test's own connection."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.test import TestCase

from djtasks import app
from djtasks.models import Message, TaskResult
from djtasks.testing import capture_tasks, run_tasks
from tests.testapp import tasks
from tests.testapp.models import Note
from tests.worker_process import Journal


def notes() -> list[str]:
    return list(Note.objects.order_by("id").values_list("text", flat=True))


class InTestCase(TestCase):
    """Inside a transaction that never commits."""

    def test_runs_what_is_queued(self) -> None:
        first = tasks.record.delay("a")
        second = tasks.add.delay(1, 2)
        ran = run_tasks()
        assert [(run.name, run.state) for run in ran] == [
            ("tests.testapp.tasks.record", "SUCCESS"),
            ("tests.testapp.tasks.add", "SUCCESS"),
        ]
        assert ran[1].result == 3
        assert notes() == ["a"]
        assert first.successful()
        assert second.get() == 3
        assert not Message.objects.exists()

    def test_runs_what_tasks_enqueue(self) -> None:
        tasks.enqueue_others.delay(["a", "b"])
        assert len(run_tasks()) == 3
        assert notes() == ["a", "b"]

    def test_runs_what_waits_for_a_commit_that_never_comes(self) -> None:
        tasks.record.delay_on_commit("a")
        assert run_tasks()
        assert notes() == ["a"]

    def test_leaves_what_is_not_due_unless_asked(self) -> None:
        tasks.record.apply_async(("later",), countdown=3600)
        assert run_tasks() == []
        assert len(run_tasks(scheduled=True)) == 1
        assert notes() == ["later"]

    def test_runs_retries(self) -> None:
        result = tasks.retry_until.delay("x", 2)
        assert [run.state for run in run_tasks()] == ["RETRY", "RETRY", "SUCCESS"]
        assert result.retries == 2

    def test_keeps_failures_as_results(self) -> None:
        result = tasks.fail.delay("no")
        [ran] = run_tasks()
        assert isinstance(ran.error, ValueError)
        assert result.failed()

    def test_raises_failures_if_asked(self) -> None:
        tasks.fail.delay("no")
        with pytest.raises(ValueError, match="no"):
            run_tasks(propagate=True)

    def test_chooses_queues(self) -> None:
        tasks.record.apply_async(("a",), queue="a")
        tasks.record.apply_async(("b",), queue="b")
        run_tasks(queues=["b"])
        assert notes() == ["b"]

    def test_keeps_priorities(self) -> None:
        for number, priority in enumerate((0, 5, -5, 5)):
            tasks.record.apply_async((f"{number}",), priority=priority)
        run_tasks()
        assert notes() == ["1", "3", "0", "2"]

    def test_a_database_error_in_a_task_leaves_the_test_usable(self) -> None:
        result = tasks.increment.delay("missing")
        run_tasks()
        assert result.failed()
        assert notes() == []

    def test_ends_tasks_that_enqueue_themselves(self) -> None:
        tasks.retry_for_ever.delay()
        with pytest.raises(RuntimeError, match="20"):
            run_tasks(limit=20)

    def test_an_unknown_task_is_a_failure_at_once(self) -> None:
        result = app.send_task("nobody.knows")
        [ran] = run_tasks()
        assert ran.state == "FAILURE"
        assert result.failed()


@pytest.mark.django_db
def test_atomic_tasks_share_the_tests_transaction(journal: Journal) -> None:
    good = tasks.atomic.delay(str(journal), "good", ["ok"])
    bad = tasks.atomic.delay(str(journal), "bad", ["raise"])
    run_tasks()
    assert (good.state, bad.state) == ("SUCCESS", "FAILURE")
    assert notes() == ["good"]


@pytest.mark.django_db(transaction=True)
def test_without_a_transaction_each_task_commits() -> None:
    tasks.record.delay("a")
    run_tasks()
    with transaction.atomic():
        assert notes() == ["a"]
    assert TaskResult.objects.get().state == "SUCCESS"


@pytest.mark.django_db
def test_calls_can_be_captured_instead() -> None:
    with capture_tasks() as calls:
        tasks.add.delay(1, b=2)
        tasks.record.apply_async(("x",), queue="q", countdown=5)
    assert calls.names == ["tests.testapp.tasks.add", "tests.testapp.tasks.record"]
    assert tuple(calls[0].args) == (1,)
    assert dict(calls[0].kwargs) == {"b": 2}
    assert calls[1].options["queue"] == "q"
    assert not Message.objects.exists()


@pytest.mark.django_db
def test_calls_can_be_captured_and_enqueued() -> None:
    with capture_tasks(insert=True) as calls:
        tasks.add.delay(1, 2)
    assert len(calls) == 1
    assert Message.objects.count() == 1


@pytest.mark.django_db
def test_the_statements_of_a_run_stay_few() -> None:
    from django.test.utils import CaptureQueriesContext

    for _ in range(5):
        tasks.add.delay(1, 1)
    with CaptureQueriesContext(connection) as queries:
        assert len(run_tasks()) == 5
    assert len(queries) <= 5 * 6 + 6
