"""A task cannot harm the next one through Django's connections."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testapp import tasks
from tests.testapp.models import Counter, Note
from tests.worker_process import PATIENCE, WorkerProcess, eventually

pytestmark = pytest.mark.usefixtures("live")


@pytest.fixture(scope="module", params=["0", "60"], ids=["closed", "kept"])
def worker(live_database: None, request: pytest.FixtureRequest) -> Iterator[WorkerProcess]:
    """One child, whose connections are closed after each task, or kept for a minute."""
    with WorkerProcess("-c", "1", env={"DJTASKS_TEST_CONN_MAX_AGE": request.param}) as worker:
        worker.keeps = request.param == "60"  # type: ignore[attr-defined]
        yield worker


def notes() -> list[str]:
    return list(Note.objects.order_by("id").values_list("text", flat=True))


@pytest.mark.parametrize(
    "task", ["leave_transaction_open", "leave_bare_transaction_open", "leave_atomic_open"]
)
def test_a_transaction_left_open_is_rolled_back(worker: WorkerProcess, task: str) -> None:
    process = tasks.process_id.delay().get(PATIENCE)
    getattr(tasks, task).delay("lost").get(PATIENCE)
    tasks.record.delay("next").get(PATIENCE)
    assert notes() == ["next"]
    assert tasks.process_id.delay().get(PATIENCE) == process
    if worker.keeps or "bare" not in task:  # type: ignore[attr-defined]
        worker.wait_log(rf"{task} left a transaction open")


def test_a_changed_search_path_is_gone_with_its_task(worker: WorkerProcess) -> None:
    tasks.change_search_path.delay().get(PATIENCE)
    tasks.record.delay("next").get(PATIENCE)
    assert notes() == ["next"]


def test_a_broken_connection_is_replaced(worker: WorkerProcess) -> None:
    tasks.break_connection.delay().get(PATIENCE)
    tasks.record.delay("next").get(PATIENCE)
    assert notes() == ["next"]


def test_connections_are_kept_as_long_as_the_settings_say(worker: WorkerProcess) -> None:
    pids = {tasks.backend_pid.delay().get(PATIENCE) for _ in range(5)}
    keeps = worker.keeps  # type: ignore[attr-defined]
    assert len(pids) == (1 if keeps else 5)


def test_tasks_that_use_no_database_open_no_connection(worker: WorkerProcess) -> None:
    from django.db import connection

    tasks.add.delay(1, 1).get(PATIENCE)

    def sessions() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name = '' AND pid <> pg_backend_pid()"
            )
            count: int = cursor.fetchone()[0]
        return count

    before = sessions()
    for _ in range(5):
        tasks.add.delay(1, 1).get(PATIENCE)
    assert sessions() <= before


def test_writes_of_a_task_that_fails_stay_where_it_is_not_atomic(worker: WorkerProcess) -> None:
    Counter.objects.create(name="visits")
    assert tasks.increment.delay("visits").get(PATIENCE) == 1
    with pytest.raises(Counter.DoesNotExist):
        tasks.increment.delay("nothing").get(PATIENCE)
    eventually(lambda: Counter.objects.get().value == 1, "one count")
