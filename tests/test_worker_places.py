"""The tables on another database alias, and in a schema of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.test import override_settings

from djtasks.models import Message, TaskResult, Worker
from tests.testapp import tasks
from tests.testapp.models import Note
from tests.worker_process import PATIENCE, WorkerProcess, address, eventually, rolled_back

pytestmark = pytest.mark.usefixtures("live")

ROUTERS = ["djtasks.router.DjtasksRouter"]


@pytest.fixture
def elsewhere() -> Iterator[None]:
    """The queue on the alias ``other``."""
    with override_settings(DJTASKS={"DATABASE": "other"}, DATABASE_ROUTERS=ROUTERS):
        yield
        with connections["other"].cursor() as cursor:
            for table in ("message", "payload", "taskresult", "waiter", "worker"):
                cursor.execute(f"DELETE FROM djtasks_{table}")


@pytest.mark.usefixtures("elsewhere")
def test_a_queue_on_another_alias_runs_tasks_that_write_to_the_default_one() -> None:
    with WorkerProcess(
        "-c",
        "1",
        settings={"DATABASE": "other"},
        env={"DJTASKS_TEST_ROUTERS": '["djtasks.router.DjtasksRouter"]'},
    ):
        result = tasks.record.delay("there")
        result.get(PATIENCE)
        assert result.state == "SUCCESS"
        with transaction.atomic():
            late = tasks.record.delay("after the commit")
            assert not late.exists()
        late.get(PATIENCE)
    assert list(Note.objects.order_by("pk").values_list("text", flat=True)) == [
        "there",
        "after the commit",
    ]
    assert TaskResult.objects.using("other").count() == 2
    assert TaskResult.objects.db == "other"
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM djtasks_taskresult")
        assert cursor.fetchone() == (0,)


@pytest.mark.usefixtures("elsewhere")
def test_a_rollback_on_the_default_alias_takes_the_message_along() -> None:
    with rolled_back():
        tasks.record.delay("never")
    assert not Message.objects.using("other").exists()


@contextmanager
def schema(name: str) -> Iterator[str]:
    """An empty schema; gives the database's URL with it in front of the search path."""
    with psycopg.connect(address(), autocommit=True) as direct:
        direct.execute(f"CREATE SCHEMA {name}".encode())
        try:
            yield f"{address()}&options=-csearch_path%3D{name}"
        finally:
            direct.execute(f"DROP SCHEMA {name} CASCADE".encode())


def test_the_tables_can_live_in_a_schema_of_their_own() -> None:
    with schema("tasks_of_ours") as url:
        connections.settings["schema"] = {
            **connections.settings["default"],
            "OPTIONS": {"options": "-c search_path=tasks_of_ours"},
        }
        try:
            call_command("migrate", database="schema", verbosity=0, run_syncdb=True)
            with WorkerProcess("-c", "1", url=url) as worker:
                with override_settings(DJTASKS={"DATABASE": "schema"}):
                    result = tasks.record.delay("in the schema")
                    later = tasks.retry_until.delay("again", 1)
                    result.get(PATIENCE)
                    later.get(PATIENCE)
                assert Worker.objects.using("schema").get().pid == worker.pid
            texts = Note.objects.using("schema").values_list("text", flat=True)
            assert sorted(texts) == ["again", "again", "in the schema"]
            assert not TaskResult.objects.using("default").exists()
        finally:
            from djtasks.queue.wait import close_kept

            close_kept()
            connections["schema"].close()
            del connections["schema"]
            del connections.settings["schema"]


def test_a_worker_wakes_only_for_its_own_schema() -> None:
    """Notifications are the database's: those of another schema's queue do no harm."""
    with WorkerProcess("-c", "1") as worker:
        eventually(lambda: Worker.objects.get(pid=worker.pid).wants_work, "an idle worker")
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify('djtasks_wake', 'celery')")
            cursor.execute("SELECT pg_notify('djtasks_due', 'no such queue')")
        assert tasks.add.delay(1, 1).get(PATIENCE) == 2
        assert "Traceback" not in worker.log
