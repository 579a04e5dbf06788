"""What PostgreSQL can store as text, and how much of it is wanted."""

from __future__ import annotations

import re
from typing import Final

from djtasks.conf import conf
from djtasks.exceptions import PayloadTooLarge

__all__ = ["check_size", "has_nul", "storable"]

#: A NUL in JSON text: ``\u0000`` behind an even number of backslashes.
_ESCAPED_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def storable(text: str) -> str:
    r"""Return ``text`` as PostgreSQL can store it: NUL as ``\x00``, lone surrogates as ``\udc80``.

    For text that is shown to people, such as tracebacks: it never fails, and says what was there.
    """
    if "\0" in text:
        text = text.replace("\0", "\\x00")
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def has_nul(json_text: str) -> bool:
    """Return whether a text in ``json_text`` contains a NUL character."""
    return "\\u0000" in json_text and _ESCAPED_NUL.search(json_text) is not None


def check_size(json_text: str, what: str) -> None:
    """Raise ``PayloadTooLarge`` if ``json_text`` is larger than the setting ``MAX_PAYLOAD``.

    Args:
        json_text: without lone surrogates.
        what: what it holds, for the message: "the arguments of task 'x'".
    """
    limit = conf.MAX_PAYLOAD
    size = len(json_text)
    if size * 4 <= limit:  # no character has more than four bytes in UTF-8
        return
    if not json_text.isascii():
        size = len(json_text.encode())
    if size > limit:
        raise PayloadTooLarge(
            f"Cannot store {what}: {size:,} bytes as JSON are more than the {limit:,} bytes that "
            "the setting MAX_PAYLOAD allows. Store the data in a table or a file and pass its key, "
            "or raise DJTASKS['MAX_PAYLOAD']."
        )
