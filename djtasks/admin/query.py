"""The text of the search box: its words, and links that add one or take one away."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode

__all__ = ["link", "qualifier", "value_of", "with_qualifier", "without", "words"]

_WORD: Final = re.compile(r'(?:[^\s"]+|"(?:[^"\\]|\\.)*"?)+')


def words(query: str) -> list[str]:
    """The words of a query; what is in quotes is part of one."""
    return _WORD.findall(query)


def qualifier(name: str, value: str) -> str:
    """A word that asks for a value, in quotes where it needs some."""
    if not value or re.search(r'[\s"\\]', value):
        value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name}:{value}"


def value_of(query: str, name: str) -> str | None:
    """What a query asks for under a name, without quotes; None if it does not."""
    for word in words(query):
        found, colon, value = word.partition(":")
        if colon and found.lower() == name:
            if value.startswith('"'):
                return re.sub(r"\\(.)", r"\1", value.strip('"'))
            return value
    return None


def with_qualifier(query: str, name: str, value: str | None) -> str:
    """The query with one value for a name, in place of those that it had; None: without."""
    kept = [
        word for word in words(query) if word.partition(":")[0].lower() != name or ":" not in word
    ]
    if value is not None:
        kept.append(qualifier(name, value))
    return " ".join(kept)


def without(query: str, index: int) -> str:
    """The query without the word at an index."""
    kept = words(query)
    del kept[index]
    return " ".join(kept)


def link(query: str, **more: str) -> str:
    """The query as the part of an address from the question mark on."""
    given = {"q": query, **more} if query else more
    return f"?{urlencode(given)}" if given else "?"
