"""Reading catalogues of translations and the texts that belong in them, without gettext's tools."""

from __future__ import annotations

import ast
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from django.utils.translation.template import templatize

import djtasks

APP: Final = Path(djtasks.__file__).parent
LOCALE: Final = APP / "locale"


class Text(NamedTuple):
    """What is looked up in a catalogue: the empty context is none, the empty plural too."""

    text: str
    plural: str = ""
    context: str = ""


@dataclass(slots=True)
class Entry:
    """A text and what it is in another language: a form for each number that it tells apart."""

    text: Text
    forms: list[str]
    flags: set[str]


def catalogue(language: str) -> Path:
    """The directory of a language's files."""
    return LOCALE / language / "LC_MESSAGES"


def read_po(path: Path) -> list[Entry]:
    """The entries of a .po file, the first of which is the header.

    Raises ValueError for lines that it does not know, those of obsolete entries among them.
    """
    return [_entry(block) for block in path.read_text("utf-8").strip().split("\n\n")]


def _entry(block: str) -> Entry:
    flags: set[str] = set()
    parts: dict[str, str] = {}
    name = ""
    for line in block.splitlines():
        if line.startswith("#,"):
            flags |= {flag.strip() for flag in line[2:].split(",")}
        elif line.startswith("#~"):
            raise ValueError(line)
        elif not line.startswith("#"):
            found = re.fullmatch(r'(?:(msg[a-z_]+(?:\[\d\])?) )?(".*")', line)
            if found is None:
                raise ValueError(line)
            name = found[1] or name
            parts[name] = parts.get(name, "") + ast.literal_eval(found[2])
    text = Text(parts.pop("msgid"), parts.pop("msgid_plural", ""), parts.pop("msgctxt", ""))
    return Entry(text, [parts[name] for name in sorted(parts)], flags)


def read_mo(path: Path) -> dict[Text, list[str]]:
    """What a .mo file holds, its header under the empty text."""
    data = path.read_bytes()
    magic, _version, count, originals, translations = struct.unpack_from("<5I", data)
    if magic != 0x950412DE:
        raise ValueError(f"{path} is no catalogue")

    def strings(table: int) -> Iterator[list[str]]:
        for index in range(count):
            length, offset = struct.unpack_from("<2I", data, table + 8 * index)
            yield data[offset : offset + length].decode().split("\0")

    found = {}
    for original, forms in zip(strings(originals), strings(translations), strict=True):
        context, mark, text = original[0].rpartition("\4")
        found[Text(text, original[1] if original[1:] else "", context if mark else "")] = forms
    return found


@cache
def texts_of_the_source() -> frozenset[Text]:
    """Everything in the package that is marked for translation.

    Raises ValueError for what gettext's own tools do not find: texts that are put together, or
    inside of an f-string.
    """
    found: set[Text] = set()
    for path in APP.rglob("*.py"):
        found |= set(_of_module(path))
    for path in APP.rglob("*.html"):
        found |= set(_of_template(path))
    return frozenset(found)


# How many of the first arguments are texts, and what they are.
_PARTS: Final = {
    "gettext": ("text",),
    "ngettext": ("text", "plural"),
    "pgettext": ("context", "text"),
    "npgettext": ("context", "text", "plural"),
}


def _of_module(path: Path) -> Iterator[Text]:
    tree = ast.parse(path.read_text("utf-8"))
    names = {
        alias.asname or alias.name: alias.name.removesuffix("_lazy")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for alias in node.names
    }
    formatted = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        parts = _PARTS.get(names.get(node.func.id, ""))
        if parts is None:
            continue
        values = node.args[: len(parts)]
        texts = [
            value.value
            for value in values
            if isinstance(value, ast.Constant) and isinstance(value.value, str)
        ]
        if len(texts) != len(parts) or id(node) in formatted:
            raise ValueError(f"{path}:{node.lineno}: {ast.unparse(node)}")
        yield Text(**dict(zip(parts, texts, strict=True)))


_LITERAL: Final = r"""u?("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
_MARKED: Final = re.compile(
    rf"\b(_|gettext|ngettext|pgettext|npgettext)\({_LITERAL}(?:, {_LITERAL})?(?:, {_LITERAL})?"
)


def _of_template(path: Path) -> Iterator[Text]:
    for name, *literals in _MARKED.findall(templatize(path.read_text("utf-8"))):
        texts = [ast.literal_eval(literal) for literal in literals if literal]
        parts = _PARTS["gettext" if name == "_" else name]
        yield Text(**dict(zip(parts, texts, strict=True)))
