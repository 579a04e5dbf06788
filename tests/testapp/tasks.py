"""Tasks that the tests run."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from django.db import connection, connections, transaction
from django.db.models import F

from djtasks import Task, current_task, shared_task
from djtasks.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from tests.testapp.models import Counter, Note


def jot(journal: str, line: str) -> None:
    """Write a line to a journal, atomically."""
    fd = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(fd, f"{line}\n".encode())
    finally:
        os.close(fd)


@shared_task
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@shared_task
def sleep(seconds: float) -> float:
    """Block for a while."""
    time.sleep(seconds)
    return seconds


@shared_task
def fail(text: str) -> None:
    """Raise."""
    raise ValueError(text)


@shared_task
def echo(*args: Any, **kwargs: Any) -> list[Any]:
    """Return what was given."""
    return [args, kwargs]


@shared_task
def kinds(*args: Any) -> list[str]:
    """Return the types of what was given, as the worker sees them."""
    return [type(arg).__name__ for arg in args]


@shared_task
def record(text: str) -> None:
    """Write a row."""
    Note.objects.create(text=text)


@shared_task(ignore_result=True)
def record_quietly(text: str) -> None:
    """Write a row and leave no result."""
    Note.objects.create(text=text)


@shared_task
def increment(name: str) -> int:
    """Count one up; returns the new value."""
    Counter.objects.filter(name=name).update(value=F("value") + 1)
    return Counter.objects.get(name=name).value


# --- what dies, and how ----------------------------------------------------------------------


def perform(journal: str, key: str, acts: list[str]) -> str:
    """Do what the list says: at the n-th run its n-th act, and the last one ever after.

    Each run is noted at its beginning and end, and leaves a row.
    """
    run = Path(journal).read_text().count(f"begin {key}\n") if Path(journal).exists() else 0
    jot(journal, f"begin {key}")
    Note.objects.create(text=key)
    act, _, detail = acts[min(run, len(acts) - 1)].partition(":")
    match act:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "kill-after":
            time.sleep(float(detail))
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            sys.exit(int(detail or 3))
        case "_exit":
            os._exit(int(detail or 3))
        case "raise":
            raise ValueError(key)
        case "sleep":
            # Its row is committed by now (or never will be, in an atomic task).
            jot(journal, f"held {key}")
            time.sleep(float(detail))
        case "gate" | "hold":
            if act == "hold":
                jot(journal, f"held {key}")
            while not Path(detail).exists():
                time.sleep(0.005)
    jot(journal, f"end {key}")
    return key


early = shared_task(name="early")(perform)
late = shared_task(name="late", acks_late=True)(perform)
late_reject = shared_task(name="late_reject", acks_late=True, reject_on_worker_lost=True)(perform)
early_retry = shared_task(
    name="early_retry", retry_on_worker_lost=True, default_retry_delay=0, max_retries=1
)(perform)
atomic = shared_task(name="atomic", atomic=True)(perform)
limited = shared_task(name="limited", time_limit=1)(perform)
limited_late = shared_task(
    name="limited_late",
    time_limit=1,
    acks_late=True,
    acks_on_failure_or_timeout=False,
    max_deliveries=2,
)(perform)


# --- retries and other ways to end -----------------------------------------------------------


@shared_task(bind=True, max_retries=3)
def retry_until(self: Task[..., Any], text: str, succeed_at: int) -> int:
    """Retry at once until the ``succeed_at``-th retry."""
    Note.objects.create(text=text)
    retries: int = self.request.retries
    if retries < succeed_at:
        raise self.retry(countdown=0)
    return retries


@shared_task(bind=True, max_retries=1, default_retry_delay=0)
def retry_with_other_arguments(self: Task[..., Any], text: str) -> str:
    """Retry once with other arguments, in another queue."""
    if not self.request.retries:
        raise self.retry(args=(f"{text} again",), queue="retried")
    return text


@shared_task(bind=True, max_retries=1, default_retry_delay=0)
def retry_and_go_on(self: Task[..., Any], text: str) -> str:
    """Ask for a retry without being interrupted."""
    if not self.request.retries:
        self.retry(throw=False)
        Note.objects.create(text=f"{text} went on")
        return "first"
    return "second"


@shared_task(
    autoretry_for=(ConnectionError,), retry_backoff=True, retry_jitter=False, max_retries=1
)
def unreachable(text: str) -> None:
    """Fail with what is retried by itself, after one second."""
    Note.objects.create(text=text)
    raise ConnectionError(text)


@shared_task
def ignored() -> None:
    """Leave no trace."""
    raise Ignore


@shared_task(bind=True, max_deliveries=3)
def requeued(self: Task[..., Any], text: str, times: int) -> str:
    """Give the message back so many times."""
    Note.objects.create(text=text)
    if Note.objects.filter(text=text).count() <= times:
        raise Reject("not now", requeue=True)
    return text


@shared_task
def rejected(text: str) -> None:
    """Refuse the message."""
    raise Reject(text)


@shared_task(ignore_result=True, store_errors_even_if_ignored=True)
def quiet_but_for_errors(fails: bool) -> int:
    """Leave a result only of a failure."""
    if fails:
        raise ValueError("as asked")
    return 1


@shared_task(bind=True)
def progress(self: Task[..., Any], gate: str) -> str:
    """Say how far it has come, and wait."""
    self.update_state(state="PROGRESS", meta={"done": 50})
    while not Path(gate).exists():
        time.sleep(0.005)
    return "done"


@shared_task(track_started=True)
def tracked(gate: str) -> str:
    """Wait, and have that seen."""
    while not Path(gate).exists():
        time.sleep(0.005)
    return "done"


class Watched(Task[..., Any]):
    """A task whose handlers write rows."""

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        Note.objects.create(text="before_start")

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        Note.objects.create(text=f"on_success {retval}")

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        Note.objects.create(text=f"on_failure {exc}")

    def on_retry(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        Note.objects.create(text=f"on_retry {exc}")

    def after_return(
        self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any
    ) -> None:
        Note.objects.create(text=f"after_return {status}")


@shared_task(bind=True, base=Watched, max_retries=1)
def watched(self: Task[..., Any], how: str) -> str:
    """Succeed, fail, or retry once."""
    Note.objects.create(text="run")
    if how == "fail":
        raise ValueError(how)
    if how == "retry" and not self.request.retries:
        raise self.retry(countdown=0, exc=ValueError(how))
    return how


@shared_task
def errback(task_id: str) -> None:
    """Note which task failed."""
    Note.objects.create(text=f"errback {task_id}")


@shared_task(bind=True)
def describe(self: Task[..., Any]) -> dict[str, Any]:
    """What the request says."""
    request = self.request
    return {
        "id": request.id,
        "task": request.task,
        "retries": request.retries,
        "hostname": request.hostname,
        "headers": request.headers,
        "root_id": request.root_id,
        "parent_id": request.parent_id,
        "queue": request.delivery_info["routing_key"],
        "priority": request.delivery_info["priority"],
        "current": current_task.request.id,
        "eager": request.is_eager,
    }


@shared_task
def make_nul() -> str:
    """Return a text that PostgreSQL cannot hold."""
    return "a\x00b"


@shared_task
def make_object() -> object:
    """Return what JSON cannot carry."""
    return object()


@shared_task
def enqueue_others(texts: list[str]) -> list[str]:
    """Enqueue a task for each text."""
    return [record.delay(text).id for text in texts]


# --- coroutines ------------------------------------------------------------------------------


@shared_task
async def record_async(text: str) -> str:
    """Write a row from a coroutine."""
    await asyncio.sleep(0)
    await Note.objects.acreate(text=text)
    return text


def _lines(journal: str) -> int:
    return len(Path(journal).read_text().splitlines())


@shared_task
async def meet(journal: str, number: int, among: int) -> int:
    """Return only when so many of these run at once."""
    jot(journal, f"begin {number}")
    for _ in range(3000):
        if _lines(journal) >= among:
            return number
        await asyncio.sleep(0.01)
    raise TimeoutError(f"{number} is alone")


@shared_task
def meet_in_threads(journal: str, number: int, among: int) -> int:
    """Return only when so many of these run at once."""
    jot(journal, f"begin {number}")
    while _lines(journal) < among:
        time.sleep(0.01)
    return number


# --- limits ----------------------------------------------------------------------------------


@shared_task(soft_time_limit=0.3)
def softly_limited(journal: str, catch: bool) -> str:
    """Block for much longer than the soft limit."""
    try:
        time.sleep(60)
    except SoftTimeLimitExceeded:
        jot(journal, "caught")
        if not catch:
            raise
    return "cleaned up"


@shared_task(soft_time_limit=0.3)
async def softly_limited_async(journal: str) -> str:
    """Await for much longer than the soft limit."""
    try:
        await asyncio.sleep(60)
    except SoftTimeLimitExceeded:
        jot(journal, "caught")
    return "cleaned up"


# --- harm to connections and processes -------------------------------------------------------


@shared_task
def leave_transaction_open(text: str) -> None:
    """Begin a transaction through Django, write, and forget it."""
    transaction.set_autocommit(False)
    Note.objects.create(text=text)


@shared_task
def leave_bare_transaction_open(text: str) -> None:
    """Begin a transaction behind Django's back, write, and forget it."""
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
    Note.objects.create(text=text)


@shared_task
def leave_atomic_open(text: str) -> None:
    """Enter an atomic block, write, and never leave it."""
    transaction.atomic().__enter__()
    Note.objects.create(text=text)


@shared_task
def change_search_path() -> None:
    """Point the session at a place where no table is."""
    with connection.cursor() as cursor:
        cursor.execute("SET search_path TO pg_catalog")


@shared_task
def break_connection() -> None:
    """Have the server end this task's own connection."""
    pid = backend_pid.run()
    with connections["other"].cursor() as cursor:
        # Wait until it is gone, five seconds at most: the next task must not meet it alive.
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@shared_task
def backend_pid() -> int:
    """The server process of this task's connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid: int = cursor.fetchone()[0]
    return pid


@shared_task
def process_id() -> int:
    """The process that this runs in."""
    return os.getpid()


_kept: list[bytes] = []


@shared_task
def swallow(mebibytes: int) -> int:
    """Take memory and keep it; returns the process."""
    _kept.append(os.urandom(1 << 20) * mebibytes)
    return os.getpid()


@shared_task
def lat(sent: float) -> float:
    """Seconds since the call."""
    return time.time() - sent


@shared_task
def write_nothing(journal: str, key: str, gate: str) -> str:
    """Run without the database, and wait for a file if one is named."""
    jot(journal, f"begin {key}")
    while gate and not Path(gate).exists():
        time.sleep(0.005)
    return key


@shared_task(bind=True, max_retries=None)
def retry_for_ever(self: Task[..., Any]) -> None:
    """Never be done."""
    raise self.retry(countdown=0)
