"""``python manage.py taskinspect``: what workers say of themselves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from djtasks.conf import conf
from djtasks.control.inspecting import Inspect
from djtasks.management.durations import duration

if TYPE_CHECKING:
    from argparse import ArgumentParser

QUESTIONS = {
    "ping": "whether they answer",
    "active": "what they run",
    "reserved": "what they have taken and not begun",
    "scheduled": "what is to run later, by queue: no worker holds it",
    "revoked": "what was revoked, the last first, by queue",
    "registered": "which tasks they know",
    "active_queues": "which queues they serve",
    "stats": "processes, pool, up-time, how many runs ended",
    "conf": "their settings, without secrets (--all: with defaults)",
    "report": "versions and settings, as a text",
    "query_task": "where the tasks of these ids are",
}

DESCRIPTION = """
Ask workers, and print what they answer:

{questions}

Who does not answer in time is named, and the status is 1 then, and if there is no worker.
"""


class Command(BaseCommand):
    """Ask workers."""

    help = "Ask workers what they run, serve and know; name those that do not answer."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the questions."""
        add = parser.add_argument
        add(
            "question",
            choices=list(QUESTIONS),
            metavar="QUESTION",
            help="; ".join(f"{name}: {text}" for name, text in QUESTIONS.items()),
        )
        add("id", nargs="*", help="ids of tasks, of query_task; options to show, of registered")
        add("-d", "--destination", metavar="A,B", help="only the workers of these names")
        add("--pattern", help="only workers whose names match, as in 'mail*@*'")
        add("-t", "--timeout", type=duration, help="how long to wait for answers (default: 1s)")
        add("--all", action="store_true", help="conf: settings that nobody has set as well")
        add("--format", choices=("text", "json"), default="text", help="how it is printed")
        add("--database", help="the alias of the queue's database (DATABASE)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask and print. Raises :class:`CommandError` if somebody did not answer."""
        alias = options["database"] or conf.DATABASE
        if alias not in connections:
            raise CommandError(f"There is no database {alias!r} in DATABASES.")
        question, ids = options["question"], options["id"]
        if question == "query_task" and not ids:
            raise CommandError("Say which tasks: taskinspect query_task ID…")
        destination = options["destination"]
        asked = Inspect(
            [name.strip() for name in destination.split(",")] if destination else None,
            timeout=options["timeout"],
            pattern=options["pattern"],
            using=alias,
        )
        match question:
            case "query_task" | "registered":
                answer = getattr(asked, question)(*ids)
            case "conf":
                answer = asked.conf(with_defaults=options["all"])
            case _:
                answer = getattr(asked, question)()
        if options["format"] == "json":
            told = {"answers": answer or {}, "missing": list(asked.missing)}
            self.stdout.write(json.dumps(told, indent=2, default=str))
        else:
            self._print(question, answer or {})
        if asked.missing:
            raise CommandError(f"No answer from: {', '.join(asked.missing)}.")
        if not answer and question not in ("scheduled", "revoked", "query_task"):
            raise CommandError("There is no worker that could answer.")

    def _print(self, question: str, answer: dict[str, Any]) -> None:
        for name, told in answer.items():
            self.stdout.write(f"{name}:")
            if isinstance(told, dict) and told and set(told) <= {"ok", "error"}:
                lines = str(next(iter(told.values()))).splitlines()
            elif isinstance(told, dict):
                lines = [f"{key}: {_line(value)}" for key, value in told.items()] or ["(nothing)"]
            else:
                lines = [_line(item) for item in told] or ["(nothing)"]
            for line in lines:
                self.stdout.write(f"  {line}")


def _line(value: Any) -> str:
    """One task, queue or value as a person reads it."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], dict):
        return f"{value[0]}, {_line(value[1])}"
    if isinstance(value, dict):
        if "request" in value:
            return f"{value['eta']} {_line(value['request'])}"
        if "name" in value and "id" in value:
            return f"{value['name']}[{value['id']}] {value['args']} {value['kwargs']}"
        if "routing_key" in value:
            return str(value["name"])
    return value if isinstance(value, str) else json.dumps(value, default=str)
