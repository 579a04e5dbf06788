"""A traceback's frames, and which of them are the user's own."""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Frame", "Traceback", "parse"]

READ: Final = 200_000
"""Characters of a traceback that are looked at."""

SHOWN: Final = 12
"""Own frames that are shown; of a recursion the last ones say enough."""

_FRAME: Final = re.compile(
    r'^(?P<margin>[ |+-]*)File "(?P<path>.+)", line (?P<line>\d{1,9})(?:, in (?P<name>.+))?$'
)
_MARKS: Final = re.compile(r"^[\s~^]+$")
_NOT_OWN: Final = re.compile(
    r"[/\\](?:site|dist)-packages[/\\]|[/\\]lib[/\\]python3[^/\\]*[/\\]|^<frozen |^<string>$"
)
_HERE: Final = f"{Path(__file__).resolve().parent.parent}/"
_LIBRARY: Final = f"{sysconfig.get_path('stdlib')}/"


@dataclass(frozen=True, slots=True)
class Frame:
    """One place in a traceback. ``code`` is its source line, where it is known."""

    path: str
    line: int
    name: str
    code: str

    @property
    def is_own(self) -> bool:
        """Whether it is the project's code: no package, not the standard library, not djtasks.

        The worker may have run elsewhere, so the path tells, not what is installed here.
        """
        return not (_NOT_OWN.search(self.path) or self.path.startswith((_HERE, _LIBRARY)))

    @property
    def file(self) -> str:
        """The last parts of the path, which tell files apart."""
        return "/".join(Path(self.path).parts[-3:]).replace("//", "/")


@dataclass(frozen=True, slots=True)
class Traceback:
    """A traceback as text, with its own frames, the innermost first."""

    text: str
    own: list[Frame]
    count: int


def parse(text: str) -> Traceback:
    """The frames of a traceback, of all exceptions in it. Any text will do."""
    frames = list(_frames(text[:READ].splitlines()))
    own = [frame for frame in frames if frame.is_own]
    return Traceback(text, own[: -SHOWN - 1 : -1], len(frames))


def _frames(lines: list[str]) -> Iterator[Frame]:
    for number, line in enumerate(lines):
        found = _FRAME.match(line)
        if found is None:
            continue
        code = lines[number + 1] if number + 1 < len(lines) else ""
        code = code.removeprefix(found["margin"]).strip()
        if _FRAME.match(code) or _MARKS.match(code):
            code = ""
        yield Frame(found["path"], int(found["line"]), found["name"] or "", code)
