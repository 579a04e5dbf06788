"""The documentation does what it says: the quick start is carried out, the tables are of the code.

The quick start is the section of that name in the README, carried out in an empty directory:

- ``console`` blocks: lines with ``$`` are commands, what follows is their whole output; a line
  ``...`` stands for any lines, and no line for output that does not matter. ``pip`` is not run, for
  tests need no network: its requirement is checked. A worker or a web server goes on in the
  background, the latter on a free port; what is shown of it is how it begins.
- ``python`` blocks begin with the name of a file, which is made, or added to if it exists.
- ``pycon`` blocks are typed into ``manage.py shell``.
- ``text`` blocks are what the worker prints next.

Both sides are compared after masking what differs from machine to machine: ids, times, durations,
versions, the names of the host and the database, and the number of CPUs.
"""

from __future__ import annotations

import configparser
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from django.db import connection
from psycopg import sql

from djtasks import signals
from docs import tables
from tests.worker_process import eventually

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()

MASKS = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}", "<time>"),
    (r"\d+(\.\d+)?(e-\d+)?s\b", "<duration>"),
    (r"\b\d+\.\d+(\.?(\d+|a|b|rc)\d*)*", "<version>"),
    (r"PostgreSQL [^\s)]+", "PostgreSQL <version>"),
    (r"worker@\S+", "worker@<host>"),
    (r"(database  )\S+ on \S+", r"\1<database>"),
    (r"\d+ at once", "<n> at once"),
)

IN_BACKGROUND = re.compile(r"manage\.py (runtaskworker|runserver)")

SESSION = """
import code, sys
console = code.InteractiveConsole()
prompt = ">>> "
for line in {lines!r}:
    print(prompt + line)
    prompt = "... " if console.push(line) else ">>> "
"""


class Block(NamedTuple):
    """One code block: its language and its text."""

    language: str
    text: str


def section(title: str) -> str:
    """A section of the README."""
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(text: str) -> list[Block]:
    """The code blocks of a text."""
    return [
        Block(language, body)
        for language, body in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]


def masked(text: str) -> str:
    """The text without what differs from machine to machine."""
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text)
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def pattern_of(shown: str) -> str:
    """A regular expression for output as it is shown, where a line ``...`` stands for any."""
    lines = [
        "(?:.*\n)*?" if line == "..." else re.escape(line) + "\n"
        for line in masked(shown).splitlines()
    ]
    return "".join(lines)


def assert_shows(shown: str, output: str, *, whole: bool = True) -> None:
    """Fail unless the output is the one that is shown, or begins with it."""
    pattern, actual = pattern_of(shown), masked(output) + "\n"
    found = re.fullmatch(pattern, actual) if whole else re.match(pattern, actual)
    assert found, f"shown:\n{masked(shown)}\n\nactual:\n{actual}"


class QuickStart:
    """Carries out blocks in a directory, with a database of its own."""

    def __init__(self, directory: Path, database: str, stack: ExitStack) -> None:
        self.directory = directory
        self.database = database
        self.stack = stack
        self.port = free_port()
        self.log = directory / "worker.log"
        self.read = 0  # characters of the log that were compared
        self.worker: subprocess.Popen[bytes] | None = None
        self.environment = environment()

    def carry_out(self, block: Block) -> None:
        """Do what a block says, and compare what comes of it with what it shows."""
        {
            "console": self.commands,
            "python": self.file,
            "pycon": self.session,
            "text": self.worker_prints,
        }[block.language](block.text)

    def commands(self, text: str) -> None:
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            if "pip install" in command:
                assert_installable(command)
            elif command.startswith("cd "):
                self.directory /= command.removeprefix("cd ")
            elif IN_BACKGROUND.search(command):
                self.start(command, shown)
            else:
                output = self.run(command)
                if shown.strip():
                    assert_shows(shown, output)

    def run(self, command: str | list[str]) -> str:
        done = subprocess.run(
            command,
            shell=isinstance(command, str),
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, command: str, shown: str) -> None:
        is_worker = "runtaskworker" in command
        if not is_worker:
            command += f" --noreload 127.0.0.1:{self.port}"
        log = self.log if is_worker else self.directory / "web.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                f"exec {command}",
                shell=True,
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.stack.callback(end, process)
        if is_worker:
            self.worker = process
            self.worker_prints(shown)

    def worker_prints(self, shown: str) -> None:
        lines = shown.strip("\n").count("\n") + 1
        eventually(
            lambda: (
                self.log.read_text()[self.read :].strip("\n").count("\n") + 1 >= lines
                or (self.worker is not None and self.worker.poll() is not None)
            ),
            "the worker to print",
        )
        output = self.log.read_text()[self.read :]
        assert_shows(shown, output, whole=False)
        self.read += len(output)

    def file(self, text: str) -> None:
        name = text.partition("\n")[0].removeprefix("# ")
        text = text.replace('"NAME": "mysite"', f'"NAME": "{self.database}"')
        with (self.directory / name).open("a") as file:
            file.write("\n\n" + text)

    def session(self, text: str) -> None:
        lines = [line[4:] for line in text.splitlines() if line.startswith((">>> ", "... "))]
        code = SESSION.format(lines=lines)
        output = self.run([sys.executable, "manage.py", "shell", "--verbosity=0", "-c", code])
        assert_shows(text, output)


def environment() -> dict[str, str]:
    """What a newcomer's shell has, and how libpq finds the server of the tests."""
    settings = connection.settings_dict
    names = {"HOST": "PGHOST", "PORT": "PGPORT", "USER": "PGUSER", "PASSWORD": "PGPASSWORD"}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "DATABASE_"))}
    return {
        **kept,
        **{names[key]: str(settings[key]) for key in names if settings[key]},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
    }


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started in a session of its own, and all of that."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def assert_installable(command: str) -> None:
    found = re.search(r"djtasks\[(\w+)\]", command)
    assert found
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert found[1] in config["options.extras_require"]


@contextmanager
def own_database() -> Iterator[str]:
    """An empty database on the server of the tests."""
    name = f"mysite_{uuid.uuid4().hex[:12]}"
    params = connection.get_connection_params()
    address = {
        key: params[key]
        for key in ("dbname", "user", "password", "host", "port")
        if params.get(key)
    }
    with psycopg.connect(**address, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield name
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def read_signed_in(address: str, username: str, password: str) -> str:
    """Open a page of the admin, sign in on the page that comes instead, return what comes then."""
    cookies = CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
    with eventually(lambda: _opened(browser, address), "the web server") as page:
        login, text = page.geturl(), page.read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', text)
    assert token
    form = {"csrfmiddlewaretoken": token[1], "username": username, "password": password}
    request = urllib.request.Request(
        login, urllib.parse.urlencode(form).encode(), {"Referer": login}
    )
    with browser.open(request, timeout=10) as page:
        return str(page.read().decode())


def _opened(browser: urllib.request.OpenerDirector, address: str) -> Any:
    try:
        return browser.open(address, timeout=10)
    except urllib.error.HTTPError:
        raise
    except OSError:
        return None


@pytest.mark.slow
def test_the_quick_start_does_what_it_shows(live_database: None, tmp_path: Path) -> None:
    text = section("Quick start")
    with own_database() as database, ExitStack() as stack:
        start = QuickStart(tmp_path, database, stack)
        for block in blocks(text):
            start.carry_out(block)
        address = re.search(r"<http://127\.0\.0\.1:8000(\S+)>", text)
        sign_in = re.search(r"as `(\w+)` with the password `(\w+)`", text)
        assert address
        assert sign_in
        page = read_signed_in(f"http://127.0.0.1:{start.port}{address[1]}", *sign_in.groups())
        row = re.search(r"<tr role=\"row\">.*?shop\.tasks\.add.*?</tr>", page, re.DOTALL)
        assert row, page
        assert "SUCCESS" in row[0]
        assert ">2, 3<" in row[0]
        assert start.worker
        start.worker.send_signal(signal.SIGINT)
        assert start.worker.wait(10) == 0


def test_masks_hide_nothing_else() -> None:
    assert masked("Task a.b[x] succeeded: 5") == "Task a.b[x] succeeded: 5"
    with pytest.raises(AssertionError, match="actual"):
        assert_shows(">>> 2 + 2\n4\n", ">>> 2 + 2\n5\n")
    assert_shows("one\n...\nfour\n", "one\ntwo\nthree\nfour\n")


@pytest.mark.parametrize("page", tables.pages(), ids=lambda page: page.name)
def test_tables_are_those_of_the_code(page: Path) -> None:
    text = page.read_text()
    assert text == tables.renewed(text), "run `python -m docs.tables`"


def test_every_table_is_in_a_page() -> None:
    shown = "".join(page.read_text() for page in tables.pages())
    for name in tables.TABLES:
        assert f"<!-- table: {name} -->" in shown


def test_the_table_of_signals_has_those_that_are_sent() -> None:
    source = "".join(path.read_text() for path in (ROOT / "djtasks").rglob("*.py"))
    sent = set(re.findall(r"\b(\w+)\.(?:emit|send)\(", source)) & set(signals.__all__)
    assert set(tables.SIGNALS) == sent


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_python_in_pages_compiles(page: Path) -> None:
    for language, text in blocks(page.read_text()):
        if language == "python":
            compile(textwrap.dedent(text), page.name, "exec")
