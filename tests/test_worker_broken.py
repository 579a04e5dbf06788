"""Messages that no worker knows, and rows that nobody can read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import transaction

from djtasks import AsyncResult, app
from djtasks.exceptions import BackendError, EncodeError, InvalidTaskError
from djtasks.models import Message
from djtasks.queue.enqueue import wake_workers
from tests.testapp import tasks
from tests.testapp.models import Note
from tests.worker_process import PATIENCE, WorkerProcess, eventually, wait_drained

pytestmark = pytest.mark.usefixtures("live")


@pytest.fixture(scope="module")
def worker(live_database: None) -> Iterator[WorkerProcess]:
    """Two children that serve all queues, for all tests of this module."""
    with WorkerProcess("-c", "2") as worker:
        yield worker


def notes() -> list[str]:
    return list(Note.objects.order_by("id").values_list("text", flat=True))


def wake(*queues: str) -> None:
    """Do what a committed call does: for rows that were written by hand."""
    wake_workers(transaction.get_connection(), {"djtasks_wake": set(queues or ("celery",))})


def test_an_unknown_task_waits_for_a_worker_that_knows_it(worker: WorkerProcess) -> None:
    result = app.send_task("rare", ("x",))
    eventually(
        lambda: Message.objects.filter(
            id=result.id, worker_id=None, unknown_since__isnull=False
        ).exists(),
        "the worker to put it back",
    )
    with WorkerProcess("-c", "1", settings={"IMPORTS": ["tests.testapp.rare_tasks"]}):
        assert result.get(PATIENCE) == "x"
    assert notes() == ["x"]
    assert "Task rare is not known to this worker" in worker.log


@pytest.mark.parametrize(
    "columns",
    [
        {"payload": "not json"},
        {"payload": "{}"},
        {"payload": "[1, 2]"},
        {"payload": None},
        {"payload": '[[{"__djtasks__": "nonsense", "v": 1}], {}]'},
        {"options": "not json"},
        {"options": "[]"},
        {"options": '{"timelimit": "soon"}'},
        {"options": '{"timelimit": ["a", "b"]}'},
        {"options": '{"link": [{"task": 1}]}'},
        {"options": '{"link": 3, "link_error": 4}'},
        {"retries": -1, "payload": "[[],{}"},
    ],
    ids=str,
)
def test_a_broken_row_fails_and_harms_no_other(
    worker: WorkerProcess, columns: dict[str, str | int | None]
) -> None:
    row = Message(task="tests.testapp.tasks.fail", queue="celery", payload="[[1,2],{}]")
    for name, value in columns.items():
        setattr(row, name, value)
    row.save()
    wake()
    good = tasks.record.delay("good")
    good.get(PATIENCE)
    result: AsyncResult[None] = AsyncResult(row.id)
    eventually(result.ready, "the broken one to end")
    assert result.state == "FAILURE"
    assert str(result.result)
    wait_drained()
    assert tasks.add.delay(1, 2).get(PATIENCE) == 3


def test_a_row_whose_options_are_not_json_says_so(worker: WorkerProcess) -> None:
    row = Message.objects.create(
        task="tests.testapp.tasks.add", queue="celery", payload="[[1,2],{}]", options="not json"
    )
    wake()
    result: AsyncResult[int] = AsyncResult(row.id)
    with pytest.raises(InvalidTaskError, match=r"tests\.testapp\.tasks\.add"):
        result.get(PATIENCE)


def test_a_state_that_no_worker_knows_is_left_alone(worker: WorkerProcess) -> None:
    row = Message.objects.create(
        task="tests.testapp.tasks.add", queue="celery", payload="[[1,2],{}]", state=99
    )
    wake()
    assert tasks.add.delay(1, 2).get(PATIENCE) == 3
    assert Message.objects.get(id=row.id).worker_id is None


def test_a_result_that_postgresql_cannot_store_is_a_failure_that_says_so(
    worker: WorkerProcess,
) -> None:
    result = tasks.echo.apply_async(("fine",))
    result.get(PATIENCE)
    with pytest.raises((EncodeError, BackendError), match="NUL"):
        tasks.make_nul.delay().get(PATIENCE)
    assert tasks.add.delay(1, 2).get(PATIENCE) == 3
