"""``python manage.py demo``: a day of the Cheese Shop, with a worker and a web server."""

from __future__ import annotations

import os
import signal
import sys
import time
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from testproject.cheeseshop.demo import sample, screen
from testproject.cheeseshop.demo.ledger import Ledger, progress
from testproject.cheeseshop.demo.programs import Program, answers, free_port
from testproject.cheeseshop.models import Day

USERNAME = PASSWORD = "admin"
CONCURRENCY = 4
GIVE_UP_AFTER = 60.0  # seconds in which no task ends
INTERRUPTED = 130


class Command(BaseCommand):
    """The demo."""

    help = "Run the sample work of the Cheese Shop with a worker, and serve its admin."

    ledger: Ledger | None = None

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--once", action="store_true", help="end when the sample work has, with its verdict"
        )
        parser.add_argument(
            "--port",
            type=int,
            default=8000,
            help="where to serve; another if it is taken, 0 for any",
        )

    def handle(self, *args: Any, once: bool, port: int, **options: Any) -> None:
        """Set up, work, sum up; then serve until Ctrl-C."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        self.line = screen.ProgressLine(self.stdout)
        try:
            with ExitStack() as stack:
                try:
                    self.run(stack, once=once, port=port)
                except KeyboardInterrupt:
                    self.line.end()
                    self.say("Stopping ...")
                    # The programs get the terminal's Ctrl-C themselves; their ends are awaited.
                    signal.signal(signal.SIGINT, signal.SIG_IGN)
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self.ledger is None:
            sys.exit(INTERRUPTED)
        if once:
            self.say(self.ledger.line)
        if not self.ledger.is_as_expected:
            sys.exit(1)

    def run(self, stack: ExitStack, *, once: bool, port: int) -> None:
        """The demo, with what it starts on a stack."""
        self.set_up()
        chosen = free_port(port)
        site = f"http://127.0.0.1:{chosen}/"
        logs = Path(settings.DEMO_DIR)
        web = stack.enter_context(
            Program(
                "web server",
                logs / "web.log",
                *("runserver", "--noreload", f"127.0.0.1:{chosen}"),
            )
        )
        worker = stack.enter_context(
            Program(
                "worker",
                logs / "worker.log",
                *("runtaskworker", f"--concurrency={CONCURRENCY}", "--loglevel=INFO"),
            )
        )
        web.wait_until(lambda: answers(site))
        if port not in (0, chosen):
            self.say(f"Port {port} is taken, so {chosen} serves.")
        self.say(f"  shop   {site}")
        self.say(f"  admin  {site}admin/   {self.how_to_sign_in}")
        self.say(f"  logs   {shown(worker.log)}, {shown(web.log)}")
        self.say("")
        day = Day.objects.create()
        self.say(f"The shop opens for day {day.pk}.")
        sample.begin(day, site)
        self.watch(day, [web, worker])
        self.ledger = Ledger(day)
        screen.summary(self.ledger, self.say, shown(day.folder))
        if not once:
            self.say(self.ledger.line)
            self.say("")
            self.say(f"Serving {site} until Ctrl-C.")
            while True:
                web.check()
                worker.check()
                time.sleep(0.5)

    def set_up(self) -> None:
        """Bring the database up to date, and fill it with what a shop has before it opens."""
        self.say("The Cheese Shop, with its errands run by djtasks")
        Path(settings.DEMO_DIR).mkdir(parents=True, exist_ok=True)
        call_command("migrate", verbosity=0)
        sample.stock_shelves()
        users = get_user_model().objects
        user = users.filter(username=USERNAME).first()
        if user is None:
            user = users.create_superuser(USERNAME, "admin@example.com", PASSWORD)
        password = PASSWORD if user.check_password(PASSWORD) else "the password that you gave it"
        self.how_to_sign_in = f"sign in as {USERNAME}, password {password}"

    def watch(self, day: Day, programs: list[Program]) -> None:
        """Show progress until all of a day's tasks have ended, or nothing ends any more."""
        now = progress(day)
        last_end = time.monotonic()
        while now.ended < now.total and time.monotonic() < last_end + GIVE_UP_AFTER:
            self.line.show(now)
            try:
                for program in programs:
                    program.check()
            except CommandError as error:
                self.line.end()
                self.stderr.write(str(error))
                return
            time.sleep(0.1)
            before, now = now, progress(day)
            if now.ended > before.ended:
                last_end = time.monotonic()
        self.line.show(now, final=True)

    def say(self, text: str) -> None:
        """Print a line now, also where output goes to a file."""
        self.stdout.write(text)
        self.stdout.flush()


def shown(path: Path) -> str:
    """A path as it is shortest to type."""
    return min(os.path.relpath(path), str(path), key=len)
