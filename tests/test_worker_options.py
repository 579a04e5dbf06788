"""What a worker can be told: queues, pools, how much to run, how its children are started."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from djtasks import app, enqueue_many
from djtasks.exceptions import NotRegistered
from djtasks.models import Message, TaskResult, Worker
from testproject.databases import sibling
from tests.testapp import tasks
from tests.testapp.models import Note
from tests.worker_process import (
    PATIENCE,
    SOUND_SLEEP,
    Journal,
    WorkerProcess,
    address,
    eventually,
    states,
    wait_drained,
)

pytestmark = pytest.mark.usefixtures("live")


def notes() -> list[str]:
    return list(Note.objects.order_by("id").values_list("text", flat=True))


# --- how much to run -------------------------------------------------------------------------


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_drain_runs_what_is_there_and_ends(pool: str) -> None:
    enqueue_many([(tasks.record, (f"{n}",)) for n in range(30)])
    later = tasks.record.apply_async(("later",), countdown=3600)
    with WorkerProcess("--drain", "-P", pool, "-c", "1", wait=False) as worker:
        assert worker.wait() == 0
    assert notes() == [f"{n}" for n in range(30)]
    assert Message.objects.get().id == later.key


def test_drain_runs_what_its_tasks_enqueue() -> None:
    tasks.enqueue_others.delay(["a", "b", "c"])
    with WorkerProcess("--drain", "-c", "2", wait=False) as worker:
        assert worker.wait() == 0
    assert sorted(notes()) == ["a", "b", "c"]


def test_drain_of_an_empty_queue_ends_at_once() -> None:
    with WorkerProcess("--drain", wait=False) as worker:
        assert worker.wait() == 0


def test_larger_priorities_run_first_and_equal_ones_in_their_order() -> None:
    for number, priority in enumerate((0, 5, -5, 5, 0)):
        tasks.record.apply_async((f"{priority} {number}",), priority=priority)
    with WorkerProcess("-c", "1", "--drain", wait=False) as worker:
        assert worker.wait() == 0
    assert notes() == ["5 1", "5 3", "0 0", "0 4", "-5 2"]


def test_max_tasks_ends_the_worker_after_so_many() -> None:
    enqueue_many([(tasks.record, (f"{n}",)) for n in range(30)])
    with WorkerProcess("--max-tasks", "7", "-c", "2", wait=False) as worker:
        assert worker.wait() == 0
    assert len(notes()) == 7
    assert Message.objects.filter(worker_id=None).count() == 23


def test_a_child_is_replaced_after_so_many_tasks() -> None:
    results = enqueue_many([(tasks.process_id, ()) for _ in range(30)])
    with WorkerProcess("--drain", "-c", "1", "--max-tasks-per-child", "10", wait=False) as worker:
        assert worker.wait() == 0
    assert states() == {"SUCCESS": 30}
    pids = [result.get(PATIENCE) for result in results]
    assert len(set(pids)) == 3
    assert {pids.count(pid) for pid in pids} == {10}


def test_a_child_that_holds_too_much_memory_is_replaced() -> None:
    with WorkerProcess("-c", "1", "--max-memory-per-child", "200000") as worker:
        first = tasks.process_id.delay().get(PATIENCE)
        assert tasks.process_id.delay().get(PATIENCE) == first
        assert tasks.swallow.delay(250).get(PATIENCE) == first
        assert tasks.process_id.delay().get(PATIENCE) != first
        eventually(lambda: not psutil.pid_exists(first), "the end of the old child")
        assert len(worker.children) == 1


# --- queues ----------------------------------------------------------------------------------


def test_a_worker_serves_the_queues_it_is_told_to() -> None:
    for queue in ("a", "b", "c"):
        tasks.record.apply_async((queue,), queue=queue)
    with WorkerProcess("-Q", "a,c", "--drain", wait=False) as worker:
        assert worker.wait() == 0
    assert sorted(notes()) == ["a", "c"]
    assert Message.objects.get().queue == "b"


def test_a_worker_leaves_the_queues_out_that_it_is_told_to() -> None:
    for queue in ("a", "b", "c"):
        tasks.record.apply_async((queue,), queue=queue)
    with WorkerProcess("-X", "a,c", "--drain", wait=False) as worker:
        assert worker.wait() == 0
    assert notes() == ["b"]


def test_a_worker_of_all_queues_finds_new_ones() -> None:
    with WorkerProcess("-c", "1", settings={"IMPORTS": [SOUND_SLEEP]}) as worker:
        eventually(lambda: Worker.objects.get(pid=worker.pid).wants_work, "an idle worker")
        for number in range(5):
            tasks.record.apply_async((f"{number}",), queue=f"new {number}").get(PATIENCE)


def test_a_full_queue_does_not_starve_another() -> None:
    # A minute's work.
    enqueue_many([tasks.sleep.s(0.02).set(queue="full") for _ in range(3000)])
    with WorkerProcess("-c", "1", "-Q", "full,other"):
        eventually(lambda: states()["SUCCESS"] > 20, "work")
        result = tasks.add.apply_async((1, 1), queue="other")
        result.get(PATIENCE)
        assert Message.objects.filter(queue="full").count() > 200
        Message.objects.filter(worker_id=None).delete()
        wait_drained()


# --- many workers ----------------------------------------------------------------------------


def test_two_workers_share_messages_and_each_runs_once(journal: Journal) -> None:
    count = 5000
    with (
        WorkerProcess("-c", "1", "-n", "one@here") as one,
        WorkerProcess("-c", "1", "-n", "two@here") as two,
    ):
        results = enqueue_many(
            [(tasks.write_nothing, (str(journal), f"{n}", "")) for n in range(count)]
        )
        wait_drained()
        for worker in (one, two):
            assert "Traceback" not in worker.log
    assert journal.tally() == {f"{n}": 1 for n in range(count)}
    assert states() == {"SUCCESS": count}
    by = TaskResult.objects.filter(id__in=[r.id for r in results]).values_list("worker", flat=True)
    assert set(by) == {"one@here", "two@here"}


def test_due_messages_run_once_whoever_promotes_them(journal: Journal) -> None:
    with WorkerProcess("-c", "1", "-n", "one@here"), WorkerProcess("-c", "1", "-n", "two@here"):
        for n in range(100):
            tasks.write_nothing.apply_async((str(journal), f"{n}", ""), countdown=0.5)
        wait_drained()
    assert journal.tally() == {f"{n}": 1 for n in range(100)}


def test_a_retry_into_another_workers_queue_is_run_at_once() -> None:
    sleeper = {"IMPORTS": [SOUND_SLEEP]}
    with (
        WorkerProcess("-c", "1", "-Q", "celery"),
        WorkerProcess("-c", "1", "-Q", "retried", settings=sleeper) as two,
    ):
        eventually(lambda: Worker.objects.get(pid=two.pid).wants_work, "an idle worker")
        assert tasks.retry_with_other_arguments.delay("x").get(PATIENCE) == "x again"


# --- unknown tasks ---------------------------------------------------------------------------


def test_a_task_that_nobody_knows_for_too_long_fails() -> None:
    result = app.send_task("nobody.knows")
    with (
        WorkerProcess("-c", "1", settings={"UNKNOWN_TASK_TIMEOUT": 1.0}),
        pytest.raises(NotRegistered, match=r"nobody\.knows"),
    ):
        result.get(PATIENCE)
    assert result.state == "FAILURE"


def test_an_unknown_task_in_front_does_not_hold_up_others() -> None:
    app.send_task("nobody.knows", queue="celery", priority=9)
    with WorkerProcess("-c", "1"):
        assert tasks.add.delay(1, 1).get(PATIENCE) == 2
    assert Message.objects.get().task == "nobody.knows"


# --- pools -----------------------------------------------------------------------------------


def test_threads_run_tasks_at_once(journal: Journal) -> None:
    with WorkerProcess("-P", "threads", "-c", "4"):
        results = [tasks.meet_in_threads.delay(str(journal), n, 4) for n in range(4)]
        assert [result.get(PATIENCE) for result in results] == [0, 1, 2, 3]
        assert sorted(tasks.record_async.delay(t).get(PATIENCE) for t in "ab") == ["a", "b"]
    assert sorted(notes()) == ["a", "b"]


def test_threads_run_coroutines_at_once(journal: Journal) -> None:
    with WorkerProcess("-P", "threads", "-c", "8"):
        results = [tasks.meet.delay(str(journal), n, 8) for n in range(8)]
        assert [result.get(PATIENCE) for result in results] == list(range(8))


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_every_pool_runs_fails_and_retries(pool: str) -> None:
    with WorkerProcess("-P", pool, "-c", "1"):
        assert tasks.add.delay(1, 2).get(PATIENCE) == 3
        assert tasks.retry_until.delay("x", 2).get(PATIENCE) == 2
        with pytest.raises(ValueError, match="no"):
            tasks.fail.delay("no").get(PATIENCE)
        wait_drained()
    assert states() == {"SUCCESS": 2, "FAILURE": 1}


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_atomic_tasks_end_with_their_writes_in_every_pool(pool: str, journal: Journal) -> None:
    with WorkerProcess("-P", pool, "-c", "1"):
        assert tasks.atomic.delay(str(journal), "x", ["ok"]).get(PATIENCE) == "x"
        with pytest.raises(ValueError, match="y"):
            tasks.atomic.delay(str(journal), "y", ["raise"]).get(PATIENCE)
        wait_drained()
    assert notes() == ["x"]


def test_solo_keeps_soft_limits() -> None:
    with WorkerProcess("-P", "solo", "-c", "1") as worker:
        with pytest.raises(Exception, match="SoftTimeLimit"):
            tasks.sleep.apply_async((60,), soft_time_limit=0.3).get(PATIENCE)
        assert tasks.process_id.delay().get(PATIENCE) == worker.pid


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-P", "threads", "--time-limit", "5"], "--time-limit"),
        (["-P", "threads", "--soft-time-limit", "5"], "--soft-time-limit"),
        (["-P", "threads", "--max-tasks-per-child", "5"], "--max-tasks-per-child"),
        (["-P", "threads", "--max-memory-per-child", "5"], "--max-memory-per-child"),
        (["-P", "solo", "--time-limit", "5"], "--time-limit"),
        (["-P", "solo", "-c", "2"], "--concurrency"),
        (["-c", "many"], "--concurrency"),
        (["-c", "-1"], "--concurrency"),
        (["--soft-time-limit", "5", "--time-limit", "2"], "--soft-time-limit"),
    ],
    ids=str,
)
def test_what_a_pool_cannot_do_is_an_error_at_start(arguments: list[str], told: str) -> None:
    with WorkerProcess(*arguments, wait=False) as worker:
        assert worker.wait() == 1
        assert "CommandError" in worker.log
        assert told in worker.log
        assert "Traceback" not in worker.log


# --- starting --------------------------------------------------------------------------------


def test_children_can_be_started_anew(journal: Journal) -> None:
    with WorkerProcess("-c", "2", "--start-method", "spawn") as worker:
        assert tasks.record.delay("x").get(PATIENCE) is None
        result = tasks.late_reject.delay(str(journal), "x", ["kill", "ok"])
        assert result.get(PATIENCE) == "x"
        worker.tree()
        assert worker.stop() == 0
        assert not worker.left()
    assert journal.tally() == {"x": 2}


def test_the_worker_says_what_it_is() -> None:
    with WorkerProcess("-c", "2", "-Q", "a,b", "-n", "shop@%h") as worker:
        log = worker.log
        row = Worker.objects.get(pid=worker.pid)
    for word in ("djtasks", "shop@", "PostgreSQL", "a, b", "prefork", "tests.testapp.tasks.add"):
        assert word in log
    assert row.hostname.startswith("shop@")
    assert (row.queues, row.concurrency, row.pool) == (["a", "b"], 2, "prefork")


def test_a_database_without_tables_is_a_clear_error() -> None:
    url = sibling(address(), "_bare")
    name = url.partition("@/")[2].partition("?")[0]
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
    try:
        with WorkerProcess(url=url, wait=False) as worker:
            assert worker.wait() == 1
            assert "CommandError" in worker.log
            assert "migrate" in worker.log
            assert "Traceback" not in worker.log
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}"')


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/nothing", "sqlite:///:memory:"])
def test_a_database_that_cannot_be_used_is_a_clear_error(url: str) -> None:
    with WorkerProcess(url=url, wait=False) as worker:
        assert worker.wait() == 1
        assert "Traceback" not in worker.log
        assert "Error" in worker.log


def test_an_unknown_alias_is_a_clear_error() -> None:
    with WorkerProcess("--database", "nowhere", wait=False) as worker:
        assert worker.wait() == 1
        assert "nowhere" in worker.log
        assert "Traceback" not in worker.log


def test_reload_starts_the_worker_again_when_code_changes(tmp_path: Path) -> None:
    module = tmp_path / "reloaded.py"
    text = (
        "from djtasks import shared_task\n@shared_task(name='reloaded')\ndef f():\n    return {}\n"
    )
    module.write_text(text.format(1))
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    with WorkerProcess(
        "-c", "1", "--reload", settings={"IMPORTS": ["reloaded"]}, env={"PYTHONPATH": path}
    ) as worker:
        assert app.send_task("reloaded").get(PATIENCE) == 1
        module.write_text(text.format(2))
        os.utime(module, (time.time() + 5, time.time() + 5))
        eventually(lambda: app.send_task("reloaded").get(PATIENCE) == 2, "the new code")
        worker.tree()
        worker.stop()
        assert not worker.left()


# --- the worker's own row --------------------------------------------------------------------


def test_the_heartbeat_is_renewed_while_a_task_keeps_its_child_busy(
    journal: Journal, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with WorkerProcess("-c", "1", settings={"HEARTBEAT_INTERVAL": 0.5}) as worker:
        result = tasks.early.delay(str(journal), "x", [f"gate:{gate}"])
        journal.wait("begin x")
        first = Worker.objects.get(pid=worker.pid).heartbeat
        eventually(
            lambda: Worker.objects.get(pid=worker.pid).heartbeat - first > dt.timedelta(seconds=1),
            "two heartbeats",
        )
        gate.touch()
        result.get(PATIENCE)


def test_results_are_deleted_when_they_expire() -> None:
    old = tasks.add.delay(1, 1)
    large = tasks.echo.delay("x" * 5000)
    with WorkerProcess("--drain", wait=False) as worker:
        assert worker.wait() == 0
    young = tasks.add.delay(2, 2)
    TaskResult.objects.filter(id__in=[old.id, large.id]).update(
        date_done=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    )
    from djtasks.models import Payload

    assert Payload.objects.count() == 1
    with WorkerProcess("-c", "1", settings={"RESULT_EXPIRES": 3600}):
        eventually(lambda: not TaskResult.objects.filter(id=old.id).exists(), "the pruning")
        assert young.get(PATIENCE) == 4
        eventually(lambda: not Payload.objects.exists(), "the large arguments to go")


def test_the_command_explains_itself() -> None:
    told = subprocess.run(
        [sys.executable, "manage.py", "runtaskworker", "--help"],
        cwd=Path(__file__).resolve().parent.parent,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings_worker"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for option in ("--queues", "--concurrency", "--pool", "--drain", "--soft-shutdown-timeout"):
        assert option in told
