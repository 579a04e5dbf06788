"""The tables as the migration makes them."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from djtasks.models import Message, TaskResult
from djtasks.queue.claim import CLAIM
from tests.testapp import tasks


@pytest.mark.django_db
def test_the_migrations_are_complete() -> None:
    call_command("makemigrations", "djtasks", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["djtasks_message"])
def test_the_hot_table_is_vacuumed_early_and_leaves_room_for_updates(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = %s", [table])
        options = dict(option.split("=") for option in cursor.fetchone()[0])
    assert int(options["fillfactor"]) < 60
    assert float(options["autovacuum_vacuum_scale_factor"]) == 0
    assert float(options["autovacuum_vacuum_cost_delay"]) == 0


@pytest.mark.django_db
def test_claiming_touches_no_index() -> None:
    """Claims are heap-only updates: what they change is in no index and no index's condition."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'djtasks_message'")
        definitions = [row[0] for row in cursor.fetchall()]
    assert len(definitions) >= 3
    assert not [text for text in definitions if "worker_id" in text or "started_at" in text]
    order = next(text for text in definitions if "djtasks_message_ready" in text)
    assert "(queue, rank, seq)" in order
    assert "WHERE (state = 0)" in order


@pytest.mark.django_db
def test_the_workers_table_survives_a_crash() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpersistence FROM pg_class WHERE relname = 'djtasks_worker'")
        assert cursor.fetchone() == ("p",)


@pytest.mark.django_db
def test_rows_describe_themselves() -> None:
    named = tasks.add.apply_async((1, 2), task_id="order-42", priority=3)
    row = Message.objects.get(id=named.key)
    assert str(row) == "tests.testapp.tasks.add[order-42]"
    assert row.priority == 3
    result = TaskResult(id=named.key, custom_id="order-42", task="t", state="SUCCESS", rank=-3)
    assert str(result) == "t[order-42] SUCCESS"
    assert result.priority == 3


def test_every_model_says_what_it_is() -> None:
    for model in apps.get_app_config("djtasks").get_models():
        assert model.__doc__
        assert not model.__doc__.startswith(f"{model.__name__}(")
        assert model._meta.verbose_name_raw


@pytest.mark.django_db
def test_a_claim_reads_its_index_and_nothing_else() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_hashjoin = off")
        cursor.execute("SET LOCAL enable_mergejoin = off")
        parameters: dict[str, Any] = {
            "worker": 1,
            "limit": 100,
            "queues": ["a", "b"],
            "ranks": [0, 0],
            "seqs": [0, 0],
            "unknown": [],
            "unknown_timeout": 3600.0,
        }
        cursor.execute(f"EXPLAIN {CLAIM}", parameters)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Index Scan using djtasks_message_ready" in plan
    assert "Seq Scan on djtasks_message" not in plan
    assert "Tid Scan on djtasks_message" in plan
