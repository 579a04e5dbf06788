"""Django's database settings from addresses."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import environ


def database(url: str) -> dict[str, Any]:
    """Return the ``DATABASES`` entry for a PostgreSQL address.

    A socket is given as libpq reads it, ``…@/name?host=/directory&port=5432``. It ends up in
    ``HOST`` and ``PORT``, where ``dbshell`` finds it too.
    """
    config: dict[str, Any] = environ.Env.db_url_config(url)
    options = config.get("OPTIONS", {})
    config["HOST"] = options.pop("host", config["HOST"])
    config["PORT"] = options.pop("port", config["PORT"])
    return config


def sibling(url: str, suffix: str) -> str:
    """Return the address of a database on the same server whose name ends with ``suffix``."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path + suffix))
