"""The PostgreSQL that is measured on: the one of ``DATABASE_URL``, or an embedded one.

The embedded server waits for the disk at each commit, as a real one does. Its data go away with
it; on another server the databases that were made are dropped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from testproject.databases import database, sibling
from testproject.embedded import Server

TUNING = {
    "shared_buffers": "512MB",
    # No checkpoint falls into a measurement by chance: one is asked for before each round.
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
}

SHOWN = ("server_version", "fsync", "synchronous_commit", "shared_buffers", "max_wal_size")


@contextmanager
def databases() -> Iterator[None]:
    """Make the databases for one run, and export their addresses to the settings."""
    given = os.environ.get("DATABASE_URL")
    if given:
        with _databases_on(given, drop=True):
            yield
        return
    with Server(fsync=True) as server:
        _tune(server)
        with _databases_on(server.url, drop=False):
            yield


@contextmanager
def _databases_on(url: str, *, drop: bool) -> Iterator[None]:
    suffixes = [f"_bench_{os.getpid()}", f"_bench_{os.getpid()}_deep"]
    urls = [sibling(url, suffix) for suffix in suffixes]
    names = [sql.Identifier(database(one)["NAME"]) for one in urls]
    made: list[sql.Identifier] = []
    before = {name: os.environ.get(name) for name in ("DATABASE_URL", "DJTASKS_BENCH_DEEP_URL")}
    try:
        with _connect(url) as connection:
            for name in names:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
                made.append(name)
        os.environ["DATABASE_URL"], os.environ["DJTASKS_BENCH_DEEP_URL"] = urls
        yield
    finally:
        for variable, value in before.items():
            if value is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = value
        if drop and made:
            with _connect(url) as connection:
                for name in made:
                    connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _tune(server: Server) -> None:
    with _connect(server.url) as connection:
        for name, value in TUNING.items():
            connection.execute(
                sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
            )
    server.stop()
    server.start()


def _connect(url: str) -> psycopg.Connection[Any]:
    config = database(url)
    return psycopg.connect(
        dbname=config["NAME"],
        user=config["USER"] or None,
        password=config["PASSWORD"] or None,
        host=config["HOST"] or None,
        port=config["PORT"] or None,
        autocommit=True,
        **config.get("OPTIONS", {}),
    )


def describe(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """The version of the server and the settings that matter most here."""
    return {
        name: str(connection.execute("SELECT current_setting(%s)", (name,)).fetchone()[0])  # type: ignore[index]
        for name in SHOWN
    }
