"""What workers count for the charts: what ended, and how long it ran."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection

from djtasks import enqueue_many
from djtasks.browser.runtimes import class_of, percentile
from djtasks.models import Activity, Depth, Queue, TaskResult
from djtasks.queue.connect import parameters
from djtasks.queue.outcome import Disposal, Outcome
from djtasks.worker.tally import FAILED, RETRIED, SPANS, SUCCEEDED, UNTIMED, Mark, Tally, mark
from tests.testapp import tasks
from tests.worker_process import Journal, WorkerProcess, eventually, wait_drained


@pytest.fixture(scope="module")
def worker(live_database: None) -> Iterator[WorkerProcess]:
    """Two children that serve the queue ``shared``."""
    with WorkerProcess("-c", "2", "-Q", "shared") as worker:
        yield worker


def clean() -> None:
    for model in (Activity, Depth, Queue):
        model.objects.all().delete()


@pytest.fixture(autouse=True)
def nothing_counted(request: pytest.FixtureRequest) -> Iterator[None]:
    if "live" in request.fixturenames:
        request.getfixturevalue("live")
        clean()
    yield
    if "live" in request.fixturenames:
        clean()


@pytest.fixture
def keepers(live: None) -> Iterator[psycopg.Connection[Any]]:
    """A connection such as the keeper's."""
    with psycopg.connect(**parameters("default"), autocommit=True) as opened:
        yield opened


def totals(task: str, span: int = 60, queue: str = "shared") -> dict[str, int]:
    """What was counted of a task in all spans of a length."""
    rows = Activity.objects.filter(span=span, queue=queue, task__endswith=task)
    names = ("succeeded", "failed", "retried")
    return {name: sum(getattr(row, name) for row in rows) for name in names}


def wait_counted(task: str, queue: str = "shared", **expected: int) -> None:
    """Wait until this was counted, once in each length of span."""
    whole = {"succeeded": 0, "failed": 0, "retried": 0, **expected}
    eventually(lambda: totals(task, 60, queue) == whole, f"{task} {whole}")
    for span in SPANS:
        assert totals(task, span, queue) == whole


# --- what counts as what ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "marked"),
    [
        (Outcome(Disposal.END, "SUCCESS", runtime=0.5), (SUCCEEDED, class_of(0.5), 0.5)),
        (Outcome(Disposal.END, "FAILURE", stored=False, runtime=1.0), (FAILED, class_of(1), 1.0)),
        (Outcome(Disposal.END, "FAILURE"), (FAILED, UNTIMED, 0.0)),
        (Outcome(Disposal.RETRY, "RETRY", runtime=0.5), (RETRIED, class_of(0.5), 0.5)),
        (Outcome(Disposal.RETRY, "SUCCESS", runtime=0.5), (RETRIED, class_of(0.5), 0.5)),
        (Outcome(Disposal.ENDED, "SUCCESS", runtime=0.0), (SUCCEEDED, 0, 0.0)),
        (Outcome(Disposal.ENDED, "SUCCESS", runtime=0.0, again={"a": 1}), (RETRIED, 0, 0.0)),
        (Outcome(Disposal.ENDED, "REJECTED"), None),
        (Outcome(Disposal.END, "REVOKED"), None),
        (Outcome(Disposal.END, "IGNORED", stored=False), None),
        (Outcome(Disposal.RELEASE, "REJECTED", lost_deliveries=1), None),
        (Outcome(Disposal.REPLACE, "IGNORED", stored=False), None),
    ],
)
def test_ends_and_retries_are_counted(outcome: Outcome, marked: Mark | None) -> None:
    assert mark(outcome) == marked


# --- writing ---------------------------------------------------------------------------------


def test_counts_are_added_up_in_the_tables(keepers: psycopg.Connection[Any]) -> None:
    random.seed(7)
    tallies = [Tally(), Tally()]
    times = [random.lognormvariate(-4, 1) for _ in range(500)]
    for number, seconds in enumerate(times):
        marked = (number % 3, class_of(seconds), seconds)
        tallies[number % 2].add([("shared", f"task{number % 5}", marked)])
        if number % 100 == 50:
            tallies[number % 2].write(keepers)
    for tally in tallies:
        tally.write(keepers)
    for span in SPANS:
        rows = list(Activity.objects.filter(span=span))
        assert sum(row.succeeded for row in rows) == 167
        assert sum(row.failed for row in rows) == 167
        assert sum(row.retried for row in rows) == 166
        assert max(row.longest for row in rows) == max(times)
        counts: dict[int, int] = {}
        for row in rows:
            for number, count in row.runtimes.items():
                counts[int(number)] = counts.get(int(number), 0) + count
        assert sum(counts.values()) == 500
        assert percentile(counts, 0.5) == pytest.approx(sorted(times)[249], rel=1 / 9)
        assert all(row.at.timestamp() % span == 0 for row in rows)


def test_runs_without_a_run_time_are_counted_all_the_same(
    keepers: psycopg.Connection[Any],
) -> None:
    tally = Tally()
    for _ in range(2):
        tally.add([("shared", "t", (FAILED, UNTIMED, 0.0))])
        tally.write(keepers)
    row = Activity.objects.get(span=60)
    assert (row.failed, row.longest, row.runtimes) == (2, 0.0, {})


def test_what_cannot_be_written_is_kept_and_written_later(
    keepers: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    tally = Tally()
    tally.add([("shared", "t", (SUCCEEDED, 4, 1.0))])
    keepers.execute("ALTER TABLE djtasks_activity RENAME TO away")
    try:
        tally.write(keepers)
        tally.write(keepers)
    finally:
        keepers.execute("ALTER TABLE away RENAME TO djtasks_activity")
    assert caplog.text.count("could not be counted") == 1
    tally.add([("shared", "t", (SUCCEEDED, 4, 2.0))])
    tally.write(keepers)
    row = Activity.objects.get(span=3600)
    assert (row.succeeded, row.longest, row.runtimes) == (2, 2.0, {"4": 2})


def test_a_lost_connection_is_told_of_and_loses_no_count(keepers: psycopg.Connection[Any]) -> None:
    tally = Tally()
    tally.add([("shared", "t", (SUCCEEDED, 4, 1.0))])
    with psycopg.connect(**parameters("default"), autocommit=True) as lost:
        keepers.execute("SELECT pg_terminate_backend(%s)", (lost.info.backend_pid,))
        with pytest.raises(psycopg.Error):
            tally.write(lost)
    tally.write(keepers)
    assert Activity.objects.get(span=60).succeeded == 1


def test_counts_of_long_ago_are_written_where_they_belong(
    keepers: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = Tally()
    now = time.monotonic()
    tally.add([("shared", "old", (SUCCEEDED, 4, 1.0))])
    lost = psycopg.connect(**parameters("default"), autocommit=True)
    lost.close()
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now - 7200)
        with pytest.raises(psycopg.Error):
            tally.write(lost)
    tally.add([("shared", "new", (SUCCEEDED, 4, 1.0))])
    tally.write(keepers)
    old = Activity.objects.get(span=60, task="old")
    new = Activity.objects.get(span=60, task="new")
    assert timedelta(minutes=117) < new.at - old.at < timedelta(minutes=121)


def test_workers_that_count_the_same_tasks_do_not_wait_in_a_circle(live: None) -> None:
    def write(seed: int) -> None:
        shuffled = random.Random(seed)
        with psycopg.connect(**parameters("default"), autocommit=True) as own:
            tally = Tally()
            for _ in range(20):
                names = [f"task{n}" for n in range(30)]
                shuffled.shuffle(names)
                tally.add([("shared", name, (SUCCEEDED, 4, 1.0)) for name in names])
                tally.write(own)
            while sum(len(counts) for counts in tally._kept.values()):
                tally.write(own)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals("") == {"succeeded": 2400, "failed": 0, "retried": 0}


# --- in workers ------------------------------------------------------------------------------


@pytest.mark.usefixtures("live", "worker")
def test_a_worker_counts_what_ended() -> None:
    enqueue_many(tasks.add.s(n, 1).set(queue="shared") for n in range(300))
    for number in range(3):
        tasks.fail.apply_async((str(number),), queue="shared")
    tasks.retry_until.apply_async(("text", 2), queue="shared")
    tasks.unreachable.apply_async(("quietly",), queue="shared", ignore_result=True)
    tasks.sleep.apply_async((0.3,), queue="shared")
    wait_drained()
    wait_counted(".add", succeeded=300)
    wait_counted(".fail", failed=3)
    wait_counted(".retry_until", succeeded=1, retried=2)
    wait_counted(".unreachable", failed=1, retried=1)
    wait_counted(".sleep", succeeded=1)
    slept = Activity.objects.get(span=3600, task__endswith=".sleep")
    stored = TaskResult.objects.get(task=slept.task)
    assert slept.longest == pytest.approx(stored.runtime, abs=1e-6)
    assert slept.runtimes == {str(class_of(slept.longest)): 1}


@pytest.mark.usefixtures("live", "worker")
def test_a_worker_counts_atomic_and_lost_tasks(journal: Journal) -> None:
    for number, (task, acts) in enumerate(
        [("atomic", ["return"]), ("atomic", ["raise"]), ("early", ["kill"])]
    ):
        getattr(tasks, task).apply_async((str(journal), str(number), acts), queue="shared")
    wait_drained()
    wait_counted("atomic", succeeded=1, failed=1)
    wait_counted("early", failed=1)


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_worker_that_stops_writes_its_counts_first(pool: str) -> None:
    with WorkerProcess("-c", "1", "-P", pool, "-Q", "own", "--drain") as worker:
        assert worker.wait() == 0
    enqueue_many(tasks.add.s(n, 1).set(queue="own") for n in range(50))
    with WorkerProcess("-c", "1", "-P", pool, "-Q", "own", "--drain") as worker:
        assert worker.wait() == 0
    assert totals(".add", queue="own")["succeeded"] == 50


@pytest.mark.usefixtures("live")
def test_a_loss_that_no_child_can_record_is_counted(journal: Journal) -> None:
    with WorkerProcess("-c", "1", "-Q", "own") as worker:
        tasks.early.apply_async((str(journal), "key", ["sleep:60"]), queue="own")
        journal.wait("held key")
        assert worker.stop(signal.SIGQUIT) == 1
    assert TaskResult.objects.get().state == "FAILURE"
    assert totals("early", queue="own") == {"succeeded": 0, "failed": 1, "retried": 0}


@pytest.mark.usefixtures("live")
def test_what_was_counted_while_the_tables_were_away_is_written_when_they_are_back() -> None:
    with WorkerProcess("-c", "1", "-Q", "own") as worker:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE djtasks_activity RENAME TO away")
        try:
            tasks.add.apply_async((1, 2), queue="own").get(timeout=60)
            worker.wait_log("could not be counted")
            assert worker.status is None
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE away RENAME TO djtasks_activity")
        wait_counted(".add", "own", succeeded=1)
