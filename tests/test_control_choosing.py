"""All that match a filter: counted before, and taken once."""

from __future__ import annotations

import io
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from djtasks import chain, control
from djtasks.browser.find import Filter
from djtasks.control import Reason
from djtasks.models import Message, TaskResult
from djtasks.testing import run_tasks
from tests.test_control_orders import a_worker, orders_of
from tests.test_control_placing import running
from tests.test_control_retry import because, failed, skipped
from tests.testapp.replace_tasks import double
from tests.testapp.tasks import add, fail

pytestmark = pytest.mark.usefixtures("empty")


def matching(query: str) -> list[UUID]:
    return [id for batch in control.select(Filter.parse(query)) for id in batch]


def many_failed(number: int, queue: str = "mail") -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO djtasks_taskresult (id, task, queue, payload, state, exception,"
            " started_at, enqueued_at, date_done)"
            " SELECT gen_random_uuid(), %s, %s, '[[\"x\"],{}]', 'FAILURE', 'ValueError',"
            " t, t, t FROM generate_series(1, %s) AS n, LATERAL"
            " (SELECT now() - n / 3 * interval '1 second') AS s (t)",
            (fail.name, queue, number),
        )


def test_all_that_match_are_chosen_once() -> None:
    many_failed(2 * control.BATCH + 20)
    many_failed(5, "other")
    assert len(matching("state:FAILURE queue:mail")) == 2 * control.BATCH + 20
    assert len(set(matching("state:FAILURE"))) == 2 * control.BATCH + 25
    assert matching("state:FAILURE queue:none") == []
    assert [len(batch) for batch in control.select(Filter.parse("queue:mail"))] == [
        control.BATCH,
        control.BATCH,
        20,
    ]


def test_all_that_match_run_again_and_what_arrives_meanwhile_does_not() -> None:
    number = control.BATCH + 30
    many_failed(number)
    done = control.Outcome()
    for ids in control.select(Filter.parse("state:FAILURE")):
        done += control.retry(ids)
        many_failed(1)
        run_tasks(limit=1000)
    assert done == control.Outcome(number)
    assert TaskResult.objects.filter(state="FAILURE").count() == number + 2


@pytest.mark.django_db(transaction=True)
def test_what_was_taken_does_not_come_again() -> None:
    """Without a state in the filter what was put back matches as well."""
    many_failed(control.BATCH + 30)
    add.delay(1, 2)
    done = control.Outcome()
    for ids in control.select(Filter.parse("")):
        done += control.retry(ids)
    assert done.done == control.BATCH + 30
    assert skipped(done) == because(Reason.QUEUED)


def eligible(operation: Any, query: str = "", **options: Any) -> tuple[int, dict[str, int]]:
    outcome = control.eligible(operation, Filter.parse(query), **options)
    return outcome.done, skipped(outcome)


def test_eligible_counts_as_the_operation_does() -> None:
    """By a filter, by ids, and by doing it."""
    chain(fail.si("first"), double.s()).apply_async()
    for number in range(3):
        add.delay(number, 1)
    run_tasks()
    chain(add.s(1, 2), double.s()).apply_async(countdown=60)
    add.apply_async((1, 2), countdown=60)
    add.apply_async((1, 2), task_id="mine")
    worker, threads = a_worker(), a_worker(pool="threads")
    running(add.delay(1, 2), worker.id)
    running(add.delay(1, 2), threads.id)
    ids = [
        *Message.objects.values_list("id", flat=True),
        *TaskResult.objects.values_list("id", flat=True),
    ]
    retry = {Reason.SUCCEEDED: 3, Reason.QUEUED: 4, Reason.RUNNING: 2, Reason.NEVER_RAN: 1}
    unbegun = {Reason.ENDED: 5, Reason.RUNNING: 2}
    expected: dict[str, tuple[int, dict[Reason, int]]] = {
        "retry": (1, retry),
        "retry_as_new": (1, retry),
        "run_now": (2, {**unbegun, Reason.READY: 1, Reason.WAITING: 1}),
        "revoke": (4, unbegun),
        "move": (4, unbegun),
        "terminate": (2, {Reason.NOT_RUNNING: 4, Reason.ENDED: 5}),
        "delete": (5, {Reason.QUEUED_REVOKE: 4, Reason.RUNNING: 2}),
    }
    for operation, (done, reasons) in expected.items():
        told = (done, {str(reason.label): count for reason, count in reasons.items()})
        assert eligible(operation) == told, operation
        by_ids = control.eligible(operation, ids)  # type: ignore[arg-type]
        assert (by_ids.done, skipped(by_ids)) == told, operation
    assert eligible("retry", also_succeeded=True)[0] == 4
    assert control.terminate(ids).done == 2
    assert control.delete(ids).done == 5
    assert control.run_now(ids).done == 2
    assert control.revoke(ids).done == 4
    assert orders_of(worker)["terminate"]


def test_eligible_counts_to_a_limit() -> None:
    many_failed(control.LIMIT + 10)
    outcome = control.eligible("retry", Filter.parse("state:FAILURE"))
    assert (outcome.done, outcome.more) == (control.LIMIT, True)
    TaskResult.objects.filter(id__in=matching("state:FAILURE")[:10]).delete()
    outcome = control.eligible("retry", Filter.parse("state:FAILURE"))
    assert (outcome.done, outcome.more) == (control.LIMIT, False)


def test_eligible_ends_a_search_that_finds_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("djtasks.control.choosing.LONGEST_SEARCH", 10_000)
    many_failed(50_000)
    outcome = control.eligible("retry", Filter.parse("queue:none"))
    assert (outcome.done, outcome.more) == (0, True)
    assert matching("queue:none") == []


# --- by the command --------------------------------------------------------------------------


def run(*words: str) -> str:
    out = io.StringIO()
    call_command("taskcontrol", *words, stdout=out)
    return out.getvalue()


def test_a_query_is_counted_then_done() -> None:
    many_failed(3)
    failed(queue="other")
    words = ("retry", "--query", "state:FAILURE queue:mail")
    assert run(*words, "--dry-run") == "3 would be put back.\n"
    assert not Message.objects.exists()
    assert run(*words, "--yes") == "3 would be put back.\n3 put back.\n"
    assert set(Message.objects.values_list("queue", flat=True)) == {"mail"}
    assert run(*words, "--yes") == "0 would be put back.\n"


def test_what_a_query_passes_over_is_no_error() -> None:
    add.delay(1, 2)
    run_tasks()
    many_failed(1)
    assert run("retry", "--query", "", "--yes") == (
        "1 would be put back.\n1 would be passed over: it succeeded.\n"
        "1 put back.\nPassed over 1: it succeeded.\n"
    )


def test_a_query_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    many_failed(1)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(CommandError, match="say --yes"):
        run("delete", "--query", "state:FAILURE")
    assert TaskResult.objects.exists()


def test_a_wrong_query_says_what_there_is() -> None:
    with pytest.raises(CommandError, match="queue"):
        run("retry", "--query", "qeue:mail", "--yes")
