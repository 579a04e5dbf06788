"""A worker behind PgBouncer in transaction mode."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections

from djtasks import enqueue_many
from djtasks.models import PeriodicTask, TaskResult, Worker
from djtasks.schedules import schedule
from tests.testapp import tasks
from tests.worker_process import PATIENCE, Journal, WorkerProcess, eventually, states, wait_drained

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

pytestmark = [
    pytest.mark.usefixtures("live"),
    pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed"),
]


class Bouncer:
    """PgBouncer in transaction mode in front of the test database."""

    def __init__(self, home: Path) -> None:
        self.home = home
        settings = connections["default"].settings_dict
        self.name = str(settings["NAME"])
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        users = home / "users"
        users.write_text(f'"{settings["USER"]}" "{settings["PASSWORD"]}"\n')
        server = f"host={settings['HOST'] or '127.0.0.1'} port={settings['PORT'] or 5432}"
        (home / "pgbouncer.ini").write_text(
            "[databases]\n"
            f"{self.name} = {server} dbname={self.name} user={settings['USER']}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\n"
            f"unix_socket_dir =\nauth_type = any\nauth_file = {users}\n"
            "pool_mode = transaction\ndefault_pool_size = 4\n"
            "ignore_startup_parameters = extra_float_digits,options\n"
            f"pidfile = {home / 'pid'}\n"
        )
        self.url = f"postgresql://{settings['USER']}@127.0.0.1:{self.port}/{self.name}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert PROGRAM
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            identity = {"user": nobody.pw_uid, "group": nobody.pw_gid}
            for path in (self.home, *self.home.iterdir()):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        with (self.home / "said").open("ab") as said:
            self._process = subprocess.Popen(
                [PROGRAM, str(self.home / "pgbouncer.ini")],
                stdout=said,
                stderr=said,
                cwd="/",
                **identity,
            )
        eventually(self._answers, "pgbouncer to answer")

    def stop(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=1).close()
        except psycopg.OperationalError as error:
            assert self._process
            assert self._process.poll() is None, (self.home / "said").read_text()
            self.trouble = str(error)
            return False
        return True


@pytest.fixture(scope="module")
def bouncer(live_database: None) -> Iterator[Bouncer]:
    """A running PgBouncer."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="djtasks-bouncer-") as name:
        running = Bouncer(Path(name))
        running.start()
        yield running
        running.stop()


def test_it_says_that_it_polls_and_runs_tasks(bouncer: Bouncer, journal: Journal) -> None:
    with WorkerProcess("-c", "2", url=bouncer.url) as worker:
        assert "polled" in worker.log
        row = Worker.objects.get(pid=worker.pid)
        assert (row.locked, row.wants_work, row.lease) == (False, False, 30.0)
        assert tasks.add.delay(1, 2).get(PATIENCE) == 3
        assert tasks.retry_until.delay("x", 2).get(PATIENCE) == 2
        assert tasks.atomic.delay(str(journal), "x", ["kill", "ok"]).get(PATIENCE) == "x"
        later = tasks.add.apply_async((2, 2), countdown=0.5)
        assert later.get(PATIENCE) == 4
        assert "Traceback" not in worker.log
        assert worker.stop() == 0


def test_thousands_run_once_each(bouncer: Bouncer, journal: Journal) -> None:
    count = 2000
    with (
        WorkerProcess("-c", "1", url=bouncer.url) as one,
        WorkerProcess("-c", "1", url=bouncer.url) as two,
    ):
        enqueue_many([(tasks.write_nothing, (str(journal), f"{n}", "")) for n in range(count)])
        wait_drained()
        assert "prepared statement" not in one.log + two.log
    assert journal.tally() == {f"{n}": 1 for n in range(count)}
    assert states() == {"SUCCESS": count}


def test_it_survives_a_restart_of_the_pooler(bouncer: Bouncer, journal: Journal) -> None:
    with WorkerProcess("-c", "1", url=bouncer.url) as worker:
        gate = journal.path.with_name("gate")
        held = tasks.write_nothing.delay(str(journal), "held", str(gate))
        journal.wait("begin held")
        bouncer.stop()
        worker.wait_log("connection to the database was lost")
        gate.touch()
        bouncer.start()
        assert held.get(PATIENCE) == "held"
        assert tasks.add.delay(1, 2).get(PATIENCE) == 3
        wait_drained()
    assert journal.tally() == {"held": 1}


def test_schedules_are_sent_and_changes_are_seen_without_notifications(bouncer: Bouncer) -> None:
    with WorkerProcess(url=bouncer.url):
        row = PeriodicTask.objects.create(
            name="hourly", task=tasks.add.name, args=[1, 2], schedule=schedule(3600).to_json()
        )
        eventually(lambda: PeriodicTask.objects.get().planned, "the plan")
        PeriodicTask.objects.filter(pk=row.pk).update(schedule=schedule(0.5).to_json())
        eventually(lambda: TaskResult.objects.count() >= 2, "two runs")
