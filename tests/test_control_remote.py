"""``app.control``, answered by real workers."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from djtasks import app, control
from djtasks.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded
from djtasks.models import Question, TaskSetting
from tests.testapp import tasks
from tests.worker_process import Journal, WorkerProcess, eventually, wait_known

pytestmark = pytest.mark.usefixtures("live")

ONE, TWO = "one@here", "two@here"


@pytest.fixture(scope="module")
def workers(live_database: None) -> Iterator[tuple[WorkerProcess, WorkerProcess]]:
    """Two workers: ``one`` with two children for all queues, ``two`` with threads for one."""
    with (
        WorkerProcess("-c", "2", "-n", ONE) as one,
        WorkerProcess("-P", "threads", "-c", "3", "-n", TWO, "-Q", "slow") as two,
    ):
        yield one, two


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    gate = tmp_path / "gate"
    yield gate
    gate.touch()


def inspect(*args: Any, **kwargs: Any) -> Any:
    return app.control.inspect(*args, **{"timeout": 60, **kwargs})


def hold(journal: Journal, key: str, gate: Path, queue: str = "celery") -> Any:
    result = tasks.early.apply_async((str(journal), key, [f"hold:{gate}"]), queue=queue)
    journal.wait(f"held {key}")
    return result


# --- asking ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("workers")
def test_all_workers_that_run_answer() -> None:
    assert inspect().ping() == {ONE: {"ok": "pong"}, TWO: {"ok": "pong"}}
    assert inspect([ONE]).ping() == {ONE: {"ok": "pong"}}
    assert inspect(ONE).ping() == {"ok": "pong"}
    assert inspect(pattern="t*@here").ping() == {TWO: {"ok": "pong"}}
    assert inspect(pattern="o.*", matcher="pcre").ping() == {ONE: {"ok": "pong"}}
    assert app.control.ping(timeout=60) == [{ONE: {"ok": "pong"}}, {TWO: {"ok": "pong"}}]
    assert not Question.objects.exists()


def test_who_does_not_answer_is_named(
    workers: tuple[WorkerProcess, WorkerProcess], caplog: pytest.LogCaptureFixture
) -> None:
    one, _two = workers
    one.send(signal.SIGSTOP)
    try:
        asked = inspect(timeout=5)
        assert asked.ping() == {TWO: {"ok": "pong"}}
        assert asked.missing == (ONE,)
        assert ONE in caplog.text
        lone = inspect(["three@here", ONE], timeout=0.2)
        assert lone.ping() is None
        assert set(lone.missing) == {"three@here", ONE}
        replies = app.control.ping(timeout=0.2, destination=[ONE])
        assert (list(replies), replies.missing) == ([], (ONE,))
    finally:
        one.send(signal.SIGCONT)
    eventually(lambda: inspect(ONE).ping() == {"ok": "pong"})
    assert not Question.objects.exists(), "a question that nobody answered is withdrawn"


def test_nobody_is_asked_inside_a_transaction() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="inside a transaction"):
        inspect().ping()


@pytest.mark.usefixtures("workers")
def test_what_no_worker_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="no command 'dance'"):
        app.control.broadcast("dance")
    with pytest.raises(ValueError, match="matcher"):
        inspect(pattern="a", matcher="magic").ping()
    with pytest.raises(ValueError, match="regular expression"):
        inspect(pattern="(", matcher="pcre").ping()
    replies = app.control.broadcast("ping", {"shout": True}, [ONE], reply=True, timeout=60)
    assert replies is not None
    assert "shout" in replies[0][ONE]["error"]


# --- what workers are ------------------------------------------------------------------------


def test_workers_say_what_they_are(workers: tuple[WorkerProcess, WorkerProcess]) -> None:
    one, _two = workers
    tasks.add.delay(1, 2).get(timeout=60)
    stats = inspect().stats()
    assert stats[ONE]["pid"] == one.pid
    assert stats[ONE]["pool"]["max-concurrency"] == 2
    assert set(stats[ONE]["pool"]["processes"]) == {child.pid for child in one.children}
    assert stats[TWO]["pool"]["implementation"] == "threads"
    assert stats[ONE]["total"]["tests.testapp.tasks.add"] >= 1
    assert stats[ONE]["uptime"] >= 0
    assert stats[ONE]["rusage"]["maxrss"] > 0
    registered = inspect().registered("max_retries")
    assert any(name.startswith("tests.testapp.tasks.add [max_r") for name in registered[ONE])
    assert "tests.testapp.tasks.add" in inspect().registered()[TWO]
    names = {name: [q["name"] for q in qs] for name, qs in inspect().active_queues().items()}
    assert names[TWO] == ["slow"]
    assert "djtasks:" in inspect().report()[ONE]["ok"]
    assert inspect().conf(with_defaults=True)[ONE]["task_default_queue"] == "celery"
    assert "task_default_queue" not in inspect().conf()[ONE]


@pytest.mark.usefixtures("workers")
def test_what_runs_and_what_waits_is_told(journal: Journal, gate: Path) -> None:
    running = [hold(journal, str(n), gate) for n in range(2)]
    third = tasks.early.delay(str(journal), "third", [f"hold:{gate}"])
    later = tasks.add.apply_async((1, 2), countdown=600, queue="later")
    active = inspect().active()
    assert {info["id"] for info in active[ONE]} == {result.id for result in running}
    info = active[ONE][0]
    assert info["name"] == "early"
    assert info["args"][0] == str(journal)
    assert info["hostname"] == ONE
    assert abs(time.time() - info["time_start"]) < 60
    assert active[TWO] == []
    scheduled = inspect().scheduled()
    assert [entry["request"]["id"] for entry in scheduled["later"]] == [later.id]
    assert scheduled["later"][0]["eta"]
    told = inspect().query_task(running[0].id, [third.id][0], later.id)
    assert told[ONE][running[0].id][0] == "active"
    state = next(tasks_[third.id][0] for tasks_ in told.values() if third.id in tasks_)
    assert state in {"ready", "reserved"}
    assert told["later"][later.id][0] == "scheduled"
    later.revoke()
    assert inspect().revoked() == {"later": [later.id]}


@pytest.mark.usefixtures("workers")
def test_arguments_that_are_hidden_stay_hidden() -> None:
    result = tasks.echo.apply_async(
        ("secret",), countdown=600, argsrepr="('*****',)", kwargsrepr="{}"
    )
    told = inspect().query_task(result.id)
    assert told["celery"][result.id][1]["args"] == "('*****',)"


# --- what they are told ----------------------------------------------------------------------


@pytest.mark.usefixtures("workers")
def test_what_means_nothing_here_is_taken() -> None:
    assert app.control.enable_events() is None
    assert app.control.disable_events(reply=True)
    assert app.control.heartbeat(reply=True, timeout=60)
    with pytest.raises(ValueError, match="loads no modules"):
        app.control.pool_restart(modules=["shop.tasks"], reload=True)


# --- limits ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("workers")
def test_time_limits_are_set_for_workers_now_and_later() -> None:
    sleep = "tests.testapp.tasks.sleep"
    app.control.time_limit(sleep, soft=0.3, hard=40)
    wait_known()
    with pytest.raises(SoftTimeLimitExceeded):
        tasks.sleep.delay(50).get(timeout=60)
    with WorkerProcess("-c", "1", "-Q", "new"):
        with pytest.raises(SoftTimeLimitExceeded):
            tasks.sleep.apply_async((50,), queue="new").get(timeout=60)
        app.control.time_limit(sleep, hard=0.3)
        wait_known()
        with pytest.raises(TimeLimitExceeded):
            tasks.sleep.apply_async((50,), queue="new").get(timeout=60)
        app.control.time_limit(sleep)
        assert not TaskSetting.objects.exists()
        wait_known()
        assert tasks.sleep.apply_async((0.6,), queue="new").get(timeout=60) == 0.6


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"soft": -1}, "soft time limit must be seconds"),
        ({"hard": "soon"}, "time limit must be seconds"),
        ({"soft": 5, "hard": 3}, "must not be beyond"),
    ],
)
def test_limits_that_cannot_be_are_refused(limits: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        app.control.time_limit("tests.testapp.tasks.sleep", **limits)
    assert not TaskSetting.objects.exists()


def test_rate_limits_are_stored() -> None:
    app.control.rate_limit("a", "100/m")
    app.control.rate_limit("b", 0)
    assert dict(TaskSetting.objects.values_list("name", "rate_limit")) == {"a": "100/m", "b": "0"}
    with pytest.raises(ValueError, match="'100/m'"):
        app.control.rate_limit("a", "soon")
    control.limit_task("a", rate_limit=None)
    assert not TaskSetting.objects.filter(name="a").exists()
    with pytest.raises(TypeError, match="no limit speed"):
        control.limit_task("a", speed=3)
