"""The demo: the shop's tasks one by one, and ``manage.py demo`` as a user runs it."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
import zipfile
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Self
from urllib.parse import urlencode
from xml.etree import ElementTree

import psutil
import psycopg
import pytest
from asgiref.sync import async_to_sync
from django.core.management.base import OutputWrapper
from django.test import Client
from psycopg import sql
from pytest_django import Settings

from djtasks import states
from djtasks.models import Message
from djtasks.testing import Ran, run_tasks
from testproject.cheeseshop import paperwork, tasks
from testproject.cheeseshop.demo import sample
from testproject.cheeseshop.demo.ledger import Ledger, Progress, progress
from testproject.cheeseshop.demo.screen import ProgressLine
from testproject.cheeseshop.models import DATA, EXPRESS, Cheese, Day, Errand, Order
from testproject.databases import sibling
from testproject.embedded import BASE_DIR

LINE = re.compile(r"demo: (\d+) tasks, (\d+) succeeded, (\d+) failed as intended, (\d+) lost")

WALK_IN = {
    "customer": "Ada Young",
    "email": "ada@example.com",
    "street": "1 Whey Lane",
    "town": "York",
    "postcode": "YO1 7AA",
    "cheese": "Brie",
    "portions": "3",
}


@pytest.fixture
def day(db: None, settings: Settings, tmp_path: Path) -> Day:
    """A day of a shop with full shelves, whose files are thrown away."""
    settings.MEDIA_ROOT = tmp_path
    sample.stock_shelves()
    return Day.objects.create()


def order_of(day: Day, *, town: str = "York", **cheeses: int) -> Order:
    """An order of so many portions of cheeses, whose names are given with underscores."""
    order = Order.objects.create(day=day, customer="Ada Young", email="ada@example.com", town=town)
    for name, portions in cheeses.items():
        cheese = Cheese.objects.get(name=name.replace("_", " "))
        order.lines.create(cheese=cheese, portions=portions)
    return order


def ends(ran: list[Ran], name: str) -> list[str]:
    """The states in which runs of a task ended, in order."""
    return [run.state for run in ran if run.name == name]


class TestTasks:
    def test_a_file_of_orders_ends_as_parcels(self, day: Day) -> None:
        day.remember([tasks.import_orders.delay(day, "market.csv")])
        ran = run_tasks(scheduled=True)

        packed = day.orders.filter(packed_at__isnull=False)
        assert day.orders.count() == 24
        assert packed.count() == 23
        assert not packed.filter(tracking="").exists()
        assert ends(ran, tasks.pack.name).count(states.FAILURE) == 1
        for order in packed:
            invoice = (day.folder / f"invoices/{order.number}.html").read_text()
            assert str(order.total) in invoice
            label = ElementTree.parse(day.folder / f"labels/{order.number}.svg")
            assert order.postcode in "".join(label.getroot().itertext())
            letter = (day.folder / f"outbox/{order.number}.eml").read_text()
            assert order.tracking in letter
        assert day.errands.count() == 1 + 24 + 23 * 4
        assert progress(day) == Progress(total=117, ended=117, running=0, retrying=0)

    def test_an_import_is_all_or_nothing(
        self, day: Day, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tasks, "DATA", tmp_path)
        good = (DATA / "orders/market.csv").read_text()
        (tmp_path / "orders").mkdir()
        (tmp_path / "orders/bad.csv").write_text(good + good.splitlines()[-1] + "0\n" + "M9,,,,,")
        tasks.import_orders.delay(day, "bad.csv")
        assert ends(run_tasks(), tasks.import_orders.name) == [states.FAILURE]
        assert not day.orders.exists()
        assert not day.errands.exists()
        assert not Message.objects.exists()

    def test_an_order_that_cannot_be_filled_leaves_the_shelf_alone(self, day: Day) -> None:
        order = order_of(day, Brie=3, Venezuelan_Beaver_Cheese=1)
        tasks.pack.delay(order)
        ran = run_tasks()
        assert ends(ran, tasks.pack.name) == [states.FAILURE]
        assert len(ran) == 1
        assert Cheese.objects.get(name="Brie").stock == 5000
        order.refresh_from_db()
        assert order.packed_at is None

    def test_a_packed_order_is_taken_from_the_shelf(self, day: Day) -> None:
        tasks.pack.delay(order_of(day, Brie=3, Edam=2))
        run_tasks(queues=["counter"])
        assert Cheese.objects.get(name="Brie").stock == 4997
        assert Cheese.objects.get(name="Edam").stock == 4998

    def test_the_courier_for_an_island_is_called_twice(self, day: Day) -> None:
        tasks.book_courier.delay(order_of(day, town="Lerwick", Brie=1))
        ran = run_tasks(queues=["courier"], scheduled=True)
        assert ends(ran, tasks.book_courier.name) == [states.RETRY, states.SUCCESS]

    def test_invoices_are_archived_when_the_last_is_printed(self, day: Day) -> None:
        order = order_of(day, Brie=1)
        day.remember([tasks.pack.delay(order)])
        day.remember([tasks.archive_invoices.delay(day)])
        assert ends(run_tasks(queues=["office"]), tasks.archive_invoices.name) == [states.RETRY]
        run_tasks(queues=["counter", "print"])
        ran = run_tasks(queues=["office"], scheduled=True)
        assert ends(ran, tasks.archive_invoices.name) == [states.SUCCESS]
        with zipfile.ZipFile(day.folder / "invoices.zip") as archive:
            assert archive.namelist() == [f"{order.number}.html"]

    def test_what_dairies_ask_is_noted(self, day: Day) -> None:
        async def ask() -> int:
            return await tasks.ask_dairies()

        assert async_to_sync(ask)() == 28
        assert Cheese.objects.filter(cost__isnull=False).count() == 28

    def test_the_chart_has_a_bar_for_each_cheese(self, day: Day) -> None:
        order_of(day, Brie=10, Edam=1, Gouda=2)
        tasks.draw_chart.delay(day)
        run_tasks()
        chart = ElementTree.parse(day.folder / "sales.svg").getroot()
        drawn = [text for text in chart.itertext() if text.strip()]
        assert drawn[1:] == ["Brie", "28.50", "Gouda", "4.20", "Edam", "1.95"]

    def test_a_bar_code_reads_as_its_number(self) -> None:
        bars = dict(paperwork.bar_code("0123456789"))
        length = max(left + width for left, width in bars.items())
        black = [any(left <= x < left + w for left, w in bars.items()) for x in range(length)]
        runs = re.findall(r"1+|0+", "".join(str(int(is_bar)) for is_bar in black))
        read = {pattern: character for character, pattern in paperwork.CODE_39.items()}
        words = ["".join("nw"[len(run) > 1] for run in runs[i : i + 9]) for i in range(0, 120, 10)]
        assert "".join(read[word] for word in words) == "*0123456789*"


class TestShop:
    def test_an_order_is_left_to_a_task(self, day: Day, client: Client) -> None:
        answer = client.post("/", {**WALK_IN, "express": "on"})
        assert answer.status_code == 302
        order = day.orders.get()
        message = Message.objects.get()
        assert (message.task, message.priority) == (tasks.pack.name, EXPRESS)
        assert [errand.id for errand in day.errands.all()] == [message.id]
        assert not order.packed_at
        assert b"not packed" in client.get("/").content

        run_tasks(scheduled=True)
        order.refresh_from_db()
        assert order.tracking.encode() in client.get("/").content

    def test_a_bad_order_enqueues_nothing(self, day: Day, client: Client) -> None:
        answer = client.post("/", {**WALK_IN, "portions": "0"})
        assert b"greater than or equal to 1" in answer.content
        assert not day.orders.exists()
        assert not Message.objects.exists()


class TestLedger:
    def test_a_task_without_an_end_is_lost(self, day: Day) -> None:
        day.remember([tasks.draw_chart.delay(day)])
        run_tasks()
        Errand.objects.create(id=uuid.uuid4(), day=day)
        ledger = Ledger(day)
        assert ledger.line == "demo: 2 tasks, 1 succeeded, 0 failed as intended, 1 lost"
        assert not ledger.is_as_expected

    def test_a_failure_that_nobody_intended_is_told(self, day: Day) -> None:
        day.remember([tasks.import_orders.delay(day, "no-such-file.csv")])
        run_tasks()
        ledger = Ledger(day)
        assert (ledger.intended, ledger.lost) == (0, 0)
        assert f"1 of {tasks.import_orders.name} ended as FAILURE (FileNotFoundError)." in (
            ledger.complaints
        )

    def test_a_missing_file_is_told(self, day: Day) -> None:
        order = order_of(day, Brie=1)
        day.remember([tasks.pack.delay(order)])
        run_tasks(scheduled=True)
        (day.folder / f"labels/{order.number}.svg").unlink()
        assert f"labels/{order.number}.svg is missing." in Ledger(day).complaints


class TestProgressLine:
    def shown(self, *, on_a_terminal: bool) -> str:
        stream = io.StringIO()
        stream.isatty = lambda: on_a_terminal  # type: ignore[method-assign]
        line = ProgressLine(OutputWrapper(stream))
        line.show(Progress(total=10, ended=4, running=2, retrying=1))
        line.show(Progress(total=10, ended=5, running=0, retrying=0))
        line.show(Progress(total=10, ended=10, running=0, retrying=0), final=True)
        return stream.getvalue()

    def test_on_a_terminal_it_is_one_line(self) -> None:
        shown = self.shown(on_a_terminal=True)
        assert shown.count("\n") == 1
        assert shown.count("\r") == 3
        assert "5 of 10 tasks have ended" in shown

    def test_elsewhere_it_is_a_line_now_and_then(self) -> None:
        assert self.shown(on_a_terminal=False).splitlines() == [
            "4 of 10 tasks have ended, 2 in hand, 1 wait for another try",
            "10 of 10 tasks have ended",
        ]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a demo that has a database and a folder of its own."""
    url = os.environ["DATABASE_URL"]
    suffix = f"_demo_{uuid.uuid4().hex[:8]}"
    own = sibling(url, suffix)
    with psycopg.connect(url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname + suffix)
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        yield {
            **os.environ,
            "DATABASE_URL": own,
            "DEMO_DIR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "testproject.settings",
        }
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


class Demo:
    """A demo that runs, with what it has printed so far; over when its block is left."""

    def __init__(self, home: dict[str, str], *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "demo", *arguments],
            cwd=BASE_DIR,
            env=home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.communicate()

    def read_until(self, text: str) -> str:
        """Read to the line that contains a text and return it."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if text in line:
                return self.lines[-1]
        raise AssertionError(f"{text!r} was not printed:\n" + "\n".join(self.lines))

    def finish(self) -> int:
        """Read to the end; returns the exit status."""
        assert self.process.stdout
        self.lines += [line.rstrip("\n") for line in self.process.stdout]
        return self.process.wait()

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers in the last line."""
        found = LINE.fullmatch(self.lines[-1])
        assert found, "\n".join(self.lines)
        return tuple(map(int, found.groups()))

    def child(self, command: str) -> psutil.Process:
        """The program that runs a command of ``manage.py``."""
        for child in psutil.Process(self.process.pid).children():
            if command in child.cmdline():
                return child
        raise AssertionError(f"no {command} runs")


def states_of_errands(url: str) -> dict[str | None, int]:
    """How many errands of the newest day ended in which state; None: in none."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT result.state, count(*) FROM cheeseshop_errand errand "
            "LEFT JOIN djtasks_taskresult result ON result.id = errand.id "
            "WHERE errand.day_id = (SELECT max(id) FROM cheeseshop_day) GROUP BY result.state"
        )
        return dict(rows.fetchall())


@pytest.mark.slow
class TestCommand:
    def test_it_works_twice_also_where_its_port_is_taken(self, home: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            for run in range(2):
                with Demo(home, "--once", f"--port={port}") as demo:
                    status = demo.finish()
                assert status == 0, "\n".join(demo.lines)
                total, succeeded, failed, lost = demo.counts
                assert (total, failed, lost) == (624, 8, 0)
                assert succeeded == total - failed
                assert states_of_errands(home["DATABASE_URL"]) == {
                    states.SUCCESS: succeeded,
                    states.FAILURE: failed,
                }
                assert any(line.startswith(f"Port {port} is taken") for line in demo.lines)
                folder = Path(home["DEMO_DIR"], "cheeseshop", f"day-{run + 1}")
                assert len(list(folder.glob("invoices/*.html"))) == 122

    def test_it_serves_until_it_is_interrupted(self, home: dict[str, str]) -> None:
        with Demo(home, "--port=0") as demo:
            site = demo.read_until("  shop ").split()[-1]
            how = demo.read_until("  admin ")
            user, password = re.findall(r"as (\w+), password (\w+)", how)[0]
            demo.read_until("until Ctrl-C")
            assert self.page_after_sign_in(site, user, password).count("cheeseshop.tasks") >= 50
            assert demo.process.poll() is None

            family = psutil.Process(demo.process.pid).children(recursive=True)
            began = time.monotonic()
            os.killpg(demo.process.pid, signal.SIGINT)
            assert demo.finish() == 0
            assert time.monotonic() - began < 60
        assert demo.lines[-1] == "Stopping ..."
        assert not psutil.wait_procs(family, timeout=30)[1]

    def test_it_says_what_is_lost(self, home: dict[str, str]) -> None:
        with Demo(home, "--once", "--port=0") as demo:
            demo.read_until("tasks have ended")
            demo.child("runtaskworker").kill()
            assert demo.finish() == 1
        total, succeeded, failed, lost = demo.counts
        ended = states_of_errands(home["DATABASE_URL"])
        assert lost == total - succeeded - failed > 0
        # Its children may have brought a last one to its end since.
        assert 0 <= succeeded <= ended.get(states.SUCCESS, 0)
        assert any("The worker has ended with status -9" in line for line in demo.lines)

    def page_after_sign_in(self, site: str, user: str, password: str) -> str:
        """The list of tasks, as somebody sees it who follows what the demo prints."""
        cookies = CookieJar()
        browser = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(cookies)
        )
        results = f"{site}admin/djtasks/taskrecord/"
        browser.open(results, timeout=60).close()
        token = next(cookie.value for cookie in cookies if cookie.name == "csrftoken")
        form = {"username": user, "password": password, "csrfmiddlewaretoken": token}
        login = f"{site}admin/login/?{urlencode({'next': results.removeprefix(site[:-1])})}"
        with browser.open(login, urlencode(form).encode(), timeout=60) as answer:
            return str(answer.read().decode())
