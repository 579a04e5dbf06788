"""The embedded PostgreSQL: started once, shared, and gone with the process that wanted it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import psutil
import psycopg
import pytest

from testproject.databases import database, sibling
from testproject.embedded import EmbeddedError, Server, ensure_database_url

ROOT = Path(__file__).resolve().parent.parent

# Prints the address that the settings gave it and, if told to, that of a child process of its own.
# Then it waits until somebody ends it or its standard input.
OWNER = """
import os, subprocess, sys
import {settings}
print(os.environ["DATABASE_URL"], flush=True)
if "--child" in sys.argv:
    code = "import {settings}, os; print(os.environ['DATABASE_URL'])"
    subprocess.run([sys.executable, "-c", code])
sys.stdin.read()
"""

SET_BY_THIS_SUITE = ("DATABASE_URL", "DJTASKS_TEST_PG_DATA", "DJTASKS_TEST_PG_FSYNC")


class Owner:
    """A process of its own whose settings start a server."""

    def __init__(self, *arguments: str, settings: str = "tests.settings", **extra: str) -> None:
        environ = {k: v for k, v in os.environ.items() if k not in SET_BY_THIS_SUITE}
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER.format(settings=settings), *arguments],
            cwd=ROOT,
            env=environ | extra,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self.next_line()

    def next_line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def end(self, sig: signal.Signals | None = None) -> int:
        """End it by a signal, or nicely; its exit status."""
        if sig:
            self.process.send_signal(sig)
        self.process.communicate()
        return self.process.returncode


@pytest.fixture
def keep() -> Iterator[Path]:
    """A directory for a kept server; not in tmp_path, which is closed to other accounts."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        path = Path(name)
        path.chmod(0o711)
        yield path


@pytest.fixture
def own(keep: Path) -> Iterator[Callable[..., Owner]]:
    """Start owners that are ended with the test, before the kept directory goes."""
    owners: list[Owner] = []

    def start(*arguments: str, **options: str) -> Owner:
        owners.append(Owner(*arguments, **options))
        return owners[-1]

    yield start
    for owner in owners:
        if owner.process.poll() is None:
            owner.end()


def socket_directory(url: str) -> Path:
    return Path(parse_qs(urlsplit(url).query)["host"][0])


def query(url: str, sql: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(sql.encode()).fetchone()
    return str(row[0]) if row else ""


def remember(url: str, number: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE memory AS SELECT {number} AS answer".encode())


def postmaster(url: str) -> psutil.Process:
    directory = query(url, "SHOW data_directory")
    return psutil.Process(int((Path(directory) / "postmaster.pid").read_text().split()[0]))


def wait_until(condition: Callable[[], bool], *, seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_one_server_is_shared_with_child_processes(own: Callable[..., Owner]) -> None:
    owner = own("--child")
    assert owner.url.startswith("postgresql://")
    assert owner.next_line() == owner.url
    assert query(owner.url, "SELECT current_database()") == "djtasks"


def test_server_listens_on_the_loopback_port_with_a_password(own: Callable[..., Owner]) -> None:
    owner = own()
    place = parse_qs(urlsplit(owner.url).query)["host"][0]
    by_network = owner.url.replace(urlencode({"host": place}), "host=127.0.0.1")
    assert query(by_network, "SELECT host(inet_server_addr())") == "127.0.0.1"
    password = urlsplit(owner.url).password
    assert password
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(by_network.replace(password, "wrong"))


def test_test_server_is_gone_when_its_owner_ends(own: Callable[..., Owner]) -> None:
    owner = own()
    server, place = postmaster(owner.url), socket_directory(owner.url).parent
    assert owner.end() == 0
    # Not "soon after": the owner waits for it.
    assert not server.is_running()
    assert not place.exists()


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_test_server_is_gone_when_its_owner_is_killed(
    own: Callable[..., Owner], sig: signal.Signals
) -> None:
    owner = own()
    server, place = postmaster(owner.url), socket_directory(owner.url).parent
    guard = server.parent()
    assert guard is not None
    assert owner.end(sig) != 0
    assert wait_until(lambda: not guard.is_running())
    assert not server.is_running()
    assert not place.exists()


def test_server_does_not_outlive_its_owner_for_a_forked_child() -> None:
    code = """
import os, time
from testproject.embedded import Server
server = Server(fsync=False)
child = os.fork()
if child == 0:
    os.close(1)
    os.close(2)
    time.sleep(60)
    os._exit(0)
print(child, server.pid)
"""
    printed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    ).stdout
    child, server = map(int, printed.split())
    assert not psutil.pid_exists(server)
    os.kill(child, signal.SIGKILL)


def test_test_server_does_not_wait_for_the_disk_unless_asked(own: Callable[..., Owner]) -> None:
    assert query(own().url, "SHOW fsync") == "off"
    assert query(own(DJTASKS_TEST_PG_FSYNC="on").url, "SHOW fsync") == "on"


def test_development_server_keeps_its_data(own: Callable[..., Owner], keep: Path) -> None:
    kept = {"settings": "testproject.settings", "DJTASKS_TEST_PG_DATA": str(keep)}
    first = own(**kept)
    assert query(first.url, "SHOW fsync") == "on"
    remember(first.url, 42)
    assert first.end() == 0
    assert not (keep / "url").exists()

    second = own(**kept)
    assert second.url != first.url
    assert query(second.url, "SELECT answer FROM memory") == "42"


def test_kept_server_lives_until_its_last_user_ends(own: Callable[..., Owner], keep: Path) -> None:
    kept = {"settings": "testproject.settings", "DJTASKS_TEST_PG_DATA": str(keep)}
    first, second = own(**kept), own(**kept)
    assert second.url == first.url
    server = postmaster(first.url)

    assert first.end() == 0
    assert query(second.url, "SELECT 1") == "1"
    assert server.is_running()

    second.end(signal.SIGKILL)
    assert wait_until(lambda: not server.is_running())


def test_kept_server_of_another_version_is_refused(keep: Path) -> None:
    (keep / "data").mkdir()
    (keep / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 9, but .*make clean"):
        Server(keep=keep)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs under another account")
def test_kept_server_of_root_in_a_private_folder(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    keep = private / "kept"
    keep.mkdir()
    with Server(keep=keep, fsync=False) as server:
        assert server.pid
        assert psutil.Process(server.pid).uids().real != 0
        home = (keep / "home").resolve()
        assert Path(query(server.url, "SHOW data_directory")) == home / "data"
    subprocess.run(["rm", "-r", home], check=True)
    # The link is stale now, as after a reboot that emptied the folder for temporary files.
    with Server(keep=keep, fsync=False) as server:
        fresh = (keep / "home").resolve()
        assert query(server.url, "SELECT 1") == "1"
    subprocess.run(["rm", "-r", fresh], check=True)


@pytest.mark.parametrize("how", ["stop", "quit", "kill"])
def test_server_stops_and_starts_at_the_same_address(how: str) -> None:
    with Server() as server:
        url, pid = server.url, server.pid
        remember(url, 42)
        server.stop(how)  # type: ignore[arg-type]  # mypy takes the parameter for any string
        assert server.pid == 0
        assert not psutil.pid_exists(pid)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)

        server.start()
        assert server.url == url
        assert server.pid not in (0, pid)
        assert query(url, "SELECT answer FROM memory") == "42"


def test_missing_programs_are_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=f"no initdb in {tmp_path}; set DJTASKS_TEST_PG_BIN"):
        Server(programs=str(tmp_path))


def test_database_url_is_used_when_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me@db.example/shop")
    monkeypatch.setattr("testproject.embedded.Server", None)
    url = ensure_database_url(keep=None, fsync=True)
    assert url == "postgresql://me@db.example/shop"


def test_socket_addresses_become_host_and_port() -> None:
    config = database("postgresql://me:secret@/shop?host=/run/Pg&port=5433&connect_timeout=3")
    assert (config["HOST"], config["PORT"], config["NAME"]) == ("/run/Pg", 5433, "shop")
    assert config["OPTIONS"] == {"connect_timeout": 3}


def test_network_addresses_stay_as_they_are() -> None:
    config = database("postgres://me:secret@db.example:5433/shop")
    assert (config["HOST"], config["PORT"], config["NAME"]) == ("db.example", 5433, "shop")


def test_second_database_is_on_the_same_server() -> None:
    url = sibling("postgresql://me@/shop?host=/run/pg", "_other")
    assert url == "postgresql://me@/shop_other?host=/run/pg"
