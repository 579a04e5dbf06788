"""What the filters beside the list of tasks offer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from djtasks.browser import offered as module
from djtasks.browser.offered import Offered, offered
from djtasks.browser.reading import reading
from djtasks.models import Activity, Queue
from tests.admin_pages import a_worker, ended, queued

pytestmark = pytest.mark.usefixtures("empty")


def counted(task: str, succeeded: int = 0, failed: int = 0, hours: int = 0) -> None:
    Activity.objects.create(
        span=3600,
        at=datetime.now(UTC) - timedelta(hours=hours),
        queue="q",
        task=task,
        succeeded=succeeded,
        failed=failed,
    )


def test_nothing_is_offered_where_nothing_is() -> None:
    assert offered() == Offered([], [], [], [])


def test_queues_are_offered_that_were_seen_or_have_ready_messages() -> None:
    Queue.objects.create(name="seen")
    queued(queue="ready")
    assert offered().queues == ["ready", "seen"]


def test_tasks_of_the_last_day_are_offered_those_first_that_ended_most() -> None:
    counted("shop.few", succeeded=1)
    counted("shop.many", succeeded=2, failed=3, hours=20)
    counted("shop.before", succeeded=99, hours=25)
    assert offered().tasks == ["shop.many", "shop.few"]


def test_exceptions_of_the_latest_failures_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    for number, name in enumerate(["KeyError", "shop.Refused", "shop.Refused", None, "Old"]):
        ended(state="FAILURE", exception=name, date_done=now - timedelta(minutes=number))
    ended(state="REVOKED", exception="TaskRevokedError")
    monkeypatch.setattr(module, "RECENT", 4)
    assert offered().exceptions == ["shop.Refused", "KeyError"]


def test_each_worker_name_is_offered_once() -> None:
    for name in ("b@host", "a@host", "a@host"):
        a_worker(hostname=name)
    assert offered().workers == ["a@host", "b@host"]


def test_no_more_are_offered_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    for name in ("one", "two", "three"):
        counted(name, succeeded=1)
        Queue.objects.create(name=name)
    assert [len(offered().queues), len(offered().tasks)] == [2, 2]


@pytest.mark.parametrize("analyzed", [False, True])
def test_a_million_results_are_not_read_for_the_exceptions(analyzed: bool) -> None:
    """The plan is what keeps it so, whatever the statistics say."""
    if analyzed:
        # The worst that they can say: there is no failure.
        for number in range(500):
            ended(state="REVOKED", date_done=datetime.now(UTC) - timedelta(minutes=number))
    with reading(few=True) as cursor:
        if analyzed:
            cursor.execute("ANALYZE djtasks_taskresult")
        cursor.execute(f"EXPLAIN {module.EXCEPTION_NAMES}", {"limit": 12, "recent": 500})
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Scan Backward using djtasks_taskresult_bad" in plan, plan
    assert "Seq Scan" not in plan, plan
