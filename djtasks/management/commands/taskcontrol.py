"""``python manage.py taskcontrol``: what can be done to tasks, queues and workers."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from django.core.management.base import CommandError

from djtasks import control
from djtasks.control import Operation, Outcome
from djtasks.management.asking import AskingCommand, number
from djtasks.management.durations import duration
from djtasks.management.ordering import ORDERS, add_order, give_order
from djtasks.management.values import json_of

if TYPE_CHECKING:
    from argparse import ArgumentParser


class OnTasks(NamedTuple):
    """An operation on tasks: what is said of it before and after, and how it is done."""

    help: str
    done: str
    operate: Callable[..., Outcome]
    options: Sequence[str] = ()


ON_TASKS: dict[str, OnTasks] = {
    "retry": OnTasks(
        "run ended tasks again", "put back", control.retry, ("keep_id", "also_succeeded")
    ),
    "run-now": OnTasks("make scheduled tasks ready at once", "made ready", control.run_now),
    "revoke": OnTasks(
        "end tasks that no worker has begun, and what waits for them",
        "revoked",
        control.revoke_tasks,
        ("reason", "terminate"),
    ),
    "terminate": OnTasks(
        "kill the processes that run tasks, or ask those to end that have none (threads, solo)",
        "ordered to end",
        control.terminate,
        ("signal",),
    ),
    "move": OnTasks(
        "give queued tasks another queue or priority", "moved", control.move, ("queue", "priority")
    ),
    "delete": OnTasks("delete the results of ended tasks", "deleted", control.delete),
}

ON_WORKERS: dict[str, tuple[str, Callable[..., Outcome]]] = {
    "quiet": ("let workers take nothing more, and finish what they hold", control.quiet),
    "unquiet": ("let workers that were made quiet take tasks again", control.unquiet),
    "stop": ("let workers finish what they run and end, as TERM does", control.stop),
}

DESCRIPTION = """
Which tasks: their ids, or all that match --query, which is asked about first. The query is that of
the admin's search box, as in --query 'state:FAILURE queue:mail'; see docs/control.md.
The status is 0 if all that was named was done, and 1 if something was passed over or refused.
"""


class Command(AskingCommand):
    """Do something to tasks, queues or workers."""

    help = (
        "Retry, revoke, move or delete tasks; pause queues and tasks; limit tasks; quiet, stop and "
        "resize workers."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the operations, each with its own options."""
        operations = parser.add_subparsers(dest="operation", required=True, metavar="OPERATION")
        for name, on_tasks in ON_TASKS.items():
            sub = operations.add_parser(name, help=on_tasks.help, description=DESCRIPTION)
            self._add_tasks(sub)
            self._add_options(sub, on_tasks.options)
            self.add_common(sub)
        self._add_copy(operations.add_parser("copy", help="run a copy of a task"))
        for name, text in (
            ("pause", "let no worker take from queues, or begin tasks, until they are resumed"),
            ("resume", "let workers take from queues, or begin tasks, again"),
        ):
            sub = operations.add_parser(name, help=text)
            sub.add_argument("queue", nargs="*", help="the name of a queue")
            sub.add_argument(
                "--task", action="append", default=[], metavar="NAME", help="or of a task"
            )
            if name == "pause":
                sub.add_argument("--reason", default="", help="why, for others to see")
            self.add_common(sub)
        self._add_limit(operations.add_parser("limit", help="set limits of a task everywhere"))
        for name, (_command, text) in ORDERS.items():
            sub = operations.add_parser(name, help=text)
            add_order(name, sub)
            self.add_common(sub)
        for name, (text, _) in ON_WORKERS.items():
            sub = operations.add_parser(name, help=text)
            sub.add_argument("worker", nargs="*", help="the name of a worker, or its number")
            sub.add_argument("--all", action="store_true", help="all workers that there are")
            self.add_common(sub)

    @staticmethod
    def _add_tasks(parser: ArgumentParser) -> None:
        parser.add_argument("id", nargs="*", help="the id of a task")
        parser.add_argument("-q", "--query", help="all tasks that match, instead of ids")
        if parser.prog.endswith(" revoke"):
            parser.add_argument(
                "--workflow", metavar="ROOT", help="all tasks of the workflow with this first task"
            )
            parser.add_argument(
                "--stamp",
                action="append",
                default=[],
                metavar="NAME=VALUE",
                help="all tasks with this stamp, or one of several",
            )
        parser.add_argument(
            "-n", "--dry-run", action="store_true", help="count them and do nothing"
        )

    @staticmethod
    def _add_options(parser: ArgumentParser, names: Sequence[str]) -> None:
        add = parser.add_argument
        if "keep_id" in names:
            add(
                "--as-new",
                dest="keep_id",
                action="store_false",
                help="as new calls with ids of their own, which are printed",
            )
            add("--also-succeeded", action="store_true", help="those that succeeded as well")
        if "reason" in names:
            add("--reason", default="revoked", help="the message of their TaskRevokedError")
        if "terminate" in names:
            add("--terminate", action="store_true", help="end what runs as well")
        if "signal" in names or "terminate" in names:
            add("--signal", default="SIGTERM", help="SIGTERM, SIGKILL … (default: SIGTERM)")
        if "queue" in names:
            add("--queue", help="the queue to move them to")
            add("--priority", type=int, help="the new priority; larger runs first")

    def _add_limit(self, parser: ArgumentParser) -> None:
        parser.description = (
            "Set limits of a task for all workers, now and later, instead of those in its code. "
            "What is not named stays; 'none' goes back to the code."
        )
        parser.add_argument("task", help="the name of the task")
        for name, metavar, text in (
            ("--time-limit", "TIME", "kill it after so long: 90s, 10m"),
            ("--soft-time-limit", "TIME", "raise SoftTimeLimitExceeded in it after so long"),
            ("--rate-limit", "RATE", "as in 100/m"),
        ):
            parser.add_argument(name, metavar=metavar, help=text)
        self.add_common(parser)

    def _add_copy(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", help="the id of the task")
        # Django takes an option of the name args for positional arguments of its own.
        for name, kind, example in (("args", list, "[1, 2]"), ("kwargs", dict, '{"a": 1}')):
            parser.add_argument(
                f"--{name}",
                dest=f"new_{name}",
                type=partial(json_of, kind),
                metavar="JSON",
                help=f"instead of those of the task, as in '{example}'",
            )
        parser.add_argument("--queue", help="the queue (default: that of the task)")
        parser.add_argument("--priority", type=int, help="the priority (default: the task's)")
        self.add_common(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it. Raises :class:`CommandError` for what was not done."""
        alias = self.database_of(options)
        name = options["operation"]
        try:
            if name in ON_TASKS:
                self._on_tasks(name, options, alias)
            elif name == "copy":
                self._copy(options, alias)
            elif name in ON_WORKERS:
                self._on_workers(name, options, alias)
            elif name in ORDERS:
                give_order(self, name, options, alias)
            elif name == "limit":
                self._limit(options, alias)
            else:
                self._on_queues(name, options, alias)
        except (LookupError, ValueError) as error:
            raise CommandError(str(error)) from error

    # --- tasks ------------------------------------------------------------------------------

    def _on_tasks(self, name: str, options: dict[str, Any], alias: str) -> None:
        if name == "revoke" and (options["workflow"] or options["stamp"]):
            self._revoke_family(options, alias)
            return
        ids, query = options["id"], options["query"]
        if bool(ids) == (query is not None):
            raise CommandError("Say which tasks: either ids, or a --query.")
        kind = ON_TASKS[name]
        given = {key: options[key] for key in kind.options}
        if name == "revoke":
            given["signal"] = options["signal"]
        operate = partial(kind.operate, **given, using=alias)
        if query is None:
            if options["dry_run"]:
                self._count(name, ids, options, alias)
                return
            outcome = operate(ids)
        else:
            from djtasks.browser.find import Filter

            chosen = Filter.parse(query)
            counted = self._count(name, chosen, options, alias)
            if options["dry_run"] or not (counted.done or counted.more):
                return
            self.ask("Go on?", options)
            outcome = _sum(operate(batch) for batch in control.select(chosen, using=alias))
        for id in outcome.ids:
            self.stdout.write(str(id))
        self.stdout.write(f"{number(outcome.done)} {kind.done}.")
        self.tell_passed_over(outcome)
        if query is None and outcome.skipped:
            raise CommandError("Not all of these tasks were taken.")

    def _revoke_family(self, options: dict[str, Any], alias: str) -> None:
        if options["id"] or options["query"] or bool(options["workflow"]) == bool(options["stamp"]):
            raise CommandError("Say which tasks: ids, a --query, a --workflow, or --stamp.")
        if options["dry_run"]:
            raise CommandError("--dry-run counts ids and what matches a --query only.")
        given = {key: options[key] for key in ("terminate", "signal", "reason")}
        if options["workflow"]:
            outcome = control.revoke_workflow(options["workflow"], **given, using=alias)
        else:
            stamps: dict[str, list[Any]] = {}
            for text in options["stamp"]:
                stamp, equals, value = text.partition("=")
                if not (stamp and equals):
                    raise CommandError(f"{text!r} is no stamp: write NAME=VALUE.")
                stamps.setdefault(stamp, []).extend(_readings(value))
            self.ask("All tasks with one of these stamps are revoked. Go on?", options)
            outcome = control.revoke_stamped(stamps, **given, using=alias)
        self.stdout.write(f"{number(outcome.done)} revoked.")
        self.tell_passed_over(outcome)

    def _count(self, name: str, tasks: Any, options: dict[str, Any], alias: str) -> Outcome:
        operation = "retry_as_new" if options.get("keep_id") is False else name.replace("-", "_")
        counted = control.eligible(
            cast("Operation", operation),
            tasks,
            also_succeeded=options.get("also_succeeded", False),
            using=alias,
        )
        found = number(counted.done, more=counted.more)
        self.stdout.write(f"{found} would be {ON_TASKS[name].done}.")
        for reason, count in counted.skipped.items():
            self.stdout.write(f"{number(count)} would be passed over: {reason}.")
        return counted

    def _copy(self, options: dict[str, Any], alias: str) -> None:
        made = control.copy(
            options["id"],
            args=options["new_args"],
            kwargs=options["new_kwargs"],
            queue=options["queue"],
            priority=options["priority"],
            using=alias,
        )
        self.stdout.write(str(made))

    # --- queues and workers -----------------------------------------------------------------

    def _on_queues(self, name: str, options: dict[str, Any], alias: str) -> None:
        if not (options["queue"] or options["task"]):
            raise CommandError("Say which: the names of queues, or --task NAME.")
        for names, pause, resume in (
            (options["queue"], control.pause, control.resume),
            (options["task"], control.pause_task, control.resume_task),
        ):
            for one in dict.fromkeys(names):
                if name == "pause":
                    changed = pause(one, reason=options["reason"], using=alias)
                    said = "paused" if changed else "paused already"
                else:
                    changed = resume(one, using=alias)
                    said = "resumed" if changed else "not paused"
                self.stdout.write(f"{one}: {said}.")

    def _limit(self, options: dict[str, Any], alias: str) -> None:
        limits: dict[str, Any] = {}
        for name in ("time_limit", "soft_time_limit", "rate_limit"):
            text = options[name]
            if text is None:
                continue
            try:
                is_rate = name == "rate_limit"
                limits[name] = None if text == "none" else text if is_rate else duration(text)
            except ArgumentTypeError as error:
                raise CommandError(str(error)) from error
        if not limits:
            raise CommandError("Say which: --time-limit, --soft-time-limit, or --rate-limit.")
        control.limit_task(options["task"], **limits, using=alias)
        self.stdout.write(f"{options['task']}: set.")

    def _on_workers(self, name: str, options: dict[str, Any], alias: str) -> None:
        from djtasks.models import Worker

        if bool(options["worker"]) == options["all"]:
            raise CommandError("Say which workers: either their names, or --all.")
        known = list(Worker.objects.using(alias).values_list("id", "hostname"))
        wanted = set(options["worker"])
        ids = [id for id, host in known if options["all"] or {str(id), host} & wanted]
        unknown = wanted - {name for id, host in known for name in (str(id), host)}
        outcome = ON_WORKERS[name][1](ids, using=alias)
        self.stdout.write(f"{number(outcome.done)} told.")
        self.tell_passed_over(outcome)
        if unknown:
            raise CommandError(f"There is no worker {', '.join(sorted(unknown))}.")


def _sum(outcomes: Iterable[Outcome]) -> Outcome:
    total = Outcome()
    for outcome in outcomes:
        total += outcome
    return total


def _readings(text: str) -> list[Any]:
    """What a stamp may be that somebody typed so: a text, or a number."""
    try:
        value = json.loads(text)
    except ValueError:
        return [text]
    return [text, value] if isinstance(value, (int, float)) else [text]
