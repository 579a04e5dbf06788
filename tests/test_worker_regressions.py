"""What workers once did wrong, each fault with the behaviour that is expected instead."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from djtasks import AsyncResult, app, enqueue_many
from djtasks.exceptions import EncodeError, TimeLimitExceeded
from djtasks.models import Message, TaskResult, Worker
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


REVIEW = {"IMPORTS": ["tests.testapp.review_tasks"]}
SLEEPS = {"IMPORTS": ["tests.testapp.review_tasks", SOUND_SLEEP]}
RARE = {"IMPORTS": ["tests.testapp.rare_tasks"]}


@pytest.fixture(scope="module")
def worker(live_database: None) -> Iterator[WorkerProcess]:
    """Two children that serve every queue but ``own``, and know no rare task."""
    with WorkerProcess("-c", "2", "-X", "own", settings=REVIEW) as worker:
        yield worker


def notes() -> list[str]:
    return list(Note.objects.order_by("id").values_list("text", flat=True))


# --- the database ----------------------------------------------------------------------------


@contextmanager
def renamed(table: str) -> Iterator[None]:
    """A table that statements do not find within the block."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
        try:
            yield
        finally:
            cursor.execute(f"ALTER TABLE {table}_away RENAME TO {table}")


def test_a_turn_that_fails_after_its_claim_was_committed_leaves_nothing_behind(
    worker: WorkerProcess, journal: Journal
) -> None:
    """Waiters are told after the commit, so the turn has claimed when that fails."""
    # Ten seconds' work for the two children.
    count = 2000
    acts = ["sleep:0.01"]
    results = enqueue_many([(tasks.early, (str(journal), f"{n}", acts)) for n in range(count)])
    eventually(lambda: len(journal.lines) > 50, "some runs")
    with renamed("djtasks_waiter"):
        # Long enough for several turns to fail, which are tried ever more rarely.
        time.sleep(2)
        assert Message.objects.exists(), "all had run before a turn could fail"
    wait_drained()
    assert journal.tally() == {f"{n}": 1 for n in range(count)}
    assert states(result.id for result in results) == {"SUCCESS": count}
    assert "djtasks_waiter" in worker.log, "no turn failed"


def test_an_outcome_whose_row_is_locked_holds_up_no_other(
    worker: WorkerProcess, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    blocked = tasks.progress.delay(str(gate))
    eventually(lambda: blocked.state == "PROGRESS", "the row")
    with psycopg.connect(address()) as other:
        other.execute("SELECT FROM djtasks_taskresult WHERE id = %s FOR UPDATE", [blocked.id])
        locked = time.monotonic()
        gate.touch()
        # Not one of these is stored before the lock goes if the other holds them up.
        worker.wait_log("is locked; its outcome is kept")
        for n in range(5):
            assert tasks.add.delay(n, 1).get(PATIENCE) == n + 1
        # For as long as that the outcome is tried a second time, in vain.
        time.sleep(max(0.0, locked + 4 - time.monotonic()))
        assert tasks.add.delay(1, 1).get(PATIENCE) == 2
        assert not blocked.ready()
    assert blocked.get(PATIENCE) == "done"


def test_results_larger_than_the_sockets_buffer_are_stored(
    journal: Journal, tmp_path: Path
) -> None:
    """Twenty threads return at once, so that their results travel in one turn."""
    gate = tmp_path / "gate"
    size = 300_000
    with WorkerProcess("-P", "threads", "-c", "20", "-Q", "own", settings=REVIEW):
        results: list[AsyncResult[str]] = [
            app.send_task("big", (str(journal), str(gate), size), queue="own") for _ in range(20)
        ]
        journal.wait("begin big", 20)
        gate.touch()
        wait_drained()
        assert [result.get(PATIENCE) for result in results] == ["x" * size] * 20


@contextmanager
def slow_deletes(table: str, seconds: float) -> Iterator[None]:
    """Each statement that deletes from a table takes so much longer within the block."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$"
        )
        cursor.execute(
            f"CREATE TRIGGER dawdle AFTER DELETE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION dawdle()"
        )
        try:
            yield
        finally:
            cursor.execute(f"DROP TRIGGER dawdle ON {table}")
            cursor.execute("DROP FUNCTION dawdle")


@pytest.mark.slow
def test_a_worker_goes_on_claiming_while_it_prunes() -> None:
    """Thirty batches of deletes take eighteen seconds, which is six times the lease."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO djtasks_taskresult (id, task, state, queue, date_done) "
            "SELECT gen_random_uuid(), 'old', 'SUCCESS', 'celery', now() - interval '2 days' "
            "FROM generate_series(1, 30000)"
        )
    expired = TaskResult.objects.filter(task="old")
    settings = {"LEASE": 3.0, "HEARTBEAT_INTERVAL": 0.5}
    with (
        slow_deletes("djtasks_taskresult", 0.6),
        WorkerProcess("-c", "1", "-Q", "own", settings=settings) as worker,
    ):
        eventually(lambda: expired.count() < 30000, "the first batch to be deleted")
        id = Worker.objects.get(pid=worker.pid).id
        began = time.monotonic()
        while time.monotonic() < began + 5:
            assert tasks.add.apply_async((1, 1), queue="own").get(PATIENCE) == 2
            time.sleep(0.05)
        assert expired.exists(), "it was done with pruning too soon for the test to tell"
        assert Worker.objects.get(pid=worker.pid).id == id
        # The end does not wait for what is left to be deleted.
        assert worker.stop() == 0


def test_a_rescuer_that_does_not_know_a_task_leaves_it_to_one_that_does(
    worker: WorkerProcess,
) -> None:
    result: AsyncResult[str] = app.send_task("rare_late", ("x",), queue="own")
    long_ago = timezone.now() - timedelta(minutes=1)
    dead = Worker.objects.create(
        hostname="gone@nowhere",
        pid=0,
        pool="prefork",
        concurrency=1,
        version="0",
        lease=0.5,
        started_at=long_ago,
        heartbeat=long_ago,
    )
    Message.objects.filter(id=result.id).update(worker_id=dead.id, started_at=long_ago)
    worker.wait_log("Worker gone@nowhere is gone")
    eventually(lambda: not Worker.objects.filter(id=dead.id).exists(), "the rescue")
    assert Message.objects.get(id=result.id).worker_id == dead.id
    assert not result.ready()
    with WorkerProcess("-c", "1", "-Q", "own", settings=RARE):
        assert result.get(PATIENCE) == "x"
    assert notes() == ["x"]


# --- pools -----------------------------------------------------------------------------------


def test_a_slot_that_is_free_again_is_used_while_the_other_is_busy(
    journal: Journal, tmp_path: Path
) -> None:
    """Both slots are long at once; then one ends, whichever of the two it is."""
    with WorkerProcess("-P", "threads", "-c", "2", "-Q", "own") as worker:

        def hold(key: str) -> AsyncResult[str]:
            result = tasks.early.apply_async(
                (str(journal), key, [f"gate:{tmp_path / key}"]), queue="own"
            )
            journal.wait(f"begin {key}")
            # Past the time after which a message counts as long, and a look at it.
            time.sleep(0.3)
            return result

        running = [hold("0"), hold("1")]
        for n in range(2, 6):
            oldest = running.pop(0)
            (tmp_path / f"{n - 2}").touch()
            assert oldest.get(PATIENCE) == f"{n - 2}"
            short = tasks.add.apply_async((n, 1), queue="own")
            assert short.get(PATIENCE) == n + 1
            assert not running[0].ready()
            running.append(hold(f"{n}"))
        for n in (4, 5):
            (tmp_path / f"{n}").touch()
        assert [result.get(PATIENCE) for result in running] == ["4", "5"]
        assert worker.stop() == 0


def test_quit_ends_the_solo_pool_at_once(journal: Journal) -> None:
    with WorkerProcess("-P", "solo", "-c", "1", "-Q", "own") as worker:
        result = tasks.late.apply_async((str(journal), "x", ["sleep:60", "ok"]), queue="own")
        journal.wait("begin x")
        began = time.monotonic()
        assert worker.stop(signal.SIGQUIT) == 1
        assert time.monotonic() - began < 30
        assert not worker.left()
    assert Message.objects.get(id=result.id).worker_id is None
    with WorkerProcess("-c", "1", "-Q", "own", "--drain", wait=False) as second:
        assert second.wait() == 0
    assert result.get(PATIENCE) == "x"
    assert journal.tally() == {"x": 2}
    assert journal.count("end x") == 1


def test_a_warm_stop_records_the_end_of_a_task_that_it_killed(journal: Journal) -> None:
    """The last child is killed by its limit when no message is to be begun any more."""
    with WorkerProcess("-c", "1", "-Q", "own") as worker:
        result = tasks.limited.apply_async((str(journal), "x", ["sleep:30"]), queue="own")
        journal.wait("begin x")
        assert worker.stop() == 0
        assert not worker.left()
    assert isinstance(result.result, TimeLimitExceeded)
    assert result.state == "FAILURE"
    assert not Message.objects.exists()


def test_idle_children_run_their_shutdown_receivers(journal: Journal) -> None:
    with WorkerProcess(
        "-c", "2", settings=REVIEW, env={"DJTASKS_TEST_FAREWELL": str(journal)}
    ) as worker:
        journal.wait("hello", 2)
        eventually(
            lambda: Worker.objects.filter(pid=worker.pid, wants_work=True).exists(), "idleness"
        )
        assert worker.stop() == 0
    assert journal.lines == ["hello"] * 2 + ["farewell"] * 2


def test_a_child_whose_worker_stops_before_it_is_ready_ends_like_any_other(
    journal: Journal,
) -> None:
    """Its word that it is ready comes too late for the parent."""
    environment = {"DJTASKS_TEST_FAREWELL": str(journal), "DJTASKS_TEST_LINGER": "0.2"}
    with WorkerProcess("-c", "1", settings=REVIEW, env=environment) as worker:
        journal.wait("hello")
        assert worker.stop() == 0
        assert "Traceback" not in worker.log
    assert journal.lines == ["hello", "farewell"]


def test_a_child_that_was_started_anew_logs(journal: Journal) -> None:
    with WorkerProcess(
        "-c", "1", "-Q", "own", "--start-method", "spawn", settings=REVIEW
    ) as worker:
        result: AsyncResult[None] = app.send_task("say", ("hello",), queue="own")
        result.get(PATIENCE)
        worker.wait_log(rf"say\[{result.id}\].*The task says hello")
        worker.wait_log(rf"Task say\[{result.id}\] succeeded")


# --- tasks -----------------------------------------------------------------------------------


def test_an_atomic_task_that_asks_for_a_retry_and_goes_on_runs_again() -> None:
    with WorkerProcess("-c", "2", settings=SLEEPS) as worker:
        eventually(
            lambda: Worker.objects.filter(pid=worker.pid, wants_work=True).exists(), "idleness"
        )
        result: AsyncResult[str] = app.send_task("atomic_again", ("x",))
        # A worker that nothing wakes would not look again.
        eventually(lambda: len(notes()) == 2, "both runs")
        wait_drained()
    assert notes() == ["x 0", "x 1"]
    assert result.get(PATIENCE) == "second"


def test_a_result_that_cannot_be_encoded_asks_for_no_other_try(
    worker: WorkerProcess, journal: Journal
) -> None:
    result: AsyncResult[object] = app.send_task("unencodable", (str(journal),))
    with pytest.raises(EncodeError, match="result of task unencodable"):
        result.get(PATIENCE)
    wait_drained()
    assert journal.lines == ["begin unencodable"]
