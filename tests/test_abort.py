"""Tasks that are asked to end, and see that they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from djtasks import AsyncResult, control, signals
from djtasks.contrib.abortable import AbortableAsyncResult
from djtasks.exceptions import TaskRevokedError
from djtasks.models import Message
from djtasks.testing import run_tasks
from tests.testapp import abort_tasks, tasks
from tests.testapp.models import Note
from tests.worker_process import RARE_BEATS, Journal, WorkerProcess, eventually

KNOWS: dict[str, Any] = {"IMPORTS": ["tests.testapp.abort_tasks"], **RARE_BEATS}
POOLS = {
    "prefork": ("-c", "2"),
    "threads": ("-P", "threads", "-c", "2"),
    "solo": ("-P", "solo"),
}


@pytest.fixture(scope="module", params=POOLS)
def pool(request: pytest.FixtureRequest, live_database: None) -> Iterator[str]:
    """The name of a pool, of which a worker runs."""
    with WorkerProcess(*POOLS[request.param], settings=KNOWS):
        yield request.param


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    gate = tmp_path / "gate"
    yield gate
    gate.touch()


def begin(task: Any, journal: Journal, gate: Path, key: str = "one") -> Any:
    result = task.delay(str(journal), key, str(gate))
    journal.wait(f"begin {key}")
    return result


@pytest.mark.usefixtures("live")
def test_an_abortable_task_is_aborted_while_it_runs(
    pool: str, journal: Journal, gate: Path
) -> None:
    blind = Path(f"{gate}.blind")
    blind.touch()
    result = begin(abort_tasks.abortable, journal, gate)
    assert isinstance(result, AbortableAsyncResult)
    assert not result.is_aborted()
    assert result.abort()
    assert (result.state, result.is_aborted()) == ("ABORTED", True)
    blind.unlink()
    assert result.get(timeout=60) == "aborted"
    assert (result.state, result.is_aborted()) == ("SUCCESS", False)
    assert not result.abort(), "it has ended"
    assert result.state == "SUCCESS"


@pytest.mark.usefixtures("live")
def test_one_that_was_aborted_before_it_began_sees_it(
    pool: str, journal: Journal, gate: Path
) -> None:
    result = abort_tasks.abortable.apply_async((str(journal), "one", str(gate)), countdown=1)
    assert result.abort()
    assert result.is_aborted()
    assert result.get(timeout=60) == "aborted"


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("task", [abort_tasks.plain, abort_tasks.atomic])
def test_a_task_that_is_terminated_ends_as_revoked_in_every_pool(
    task: Any, pool: str, journal: Journal, gate: Path
) -> None:
    result = begin(task, journal, gate)
    result.revoke(terminate=True)
    with pytest.raises(TaskRevokedError, match="terminated"):
        result.get(timeout=60)
    assert result.state == "REVOKED"
    signum = 15 if pool == "prefork" else None
    journal.wait(f"revoked one True {signum}")
    assert Note.objects.filter(text="one").exists() is (task is abort_tasks.plain)


@pytest.mark.usefixtures("live")
def test_what_waits_behind_a_task_that_runs_is_revoked_without_beginning(
    pool: str, journal: Journal, gate: Path
) -> None:
    for _ in range(20):
        # So that a child is given more than one.
        tasks.add.delay(1, 2).get(timeout=60)
    made = [abort_tasks.plain.delay(str(journal), str(n), str(gate)) for n in range(4)]
    eventually(lambda: journal.tally("begin"))
    for result in made:
        result.revoke(terminate=True)
    for result in made:
        with pytest.raises(TaskRevokedError):
            result.get(timeout=60)
    assert not Message.objects.exists()


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("pool", ["threads", "solo"], indirect=True)
def test_a_task_that_does_not_look_keeps_its_end(pool: str, journal: Journal, gate: Path) -> None:
    # In the pool prefork its process is killed.
    result = tasks.early.delay(str(journal), "one", [f"hold:{gate}"])
    journal.wait("held one")
    assert control.terminate([result.id]).done == 1
    gate.touch()
    assert result.get(timeout=60) == "one"


@pytest.mark.usefixtures("empty")
def test_outside_of_workers_nobody_is_asked() -> None:
    assert not abort_tasks.abortable.is_aborted()
    assert not abort_tasks.abortable.is_aborted(task_id="nobody")
    assert isinstance(abort_tasks.abortable.AsyncResult("one"), AbortableAsyncResult)


@pytest.mark.usefixtures("empty")
def test_a_task_can_ask_for_another(journal: Journal, gate: Path) -> None:
    other = abort_tasks.abortable.apply_async((str(journal), "one", str(gate)), countdown=60)
    assert not abort_tasks.abortable.is_aborted(task_id=other.id)
    other.abort()
    assert abort_tasks.abortable.is_aborted(task_id=other.id)
    assert AsyncResult(other.id).state == "ABORTED"
    assert [run.result for run in run_tasks(scheduled=True)] == ["aborted"]


@pytest.mark.usefixtures("live")
def test_whoever_revokes_what_has_not_begun_sends_the_signal() -> None:
    told: list[Any] = []

    def receive(sender: Any, request: Any, **how: Any) -> None:
        how.pop("signal")
        told.append((sender.name, request.id, request.args, how))

    signals.task_revoked.connect(receive)
    try:
        result = tasks.add.apply_async((1, 2), countdown=60)
        control.revoke([result.id])
    finally:
        signals.task_revoked.disconnect(receive)
    how = {"terminated": False, "signum": None, "expired": False}
    assert told == [("tests.testapp.tasks.add", result.id, [1, 2], how)]
