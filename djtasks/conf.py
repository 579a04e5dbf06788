"""The settings of djtasks: one table, read live.

``settings.DJTASKS`` is a dict; what is not in it has the default below::

    DJTASKS = {"TASK_TIME_LIMIT": 300, "RESULT_EXPIRES": timedelta(days=7)}

In code, ``conf.TASK_TIME_LIMIT`` is the value that holds at this moment, so ``override_settings``
works in tests. Where Celery has a setting of the same meaning it has the same name in upper case,
and ``conf.task_time_limit`` is the same thing. Durations are numbers of seconds or ``timedelta``s
in the dict, and seconds in ``conf``.

A value that cannot be used raises ``ImproperlyConfigured`` when it is read; the system checks find
it at start. ``SETTINGS`` holds the declarations, for the checks and the documentation.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

from djtasks import setting_kinds as kinds
from djtasks.setting import Setting

__all__ = ["SETTINGS", "Conf", "Setting", "close_match", "conf"]

_LARGEST: Final = 2**31 - 1


class Conf:
    """The settings as they are now. Use the instance ``conf``."""

    # The database and the queue

    DATABASE = Setting("default", kinds.text(), "The database alias that holds djtasks' tables.")
    ENQUEUE = Setting(
        "transaction",
        kinds.choice("transaction", "on_commit"),
        "When a message is written: inside the caller's transaction, or right after its commit.",
    )
    MAX_DELIVERIES = Setting(
        5,
        kinds.integer(1, 32767),
        "How often a message may be given to a worker that is then lost; after that it fails.",
    )
    MAX_PAYLOAD = Setting(
        16 * 1024 * 1024,
        kinds.integer(1, 2**30 - 1, " of bytes"),
        "The largest arguments of a call, or result of a task, in bytes of JSON.",
    )
    INLINE_PAYLOAD = Setting(
        2000,
        kinds.integer(0, 8000, " of bytes"),
        "Arguments up to this size in bytes are kept in the message's row, larger ones in a row "
        "of their own that is written once.",
    )
    UNKNOWN_TASK_TIMEOUT = Setting(
        3600.0,
        kinds.seconds(),
        "Seconds that a message waits for a worker that knows its task, before it fails as "
        "NotRegistered.",
    )
    LISTEN = Setting[bool | None](
        None,
        kinds.optional(kinds.boolean()),
        "Whether workers wait for notifications: None finds out, False polls (behind a "
        "transaction pooler).",
    )
    POLL_INTERVAL = Setting(
        1.0,
        kinds.seconds(positive=True),
        "The longest pause in seconds between two looks at the queue where LISTEN is impossible.",
    )
    LEASE = Setting(
        5.0,
        kinds.seconds(positive=True),
        "Seconds without a heartbeat after which a worker whose lock is free is given up.",
    )
    POOLED_LEASE = Setting(
        30.0,
        kinds.seconds(positive=True),
        "Seconds without a heartbeat after which a worker that cannot hold a lock (behind a "
        "transaction pooler) is given up.",
    )
    HEARTBEAT_INTERVAL = Setting(
        2.0, kinds.seconds(positive=True), "Seconds between two heartbeats of a worker."
    )

    # Queues and routes

    TASK_DEFAULT_QUEUE = Setting("celery", kinds.text(), "The queue of tasks that name none.")
    TASK_DEFAULT_PRIORITY = Setting(
        0, kinds.integer(-32767, 32767), "The priority of tasks that name none; larger runs first."
    )
    TASK_ROUTES = Setting[Any](
        None,
        kinds.any_of(
            "None, a dict of task names or patterns, a router, or a list of those",
            (dict, list, tuple, str),
            "__call__",
            "route_for_task",
        ),
        "Which queue and priority a task gets, by its name.",
    )
    TASK_QUEUES = Setting[Any](
        None,
        kinds.any_of(
            "None, or a list of queue names, or a dict by queue name", (dict, list, tuple)
        ),
        "The queues that exist; None when any name will do.",
    )
    TASK_CREATE_MISSING_QUEUES = Setting(
        True,
        kinds.boolean(),
        "Whether a queue that is not in TASK_QUEUES may be used; otherwise it is QueueNotFound.",
    )
    TASK_INHERIT_PARENT_PRIORITY = Setting(
        False, kinds.boolean(), "Whether a task called inside a task gets the priority of that one."
    )

    # How tasks run

    TASK_TIME_LIMIT = Setting[float | None](
        None,
        kinds.optional(kinds.seconds(positive=True)),
        "Seconds after which a running task is killed.",
    )
    TASK_SOFT_TIME_LIMIT = Setting[float | None](
        None,
        kinds.optional(kinds.seconds(positive=True)),
        "Seconds after which SoftTimeLimitExceeded is raised inside a running task.",
    )
    TASK_ACKS_LATE = Setting(
        False,
        kinds.boolean(),
        "Whether a message whose worker is lost while the task runs is delivered again.",
    )
    TASK_ACKS_ON_FAILURE_OR_TIMEOUT = Setting(
        True,
        kinds.boolean(),
        "With TASK_ACKS_LATE: whether a task that failed or ran into its time limit is done with.",
    )
    TASK_ACKS_ON_FAILURE = Setting[bool | None](
        None,
        kinds.optional(kinds.boolean()),
        "The same for failures only; None follows TASK_ACKS_ON_FAILURE_OR_TIMEOUT.",
    )
    TASK_ACKS_ON_TIMEOUT = Setting[bool | None](
        None,
        kinds.optional(kinds.boolean()),
        "The same for time limits only; None follows TASK_ACKS_ON_FAILURE_OR_TIMEOUT.",
    )
    TASK_REJECT_ON_WORKER_LOST = Setting[bool | None](
        None,
        kinds.optional(kinds.boolean()),
        "With TASK_ACKS_LATE: whether a task whose child process died is delivered again.",
    )
    TASK_RETRY_ON_WORKER_LOST = Setting(
        False, kinds.boolean(), "Whether a task whose child process died is retried, as by retry()."
    )
    TASK_DEFAULT_RATE_LIMIT = Setting[str | float | None](
        None,
        kinds.optional(kinds.rate()),
        "How often tasks may start that have no rate_limit; None and 0: as often as they come.",
    )
    TASK_IGNORE_RESULT = Setting(False, kinds.boolean(), "Whether no state and result is stored.")
    TASK_STORE_ERRORS_EVEN_IF_IGNORED = Setting(
        False, kinds.boolean(), "Whether failures are stored although results are ignored."
    )
    TASK_TRACK_STARTED = Setting(
        False, kinds.boolean(), "Whether AsyncResult.state says STARTED while a task runs."
    )
    TASK_STRICT_TYPING = Setting(
        True, kinds.boolean(), "Whether a call checks its arguments against the task's signature."
    )
    TASK_ANNOTATIONS = Setting[Any](
        None,
        kinds.any_of(
            'None, a dict by task name (or "*"), or a list of such', (dict, list, tuple), "annotate"
        ),
        "Attributes set on tasks from outside, by task name.",
    )
    TASK_ALLOW_ERROR_CB_ON_CHORD_HEADER = Setting(
        False,
        kinds.boolean(),
        "Whether an errback of a chord is one of its header's tasks too, not only of its body.",
    )
    TASK_ALWAYS_EAGER = Setting(
        False, kinds.boolean(), "Whether calls run at once in the caller's process. For tests."
    )
    TASK_EAGER_PROPAGATES = Setting(
        False, kinds.boolean(), "Whether an eager task's exception is raised in its caller."
    )
    TASK_STORE_EAGER_RESULT = Setting(
        False, kinds.boolean(), "Whether the results of eager tasks are stored."
    )

    # Results

    RESULT_EXPIRES = Setting[float | None](
        86400.0,
        kinds.expiry(),
        "Seconds after which a result is deleted.",
    )

    # The worker

    WORKER_CONCURRENCY = Setting[int | None](
        None,
        kinds.concurrency(),
        "How many tasks a worker runs at once; None: as many as it may use processors.",
    )
    WORKER_POOL = Setting(
        "prefork",
        kinds.choice("prefork", "threads", "solo"),
        "What a worker runs tasks in: child processes, threads, or itself.",
    )
    WORKER_START_METHOD = Setting(
        "forkserver",
        kinds.choice("forkserver", "spawn"),
        "How child processes are made: forked from one that has loaded Django, or started anew.",
    )
    WORKER_MAX_TASKS_PER_CHILD = Setting[int | None](
        None,
        kinds.optional(kinds.integer(1, _LARGEST)),
        "How many tasks a child process runs before it is replaced.",
    )
    WORKER_MAX_MEMORY_PER_CHILD = Setting[int | None](
        None,
        kinds.optional(kinds.integer(1, _LARGEST, " of KiB")),
        "The resident memory in KiB above which a child process is replaced after its task.",
    )
    WORKER_PREFETCH = Setting[int | None](
        None,
        kinds.optional(kinds.integer(1, 1000)),
        "The most messages that a child process holds; None: about 20 ms of work, by measurement.",
    )
    WORKER_DISABLE_RATE_LIMITS = Setting(
        False, kinds.boolean(), "Whether a worker starts tasks whatever their rate_limit says."
    )
    WORKER_SOFT_SHUTDOWN_TIMEOUT = Setting(
        0.0,
        kinds.seconds(),
        "Seconds that running tasks are given when a worker is told to stop at once.",
    )
    WORKER_HIJACK_ROOT_LOGGER = Setting(
        True,
        kinds.boolean(),
        "Whether a worker replaces the handlers of the root logger by its own.",
    )
    WORKER_LOG_FORMAT = Setting(
        "[%(asctime)s: %(levelname)s/%(processName)s] %(message)s",
        kinds.text(),
        "The format of a worker's log lines.",
    )
    WORKER_TASK_LOG_FORMAT = Setting(
        "[%(asctime)s: %(levelname)s/%(processName)s] %(task_name)s[%(task_id)s]: %(message)s",
        kinds.text(),
        "The format of log lines of loggers made by get_task_logger().",
    )
    WORKER_REDIRECT_STDOUTS = Setting(
        False, kinds.boolean(), "Whether what tasks print becomes log lines."
    )
    WORKER_REDIRECT_STDOUTS_LEVEL = Setting(
        "WARNING",
        kinds.choice("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
        "The level of those lines.",
    )

    # Schedules

    BEAT_SCHEDULE = Setting[Mapping[str, Any]](
        {},
        kinds.mapping("a dict of names and entries with the keys task and schedule"),
        "What is to run when: see [periodic tasks](periodic.md).",
    )
    BEAT_CRON_STARTING_DEADLINE = Setting[float | None](
        None,
        kinds.optional(kinds.seconds()),
        "Seconds after which a run of a crontab that was missed is not made up for; None: it is.",
    )

    # Around

    IMPORTS = Setting[tuple[str, ...]](
        (),
        kinds.names("dotted module names"),
        "Modules with tasks, imported beside the tasks module of every installed app.",
    )
    TIMEZONE = Setting[str | None](
        None,
        kinds.time_zone(),
        "The time zone of schedules and of naive times; None is Django's TIME_ZONE.",
    )
    REGISTERED_CODECS = Setting[tuple[str, ...]](
        (),
        kinds.names("dotted paths of functions"),
        "Functions without parameters, called once at start, that call "
        "djtasks.codec.register_type() for types of yours.",
    )

    # Access like that to Celery's app.conf

    def __getattr__(self, name: str) -> Any:
        # Only names that are no setting get here: Celery's spelling, or a mistake.
        if name in _LOWER:
            return getattr(self, _LOWER[name])
        if name.startswith("__"):
            raise AttributeError(name)
        match = close_match(name)
        suggestion = f" Did you mean {match}?" if match else ""
        raise AttributeError(f"djtasks has no setting {name!r}.{suggestion}")

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(
            f"conf.{name} cannot be set: put it into settings.DJTASKS, or in a test use "
            f"override_settings(DJTASKS={{**settings.DJTASKS, {name.upper()!r}: ...}})."
        )

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise KeyError(name)
        return getattr(self, name)

    def __contains__(self, name: object) -> bool:
        return name in SETTINGS or name in _LOWER

    def __iter__(self) -> Iterator[str]:
        return iter(SETTINGS)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the setting ``name``, or ``default`` where there is no such setting."""
        return getattr(self, name) if name in self else default


#: Every setting by name, in the order of the documentation.
SETTINGS: Final[dict[str, Setting[Any]]] = {
    name: value for name, value in vars(Conf).items() if isinstance(value, Setting)
}
_LOWER: Final = {name.lower(): name for name in SETTINGS}


def close_match(name: str) -> str | None:
    """Return the setting that ``name`` is a likely misspelling of, or None."""
    matches = difflib.get_close_matches(name.upper(), SETTINGS, n=1, cutoff=0.75)
    return matches[0] if matches else None


#: The settings of this process.
conf: Final = Conf()
