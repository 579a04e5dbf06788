"""What ``taskcontrol`` tells running workers: how many tasks at once, and which queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import CommandError

from djtasks.control import asking
from djtasks.control.chosen import chosen
from djtasks.management.durations import duration

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from djtasks.management.asking import AskingCommand

ORDERS: Final = {
    "grow": ("pool_grow", "have workers run N tasks more at once"),
    "shrink": ("pool_shrink", "have workers run N tasks fewer at once; what runs is finished"),
    "autoscale": ("autoscale", "have workers run between MIN and MAX tasks at once"),
    "restart-pool": ("pool_restart", "replace the processes that run tasks, as each is done"),
    "serve": ("add_consumer", "have workers serve a queue too"),
    "unserve": ("cancel_consumer", "have workers serve a queue no more"),
}
"""The commands that workers know, by the operations of people."""


def add_order(name: str, parser: ArgumentParser) -> None:
    """Declare what an operation needs."""
    add = parser.add_argument
    if name in ("grow", "shrink"):
        add("n", type=int, metavar="N", help="how many")
    elif name == "autoscale":
        add("bounds", metavar="MAX,MIN", help="the most and the fewest, as in 10,2")
    elif name in ("serve", "unserve"):
        add("queue", metavar="QUEUE", help="the name of the queue")
    add("worker", nargs="*", help="the name of a worker")
    add("--all", action="store_true", help="all workers that there are")
    add("-t", "--timeout", type=duration, help="how long to wait for each to obey (default: 1s)")


def give_order(command: AskingCommand, name: str, options: dict[str, Any], alias: str) -> None:
    """Give it, and say who obeyed. Raises :class:`CommandError` unless all did."""
    if bool(options["worker"]) == options["all"]:
        raise CommandError("Say which workers: either their names, or --all.")
    asked, unknown = chosen(options["worker"] or None, using=alias)
    if not asked and not unknown:
        raise CommandError("There is no worker.")
    answers = asking.ask(
        asked,
        ORDERS[name][0],
        _arguments(name, options),
        timeout=options["timeout"],
        is_order=True,
        using=alias,
    )
    refused = False
    for worker, answer in answers.given:
        refused |= "error" in answer
        command.stdout.write(f"{worker}: {answer.get('ok') or answer.get('error')}")
    if answers.missing:
        raise CommandError(
            f"Told, and not confirmed in time by: {', '.join(answers.missing)}. "
            f"They do it when they can."
        )
    if unknown:
        raise CommandError(f"There is no worker {', '.join(unknown)}.")
    if refused:
        raise CommandError("Not all of them did it.")


def _arguments(name: str, options: dict[str, Any]) -> dict[str, Any]:
    if name in ("grow", "shrink"):
        return {"n": options["n"]}
    if name in ("serve", "unserve"):
        return {"queue": options["queue"]}
    if name == "autoscale":
        most, _comma, fewest = options["bounds"].partition(",")
        try:
            return {"max": int(most), "min": int(fewest or 1)}
        except ValueError:
            raise CommandError(
                f"{options['bounds']!r} must be the most and the fewest, as in 10,2."
            ) from None
    return {}
