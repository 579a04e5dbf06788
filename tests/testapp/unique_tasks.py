"""Unique tasks, of every kind."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import connection

from djtasks import Task, shared_task


@shared_task(unique=True)
def once(name: str, more: int = 2) -> str:
    """One until it is done, by all arguments."""
    return f"{name} {more}"


@shared_task(unique="queued", unique_key="account:{account_id}")
def sync(account_id: Any, note: str = "") -> str:
    """One of an account while it is queued."""
    return f"{account_id} {note}"


@shared_task(unique_for=timedelta(minutes=10), unique_key="{name}")
def mail(name: str, fails: bool = False) -> str:
    """One in ten minutes."""
    if fails:
        raise ValueError(name)
    return name


@shared_task(unique=True, unique_key="{name}", unique_on_conflict="raise")
def strict(name: str, note: str = "") -> str:
    """One until it is done; another call is an error."""
    return f"{name} {note}"


@shared_task(unique=True, unique_key="{name}", unique_on_conflict="replace")
def latest(name: str, note: str = "") -> str:
    """One until it is done; a later call takes the place of one that has not begun."""
    return f"{name} {note}"


@shared_task(bind=True, unique=True, unique_key=lambda name, **rest: name.lower(), max_retries=5)
def again(self: Task[..., Any], name: str, times: int = 1) -> int:
    """Retry itself so many times."""
    retries: int = self.request.retries
    if retries < times:
        raise self.retry(countdown=0)
    return retries


@shared_task(bind=True, unique="queued", unique_key="{name}", max_retries=5)
def queued_again(self: Task[..., Any], name: str, times: int = 1) -> int:
    """Retry itself, and be unique while it waits for that."""
    retries: int = self.request.retries
    if retries < times:
        raise self.retry(countdown=0)
    return retries


@shared_task(unique=True, unique_key="{name}", acks_late=True, max_deliveries=1000)
def wait_for(name: str, journal: str, gate: str) -> str:
    """Note that it has begun, and wait for a file."""
    note(journal, f"begin {name}")
    while not Path(gate).exists():
        time.sleep(0.005)
    return name


@shared_task(
    unique=True,
    unique_key="{name}",
    acks_late=True,
    reject_on_worker_lost=True,
    max_deliveries=1000,
)
def alone(name: str) -> int:
    """Count, in a table, how many of this name there are while it runs: more than one is wrong."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM djtasks_message"
            " WHERE task = %s AND payload::json -> 0 ->> 0 = %s",
            (alone.name, name),
        )
        most: int = cursor.fetchone()[0]
        cursor.execute(
            "INSERT INTO testapp_counter (name, value) VALUES (%s, %s)"
            " ON CONFLICT (name) DO UPDATE"
            " SET value = greatest(testapp_counter.value, excluded.value)",
            (f"alone {name}", most),
        )
    return most


def note(journal: str, line: str) -> None:
    """Write a line into a file, at once."""
    fd = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{line}\n".encode())
    os.close(fd)
