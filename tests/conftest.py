"""Fixtures for all tests, and the check that nothing of ours outlives them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path

import hypothesis
import psutil
import pytest
from django.db import connection, connections
from django.test.utils import setup_databases, teardown_databases
from pytest_django import DjangoDbBlocker

from djtasks.queue.wait import close_kept
from testproject.databases import database
from testproject.embedded import Server
from tests.worker_process import ROOT, Journal, clean_tables

# They need a browser and what drives it, which keeps an event loop in this thread that others would
# find running: make test-browser.
_IN_BROWSER = os.environ.get("DJANGO_SETTINGS_MODULE") == "tests.settings_browser"
collect_ignore = [] if _IN_BROWSER else ["browser"]

SESSION_VARIABLE = "DJTASKS_TEST_SESSION"
GRACE = 30.0  # seconds that processes have to end once the last test is over


def pytest_configure() -> None:
    """Take the signals of a terminal, which a shell has its background jobs ignore.

    The processes that tests start inherit what is ignored, and some are to be interrupted.
    """
    # How long an example takes says how busy the machine is.
    hypothesis.settings.register_profile("unhurried", deadline=None)
    hypothesis.settings.load_profile("unhurried")
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture(scope="session")
def pg_version(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> int:
    """Major version of the PostgreSQL under test."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        return int(cursor.fetchone()[0]) // 10000


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None,
    django_db_modify_db_settings: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[None]:
    """Both test databases, whichever tests were chosen.

    pytest-django makes those that the chosen tests' marks name, but tests with workers that live
    longer than one test have no such mark: it would empty the workers' table after each.
    """
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False, serialized_aliases=set())
    yield
    close_kept()
    with django_db_blocker.unblock():
        teardown_databases(made, verbosity=0)


@pytest.fixture(scope="module")
def live_database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The test database for a whole module, without a transaction: workers see what tests write."""
    with django_db_blocker.unblock():
        yield
        for known in connections.all(initialized_only=True):
            known.close()


@pytest.fixture
def live(live_database: None) -> Iterator[None]:
    """Empty tables without a transaction. A worker that serves a whole module keeps its row."""
    clean_tables()
    yield
    clean_tables()


@pytest.fixture
def empty(db: None) -> None:
    """The test's own transaction, without what tests of other modules have left in the tables.

    Workers that they killed, above all: nobody is there to take their rows away.
    """
    clean_tables(workers=True)


@pytest.fixture
def sound_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a result never looks for it unless woken."""
    monkeypatch.setattr("djtasks.lookout.LONGEST_PAUSE", 3600.0)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A file in which tasks note what they do."""
    return Journal(tmp_path / "journal")


@pytest.fixture(scope="session", autouse=True)
def no_process_left_behind() -> Iterator[None]:
    """Fail if a process that a test started, directly or not, is still there at the end.

    Descendants are known by a variable in their environment, so that those whose parent has died
    are found as well; children that were merely forked have the environment of this process.
    """
    session = uuid.uuid4().hex
    os.environ[SESSION_VARIABLE] = session
    before = set(psutil.Process().children())  # the embedded server's guard
    yield
    left = psutil.wait_procs(processes_of(session, apart_from=before), timeout=GRACE)[1]
    told = "\n".join(f"{process.pid}: {_command(process)}" for process in left)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert not left, f"tests left these processes running (killed now):\n{told}"


def processes_of(
    session: str, *, apart_from: Collection[psutil.Process] = ()
) -> list[psutil.Process]:
    """The processes that descend from this session, the helpers of multiprocessing excepted.

    Children in ``apart_from`` are left out, and what they start: a server's processes come and go.
    """
    found = set()
    for child in set(psutil.Process().children()).difference(apart_from):
        found.add(child)
        with contextlib.suppress(psutil.NoSuchProcess):
            found.update(child.children(recursive=True))
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.environ().get(SESSION_VARIABLE) == session:
                found.add(process)
    return [process for process in found if _counts(process)]


def _counts(process: psutil.Process) -> bool:
    try:
        ended = process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    # multiprocessing keeps its resource tracker until the interpreter ends.
    return not ended and "multiprocessing.resource_tracker" not in _command(process)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return "?"


@pytest.fixture
def server(live_database: None) -> Iterator[Server]:
    """A private server with migrated tables, under the alias ``private``."""
    with Server(fsync=False) as own:
        environment = {
            **os.environ,
            "DATABASE_URL": own.url,
            "OTHER_DATABASE_URL": own.url,
            "DJANGO_SETTINGS_MODULE": "tests.settings_worker",
        }
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "-v", "0", "--run-syncdb"],
            cwd=ROOT,
            env=environment,
            check=True,
        )
        connections.settings["private"] = {
            **connections.settings["default"],
            **database(own.url),
        }
        yield own
        connections["private"].close()
        del connections["private"]
        del connections.settings["private"]
