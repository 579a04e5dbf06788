"""Rows of keys that mean nothing any more are swept, and no others."""

from __future__ import annotations

import threading
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

from djtasks import enqueue_many
from djtasks.models import Message, UniqueKey
from djtasks.queue.connect import parameters
from djtasks.worker import housekeeping
from djtasks.worker.housekeeping import SWEEP_UNIQUE, SWEEP_UNIQUE_LOOK, Housekeeping
from tests.testapp.unique_tasks import mail, once, sync

pytestmark = pytest.mark.usefixtures("live")


def sweep(tidier: Housekeeping | None = None) -> None:
    """Look once as the keeper does."""
    with psycopg.connect(**parameters("default"), autocommit=True) as own:
        (tidier or Housekeeping(lambda: False)).tidy(own)


def keys() -> set[str]:
    return {key.partition(":")[2] for key in UniqueKey.objects.values_list("key", flat=True)}


def test_what_holds_is_kept_and_the_rest_goes() -> None:
    once.delay("queued")
    running = sync.delay("running")
    Message.objects.filter(id=running.key).update(worker_id=12345)
    gone = [once.delay("ended"), mail.delay("period"), mail.delay("past")]
    Message.objects.filter(id__in=[result.key for result in gone]).delete()
    past = timezone.now() - timedelta(seconds=1)
    UniqueKey.objects.filter(key__endswith=":past").update(until=past)
    sweep()
    # One that runs may be put back, and is queued then.
    assert keys() == {'{"more":2,"name":"queued"}', "account:running", "period"}


def test_many_are_swept_a_batch_at_a_time_and_later_looks_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(housekeeping, "PRUNE_BATCH", 100)
    enqueue_many((once, (str(n),)) for n in range(950))
    kept = once.delay("kept")
    Message.objects.exclude(id=kept.key).delete()
    tidier = Housekeeping(lambda: False)
    monkeypatch.setattr(housekeeping, "PRUNE_SECONDS", -1.0)
    sweep(tidier)
    assert UniqueKey.objects.count() == 951
    monkeypatch.setattr(housekeeping, "PRUNE_SECONDS", 30.0)
    tidier._schedule.soon("unique")
    sweep(tidier)
    assert UniqueKey.objects.count() == 1


def test_a_key_that_is_being_taken_is_passed_over() -> None:
    once.delay("a")
    Message.objects.all().delete()
    with transaction.atomic():
        again = once.delay("a")
        swept = threading.Thread(target=sweep)
        swept.start()
        swept.join(30)
        assert not swept.is_alive()
    assert UniqueKey.objects.get().task_id == again.key
    assert once.delay("a") == again


def test_what_was_taken_after_the_look_is_not_deleted() -> None:
    """With an id of the caller's own the row is the same: only the message tells."""
    once.apply_async(("a",), task_id="mine")
    Message.objects.all().delete()
    with psycopg.connect(**parameters("default"), autocommit=True) as own:
        row = own.execute(SWEEP_UNIQUE_LOOK, {"after": "", "limit": 10}).fetchone()
        assert row is not None
        again = once.apply_async(("a",), task_id="mine")
        own.execute(SWEEP_UNIQUE, {"keys": row[0]})
    assert once.delay("a") == again


@pytest.mark.parametrize("number", [0, 3000])
def test_a_look_reads_by_keys_alone(number: int) -> None:
    enqueue_many((once, (str(n),)) for n in range(number))
    Message.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE djtasks_unique, djtasks_message")
        cursor.execute("SET enable_seqscan = off; SET enable_hashjoin = off")
        try:
            for statement in (SWEEP_UNIQUE_LOOK, SWEEP_UNIQUE):
                cursor.execute(
                    f"EXPLAIN {statement}", {"after": "", "limit": 100, "keys": ["a", "b"]}
                )
                plan = "\n".join(row[0] for row in cursor.fetchall())
                assert "Seq Scan" not in plan, plan
                assert "djtasks_message_pkey" in plan, plan
        finally:
            cursor.execute("RESET enable_seqscan; RESET enable_hashjoin")
