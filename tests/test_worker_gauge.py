"""What workers note for the charts once a minute: which queues there are, and how long they are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from djtasks import control
from djtasks.models import Activity, Depth, Message, Queue
from djtasks.queue.connect import parameters
from djtasks.queue.sql import load
from djtasks.worker.gauge import Gauge
from djtasks.worker.tally import FAILED, SPANS, SUCCEEDED, Tally
from tests.testapp import tasks
from tests.worker_process import WorkerProcess, eventually


def clean() -> None:
    for model in (Activity, Depth, Queue):
        model.objects.all().delete()


@pytest.fixture(autouse=True)
def nothing_noted(request: pytest.FixtureRequest) -> Iterator[None]:
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


def look(opened: psycopg.Connection[Any], *queues: str) -> None:
    Gauge().look(opened, queues)


def add(queue: str, count: int, **options: Any) -> None:
    for number in range(count):
        tasks.add.apply_async((number, 1), queue=queue, **options)


def test_the_length_of_queues_is_noted_once_in_each_span(keepers: psycopg.Connection[Any]) -> None:
    add("long", 7)
    Message.objects.filter(queue="long").update(enqueued_at=timezone.now() - timedelta(seconds=300))
    add("short", 1)
    add("later", 1, countdown=60)
    claimed = Message.objects.filter(queue="long").order_by("seq")[0]
    Message.objects.filter(id=claimed.id).update(worker_id=-5)
    look(keepers, "empty", "later")
    add("short", 5)
    look(keepers, "empty", "later")
    for span in SPANS:
        rows = Depth.objects.filter(span=span)
        at = datetime.now(UTC).timestamp() // span * span
        # A minute may have begun since.
        first = [row for row in rows if row.at == min(r.at for r in rows)]
        assert at - first[0].at.timestamp() in (0, span)
        lengths = {row.queue: (row.ready, round(row.latency / 20)) for row in first}
        assert lengths == {"long": (6, 15), "short": (1, 0), "empty": (0, 0), "later": (0, 0)}


def test_latency_begins_when_a_message_is_due(keepers: psycopg.Connection[Any]) -> None:
    add("waits", 1)
    now = timezone.now()
    Message.objects.update(
        enqueued_at=now - timedelta(hours=2), eta=now - timedelta(minutes=1), state=0
    )
    look(keepers)
    assert Depth.objects.filter(span=60)[0].latency == pytest.approx(60, abs=10)


def test_long_queues_are_counted_to_a_limit(keepers: psycopg.Connection[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO djtasks_message (id, task, queue) "
            "SELECT gen_random_uuid(), 't', 'long' FROM generate_series(1, 10050)"
        )
    look(keepers)
    assert {row.ready for row in Depth.objects.all()} == {10_000}


def test_queues_are_noted_when_they_are_seen(keepers: psycopg.Connection[Any]) -> None:
    add("ready", 1)
    long_ago = timezone.now() - timedelta(hours=1)
    Queue.objects.create(name="served", seen_at=long_ago)
    Queue.objects.create(name="unseen", seen_at=long_ago)
    control.pause("ready", reason="why")
    Queue.objects.filter(name="ready").update(seen_at=long_ago)
    look(keepers, "served", "new")
    seen = Queue.objects.filter(seen_at__gt=long_ago).order_by("name")
    assert [queue.name for queue in seen] == ["new", "ready", "served"]
    paused = Queue.objects.get(name="ready")
    assert paused.paused_at
    assert paused.reason == "why"


def test_a_look_that_takes_too_long_is_given_up(
    keepers: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with psycopg.connect(**parameters("default")) as other:
        other.execute("LOCK TABLE djtasks_depth IN ACCESS EXCLUSIVE MODE")
        look(keepers, "own")
    assert "could not be noted" in caplog.text
    look(keepers, "own")
    assert Depth.objects.exists()


@pytest.mark.usefixtures("live")
def test_a_worker_notes_queues_and_their_lengths() -> None:
    add("waits", 3)
    with WorkerProcess("-c", "1", "-Q", "own,also own"):
        eventually(lambda: Depth.objects.filter(queue="waits", ready=3).count() >= 3)
        eventually(lambda: {q.name for q in Queue.objects.all()} == {"own", "also own", "waits"})


@pytest.mark.usefixtures("live")
def test_a_worker_for_all_queues_notes_those_that_it_has_served(
    keepers: psycopg.Connection[Any],
) -> None:
    tally = Tally()
    tally.add([("met", "t", (SUCCEEDED, 4, 1.0)), ("too", "t", (FAILED, 4, 1.0))])
    tally.write(keepers)
    assert tally.queues_seen() == {"met", "too"}
    assert tally.queues_seen() == set()


# --- pruning ---------------------------------------------------------------------------------


@pytest.mark.django_db
def test_charts_are_pruned_by_their_span() -> None:
    now = timezone.now()
    hours = {60: (1.9, 2.1), 600: (24.9, 25.1), 3600: (8 * 24 - 1, 8 * 24 + 1)}
    for span, ages in hours.items():
        for age in ages:
            at = now - timedelta(hours=age)
            Activity.objects.create(span=span, at=at, queue="q", task="t")
            Depth.objects.create(span=span, at=at, queue="q", ready=1, latency=1)
    for name, model in (("prune_activity", Activity), ("prune_depth", Depth)):
        gone: list[int] = []
        while not gone or gone[-1]:
            with connection.cursor() as cursor:
                cursor.execute(load(name), {"limit": 2})
                gone.append(cursor.fetchone()[0])
        assert gone == [2, 1, 0]
        kept = {row.span: now - row.at for row in model.objects.all()}
        assert {span: age.total_seconds() / 3600 for span, age in kept.items()} == pytest.approx(
            {span: ages[0] for span, ages in hours.items()}
        )


@pytest.mark.django_db
def test_queues_that_nobody_has_seen_for_long_are_forgotten_unless_paused() -> None:
    long_ago = timezone.now() - timedelta(days=9)
    Queue.objects.create(name="old", seen_at=long_ago)
    Queue.objects.create(name="paused", seen_at=long_ago, paused_at=long_ago)
    Queue.objects.create(name="young")
    with connection.cursor() as cursor:
        cursor.execute(load("prune_queues"))
    assert set(Queue.objects.values_list("name", flat=True)) == {"paused", "young"}


@pytest.mark.usefixtures("live")
def test_a_worker_prunes_the_charts() -> None:
    long_ago = timezone.now() - timedelta(days=9)
    Activity.objects.bulk_create(
        Activity(span=60, at=long_ago, queue="q", task=str(number)) for number in range(2500)
    )
    Depth.objects.create(span=60, at=long_ago, queue="q", ready=1, latency=1)
    Queue.objects.create(name="old", seen_at=long_ago)
    with WorkerProcess("-c", "1", "-Q", "own"):
        eventually(lambda: not Activity.objects.filter(at=long_ago).exists())
        eventually(lambda: not Depth.objects.filter(at=long_ago).exists())
        eventually(lambda: not Queue.objects.filter(name="old").exists())
