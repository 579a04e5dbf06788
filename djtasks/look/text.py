"""What users' tasks say, made safe to look at: nothing hides, nothing reorders, nothing is endless.

HTML is escaped by the templates. Here is what escaping does not see: control characters, marks that
reorder a line, and sizes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Cut", "Excerpt", "excerpt", "one_line", "short_name", "visible"]

SENT: Final = 100_000
"""Characters of a text that a page has at most."""

NAME: Final = 200
"""Characters of a name that is shown by itself: one is in its row, title and links."""

OPEN_LINES: Final = 30
"""Lines of a text that are shown without unfolding it."""

OPEN_CHARACTERS: Final = 4_000
"""Characters of a text that are shown without unfolding it."""

# Controls but tab and newline, soft hyphen, marks of direction, invisible operators, lone
# surrogates, tags. Joiners (U+200C, U+200D) stay: scripts and emoji need them.
HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """The text with every character that would act unseen written as its escape."""
    return HIDDEN.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def one_line(text: str, length: int) -> str:
    """The beginning of a text as one line of at most ``length`` characters and an ellipsis."""
    cut = text[: 2 * length]
    line = visible(" ".join(cut.split()))
    if len(line) > length or len(cut) < len(text):
        return line[:length].rstrip() + "…"
    return line


def short_name(task: str) -> str:
    """The last part of a task's name, which is what people call it."""
    return one_line(task.rpartition(".")[2] or task, NAME)


class Cut(str):
    """The beginning of a text that was never written to its end.

    ``omitted`` is about how many characters it lacks.
    """

    __slots__ = ("omitted",)

    omitted: int

    def __new__(cls, text: str, omitted: int) -> Cut:
        """The beginning, and how much there would be after it."""
        made = super().__new__(cls, text)
        made.omitted = omitted
        return made


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A long text: what is open, what is folded, and how much is left out.

    ``omitted`` counts characters.
    """

    head: str
    rest: str
    omitted: int

    @property
    def text(self) -> str:
        """All that there is of it."""
        return self.head + self.rest


def excerpt(text: str) -> Excerpt:
    """What a page shows of a text: some lines, the rest folded, an end to it."""
    sent = visible(text[:SENT])
    omitted = max(len(text) - SENT, 0) + (text.omitted if isinstance(text, Cut) else 0)
    end = len(sent)
    if end > OPEN_CHARACTERS:
        end = sent.rfind("\n", 0, OPEN_CHARACTERS) + 1 or OPEN_CHARACTERS
    lines = [found.end() for found in re.finditer("\n", sent[:end])]
    if len(lines) > OPEN_LINES:
        end = lines[OPEN_LINES - 1]
    return Excerpt(sent[:end], sent[end:], omitted)
