"""Statements that are kept in files beside the code that sends them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def loader(package: str) -> Callable[[str], str]:
    """A function that gives the statement in ``<name>.sql`` of a package, without its comments.

    The comments state the plan that is expected and why; they are not sent with every call.
    """

    @cache
    def load(name: str) -> str:
        text = files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8")
        lines = (line for line in text.splitlines() if not line.lstrip().startswith("--"))
        return "\n".join(lines).strip()

    return load
