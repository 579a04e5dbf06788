"""Time limits: soft ones interrupt a task, hard ones end its process and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from djtasks import AsyncResult, enqueue_many
from djtasks.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded
from djtasks.models import Message, TaskResult
from tests.testapp import tasks
from tests.worker_process import PATIENCE, Journal, WorkerProcess, states, wait_drained

pytestmark = pytest.mark.usefixtures("live")


@pytest.fixture(scope="module")
def worker(live_database: None) -> Iterator[WorkerProcess]:
    """One child."""
    with WorkerProcess("-c", "1", "-X", "own") as worker:
        yield worker


def ran_for(result: AsyncResult[Any]) -> float:
    """Seconds from its beginning to its end, of which the task itself would take sixty."""
    runtime = TaskResult.objects.get(id=result.id).runtime
    assert runtime is not None
    return runtime


def test_a_soft_limit_interrupts_a_blocking_call(worker: WorkerProcess, journal: Journal) -> None:
    result = tasks.softly_limited.delay(str(journal), catch=False)
    with pytest.raises(SoftTimeLimitExceeded):
        result.get(PATIENCE)
    assert ran_for(result) < 10
    assert journal.lines == ["caught"]


def test_a_soft_limit_can_be_caught(worker: WorkerProcess, journal: Journal) -> None:
    assert tasks.softly_limited.delay(str(journal), catch=True).get(PATIENCE) == "cleaned up"


def test_a_soft_limit_interrupts_a_coroutine(worker: WorkerProcess, journal: Journal) -> None:
    assert tasks.softly_limited_async.delay(str(journal)).get(PATIENCE) == "cleaned up"
    assert journal.lines == ["caught"]


def test_a_soft_limit_of_the_call_comes_first(worker: WorkerProcess) -> None:
    result = tasks.sleep.apply_async((60,), soft_time_limit=0.2)
    with pytest.raises(SoftTimeLimitExceeded):
        result.get(PATIENCE)


def test_a_soft_limit_does_not_reach_into_the_next_task(worker: WorkerProcess) -> None:
    first = tasks.sleep.apply_async((0.1,), soft_time_limit=1.5)
    second = tasks.sleep.delay(2.5)
    assert first.get(PATIENCE) == 0.1
    assert second.get(PATIENCE) == 2.5


def test_a_hard_limit_ends_the_task(worker: WorkerProcess, journal: Journal) -> None:
    result = tasks.limited.delay(str(journal), "x", ["sleep:60"])
    with pytest.raises(TimeLimitExceeded, match="1"):
        result.get(PATIENCE)
    assert ran_for(result) < 10
    assert journal.tally() == {"x": 1}
    assert tasks.add.delay(1, 1).get(PATIENCE) == 2


def test_a_hard_limit_of_the_call_ends_the_task(worker: WorkerProcess) -> None:
    result = tasks.sleep.apply_async((60,), time_limit=0.5)
    with pytest.raises(TimeLimitExceeded):
        result.get(PATIENCE)


def test_a_hard_limit_harms_no_other_message(worker: WorkerProcess, journal: Journal) -> None:
    enqueue_many([(tasks.add, (1, 1)) for _ in range(100)])
    wait_drained()
    before = states()["SUCCESS"]
    calls = [(tasks.early, (str(journal), f"{n}", ["ok"])) for n in range(60)]
    calls[20] = (tasks.limited, (str(journal), "20", ["sleep:60"]))
    calls[40] = (tasks.limited, (str(journal), "40", ["sleep:60"]))
    enqueue_many(calls)
    wait_drained()
    assert journal.tally() == {f"{n}": 1 for n in range(60)}
    assert states() == {"SUCCESS": before + 58, "FAILURE": 2}


def test_a_late_task_that_is_not_acknowledged_on_timeout_runs_again_until_the_cap(
    worker: WorkerProcess, journal: Journal
) -> None:
    result = tasks.limited_late.delay(str(journal), "x", ["sleep:60", "ok"])
    assert result.get(PATIENCE) == "x"
    assert journal.tally() == {"x": 2}
    capped = tasks.limited_late.delay(str(journal), "y", ["sleep:60"])
    with pytest.raises(TimeLimitExceeded):
        capped.get(PATIENCE)
    assert journal.tally()["y"] == 2


@pytest.mark.parametrize(
    ("option", "error"),
    [("--time-limit", TimeLimitExceeded), ("--soft-time-limit", SoftTimeLimitExceeded)],
)
def test_limits_of_the_worker_hold_for_tasks_without_their_own(
    option: str, error: type[Exception]
) -> None:
    result = tasks.sleep.apply_async((60,), queue="own")
    with WorkerProcess("-c", "1", "-Q", "own", option, "0.4"), pytest.raises(error):
        result.get(PATIENCE)


def test_a_soft_limit_beyond_the_hard_one_is_an_error_at_the_call(
    monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    monkeypatch.setattr(tasks.limited, "soft_time_limit", 5)
    with pytest.raises(ValueError, match="soft_time_limit must be less than or equal"):
        tasks.limited.delay(str(journal), "x", ["ok"])
    assert not Message.objects.exists()
