"""The tables of the documentation that are made from the code.

``python -m docs.tables`` writes them into the pages, between ``<!-- table: NAME -->`` and
``<!-- end of table -->``; a test fails while a page and the code disagree. Change the code, or the
descriptions below, not the tables.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from djtasks import celery_settings, options, signals
from djtasks.conf import SETTINGS
from djtasks.management.commands.runtaskworker import Command

HERE = Path(__file__).resolve().parent

_MARKED = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL)

CALL_OPTIONS = {
    "task_id": "An id of your own, any text up to 255 characters. `DuplicateTaskId` while a task "
    "with this id is queued or running.",
    "countdown": "Seconds (or a `timedelta`) to wait before the task may run. Wins over `eta`.",
    "eta": "The moment before which the task does not run: a datetime, or its ISO 8601 text.",
    "expires": "Seconds, a `timedelta`, a datetime or its text after which the task is not begun "
    "any more: it ends as REVOKED.",
    "queue": "The queue. Wins over the task's own and over `TASK_ROUTES`.",
    "priority": "A whole number; larger runs first. Wins over the task's own and over routes.",
    "headers": "A dict of plain JSON that the task finds in `self.request.headers`.",
    "time_limit": "Hard limit in seconds for this call.",
    "soft_time_limit": "Soft limit in seconds for this call.",
    "ignore_result": "Whether no result is stored for this call.",
    "track_started": "Whether `AsyncResult.state` says STARTED while this call runs.",
    "enqueue": '`"transaction"` or `"on_commit"`: see [transactions](transactions.md).',
    "unique": '`True` or `"done"`, `"queued"`, or `False` whatever the task says: see '
    "[unique tasks](unique.md).",
    "unique_key": "The key itself, a text: no template here. Makes the call unique.",
    "unique_for": "Seconds, or a `timedelta`, from the call for which it is unique.",
    "unique_on_conflict": '`"existing"`, `"raise"` or `"replace"`.',
    "link": "A signature, or a list of them, to enqueue with the result prepended to its "
    "arguments when the task succeeds.",
    "link_error": "A signature, or a list of them, to call when the task fails.",
    "shadow": "A name to show in log lines in place of the task's own.",
    "argsrepr": "A text that the admin shows instead of the arguments, and "
    "`self.request.argsrepr`. The arguments are stored all the same.",
    "kwargsrepr": "The same for the keyword arguments. If only one of the two is given, the admin "
    "shows nothing else.",
    "add_to_parent": "False: a call made inside a task is not noted in that task's `children`.",
    "retries": "The number of retries to begin with. For code that builds messages itself.",
    "root_id": "The id of the first task of a tree; known by itself inside a task.",
    "parent_id": "The id of the task that makes the call; known by itself inside a task.",
    "group_id": "An id that tasks of a group share; the task finds it in `self.request.group`.",
    "group_index": "The task's position in that group.",
    "stamped_headers": "The names of those options of the call that are stamps: see "
    "`Signature.stamp()`.",
}

TASK_OPTIONS = {
    "name": "The registered name. Default: the module and the function, `shop.tasks.add`.",
    "bind": "The function takes the task as its first parameter, `self`.",
    "base": "The class of the task, a subclass of `djtasks.Task`.",
    "typing": "Calls check their arguments against the function's signature.",
    "autoretry_for": "Exceptions after which the task is retried by itself.",
    "dont_autoretry_for": "Exceptions among those that are not retried.",
    "retry_kwargs": "Arguments of that `retry()`: `max_retries`, `countdown`.",
    "retry_backoff": "True or a factor in seconds: each retry waits twice as long as the last.",
    "retry_backoff_max": "The longest such wait in seconds.",
    "retry_jitter": "The wait is a random number from 0 to the computed one.",
    "max_retries": "How many retries; 3 means four runs in total. None: no end.",
    "default_retry_delay": "Seconds before a retry that names no time.",
    "throws": "Exceptions that are expected: logged as INFO, without a traceback.",
    "ignore_result": "No state and result is stored.",
    "store_errors_even_if_ignored": "Failures are stored although results are ignored.",
    "store_eager_result": "The result of an eager run is stored.",
    "track_started": "`AsyncResult.state` says STARTED while the task runs.",
    "acks_late": "Delivered again when its worker is lost: see [retries](retries.md).",
    "acks_on_failure_or_timeout": "With `acks_late`: the value of the next two where unset.",
    "acks_on_failure": "No effect: a task that raised has ended either way.",
    "acks_on_timeout": "False, with `acks_late`: delivered again after the hard time limit.",
    "reject_on_worker_lost": "With `acks_late`: delivered again when its child process died.",
    "retry_on_worker_lost": "Retried, as by `retry()`, when its child process or worker is lost.",
    "time_limit": "Seconds after which the child that runs it is killed (prefork only).",
    "soft_time_limit": "Seconds after which `SoftTimeLimitExceeded` is raised inside it.",
    "expires": "The default of the call's `expires`.",
    "queue": "Its queue. Wins over `TASK_ROUTES`.",
    "priority": "Its priority; larger runs first. Wins over `TASK_ROUTES`.",
    "resultrepr_maxsize": "How many characters of the result are logged.",
    "trail": "Calls that it makes are noted in its result's `children`.",
    "pydantic": "Arguments and results are pydantic models: see [arguments](arguments.md).",
    "pydantic_strict": "pydantic validates strictly.",
    "pydantic_context": "pydantic's validation context.",
    "pydantic_dump_kwargs": 'Arguments of `model_dump()`; default `mode="json"`.',
    "atomic": "Its writes, its result and its end are one transaction: see "
    "[retries](retries.md#atomic-tasks).",
    "enqueue": "The default of the call's `enqueue`.",
    "max_deliveries": "How often it may be given to a worker that is then lost.",
    "unique": '`True` or `"done"`: one at a time until it has ended; `"queued"`: until it begins. '
    "See [unique tasks](unique.md).",
    "unique_key": 'What is to be unique: a template as `"account:{account_id}"`, or a function of '
    "the task's arguments. Default: all of them.",
    "unique_for": "Seconds, or a `timedelta`, from the call for which it is unique.",
    "unique_on_conflict": '`"existing"`: the call returns the handle of the task that is there; '
    '`"raise"`: `NotUnique`; `"replace"`: what has not begun gives way.',
    "rate_limit": "How often it may start: [limits](limits.md).",
    "rate_limit_scope": "Whether the rate is that of all workers together or of each.",
    "concurrency_limit": "How many of it, or of each key, may run at once.",
    "concurrency_key": "What `concurrency_limit` is counted by: a template of its arguments, or a "
    "function of them.",
    "order_key": "Tasks of one key run one by one, in the order of their calls.",
    "fair_key": "Tasks of a queue whose keys differ [take turns](fair.md): a template of its "
    "arguments, or a function of them.",
}

SIGNALS = {
    "before_task_publish": ("the task's name", "in the caller, before the message is written"),
    "after_task_publish": ("the task's name", "in the caller, after the message was written"),
    "task_prerun": ("the task", "before the body"),
    "task_postrun": ("the task", "after everything else of a run"),
    "task_success": ("the task", "the body has returned"),
    "task_failure": ("the task", "the task ends as FAILURE"),
    "task_retry": ("the task", "the task will run again"),
    "task_revoked": (
        "the task",
        "the task was terminated or expired; in the process that revokes it, if none has begun it",
    ),
    "task_internal_error": ("None", "a message could not be run at all"),
    "task_rejected": ("the task", "the task raised `Reject`"),
    "task_unknown": ("None", "no worker knew the task for `UNKNOWN_TASK_TIMEOUT`"),
    "celeryd_init": ("the worker's name", "in a worker, once logging is set up"),
    "worker_init": ("the worker's name", "right after it"),
    "celeryd_after_setup": ("the worker's name", "in the parent, made and about to connect"),
    "worker_before_create_process": ("None", "in the parent, before a child is started"),
    "worker_process_init": ("None", "in a child, before its first task"),
    "worker_process_shutdown": ("None", "in a child, at its orderly end"),
    "worker_ready": ("the worker", "in the parent, connected and about to claim"),
    "worker_shutting_down": ("None", "in the parent, told to stop"),
    "worker_shutdown": ("the worker", "in the parent, at its end"),
    "beat_init": ("the beat", "in what sends periodic tasks, before it begins"),
    "beat_embedded_init": ("the beat", "right after it, where that belongs to a worker"),
    "heartbeat_sent": ("None", "in the parent, after each heartbeat"),
    "setup_logging": ("None", "in a worker; a receiver replaces djtasks' logging set-up"),
    "after_setup_logger": ("None", "in a worker, after the root logger was set up"),
    "after_setup_task_logger": ("None", "in a worker, after the tasks' logger was set up"),
}
"""Sender and occasion of the signals that are sent."""


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return "".join(f"| {' | '.join(cell for cell in line)} |\n" for line in lines)


def _code(value: object) -> str:
    return f"`{value}`".replace("|", "\\|")


def _default(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return _code(repr(value))


def settings() -> str:
    """Every setting."""
    return _table(
        ["Setting", "Default", "Accepts", "What it decides"],
        (
            [_code(s.name), _default(s.default), s.type.replace("|", "\\|"), s.help]
            for s in SETTINGS.values()
        ),
    )


def call_options() -> str:
    """The options of a call that have an effect."""
    _same_keys(CALL_OPTIONS, options.CALL_OPTIONS - options.IGNORED_CALL_OPTIONS.keys())
    return _table(["Option", "Meaning"], ([_code(n), text] for n, text in CALL_OPTIONS.items()))


def ignored_call_options() -> str:
    """The options of a call that are accepted and ignored."""
    return _reasons(options.IGNORED_CALL_OPTIONS)


def task_options() -> str:
    """The options of a declaration that have an effect."""
    _same_keys(TASK_OPTIONS, options.TASK_OPTIONS)
    return _table(
        ["Option", "Default", "Meaning"],
        (
            [
                _code(name),
                _code(option.setting) if option.setting else _default(option.default),
                TASK_OPTIONS[name],
            ]
            for name, option in options.TASK_OPTIONS.items()
        ),
    )


def ignored_task_options() -> str:
    """The options of a declaration that are accepted and ignored."""
    return _reasons(options.IGNORED_TASK_OPTIONS)


def worker_options() -> str:
    """The options of runtaskworker, without those of every management command."""
    parser = argparse.ArgumentParser()
    Command().add_arguments(parser)
    rows = []
    for action in parser._actions[1:]:
        names = ", ".join(_code(name) for name in action.option_strings)
        value = action.metavar or (
            "|".join(action.choices) if action.choices else (action.dest.upper())
        )
        takes = "" if action.nargs == 0 else _code(value)
        rows.append([names, takes, (action.help or "").replace("%%", "%")])
    return _table(["Option", "Value", "Meaning"], rows)


def sent_signals() -> str:
    """The signals that are sent."""
    known = {name: value for name, value in vars(signals).items() if name in signals.__all__}
    rows = []
    for name, (sender, occasion) in SIGNALS.items():
        arguments = ", ".join(_code(argument) for argument in known[name].arguments)
        rows.append([_code(name), sender, arguments, occasion])
    return _table(["Signal", "Sender", "Arguments", "Sent"], rows)


def celery_advice() -> str:
    """Settings of Celery that have no namesake, and what the system check says of them."""
    names = [(_code(n), advice) for n, advice in celery_settings._ADVICE.items()]
    prefixes = [
        (_code(f"{prefix}…" if prefix.endswith("_") else prefix), advice)
        for prefix, advice in celery_settings._ADVICE_BY_PREFIX.items()
    ]
    by_advice: dict[str, list[str]] = {}
    for name, advice in [*names, *prefixes]:
        by_advice.setdefault(advice, []).append(name)
    return _table(
        ["Celery's setting, without `CELERY_`", "What to do"],
        (
            [", ".join(found), re.sub(r"'([A-Z_]+)'", r"`\1`", advice)]
            for advice, found in by_advice.items()
        ),
    )


def _reasons(reasons: Mapping[str, str]) -> str:
    return _table(
        ["Option", "Why it has no effect"], ([_code(name), why] for name, why in reasons.items())
    )


def _same_keys(described: Mapping[str, Any], known: Iterable[str]) -> None:
    missing, gone = set(known) - set(described), set(described) - set(known)
    if missing or gone:
        raise ValueError(f"docs/tables.py: describe {sorted(missing)}, remove {sorted(gone)}")


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings,
    "call-options": call_options,
    "ignored-call-options": ignored_call_options,
    "task-options": task_options,
    "ignored-task-options": ignored_task_options,
    "worker-options": worker_options,
    "signals": sent_signals,
    "celery-advice": celery_advice,
}


def pages() -> list[Path]:
    """The pages that have such tables."""
    return [page for page in sorted(HERE.glob("*.md")) if "<!-- table: " in page.read_text()]


def renewed(text: str) -> str:
    """The text of a page with its tables made anew."""
    return _MARKED.sub(lambda m: f"{m[1]}\n{TABLES[m[2]]()}\n{m[3]}", text)


if __name__ == "__main__":
    for page in pages():
        page.write_text(renewed(page.read_text()))
