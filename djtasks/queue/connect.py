"""Connections of our own beside Django's: for workers and for those who wait for results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections

from djtasks.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from psycopg import BaseConnection

# Django's own adaptation of the connection, which has no meaning for a plain psycopg one.
_DJANGO_ONLY = ("context", "cursor_factory", "prepare_threshold", "pool", "server_side_binding")

_WATCHFUL = {
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


def parameters(alias: str) -> dict[str, Any]:
    """The keyword arguments with which psycopg opens a connection to Django's database ``alias``.

    Raises :class:`ImproperlyConfigured` if that database is not PostgreSQL.
    """
    connection = connections[alias]
    if connection.vendor != "postgresql":
        raise ImproperlyConfigured(
            f"The database {alias!r} is {connection.display_name}, but djtasks needs PostgreSQL. "
            f"Point DJTASKS['DATABASE'] at a PostgreSQL database of DATABASES."
        )
    params = dict(connection.get_connection_params())
    for name in _DJANGO_ONLY:
        params.pop(name, None)
    params.pop("isolation_level", None)
    # A server that has vanished without a word is noticed within seconds, not a quarter hour.
    for name, value in _WATCHFUL.items():
        params.setdefault(name, value)
    return params


def is_pooled(connection: BaseConnection[Any], backend_pid: int) -> bool:
    """Whether a pooler such as PgBouncer stands between this connection and the server.

    A pooler answers the start of the connection with a key of its own, so that the process id
    in it is not the one that the server gives.
    """
    return connection.info.backend_pid != backend_pid
