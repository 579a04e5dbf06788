"""A workflow as a drawing: boxes in columns from left to right, joined by curves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from djtasks.look.states import look
from djtasks.look.text import one_line

__all__ = ["Box", "draw"]

BOX_WIDTH: Final = 168
BOX_HEIGHT: Final = 44
COLUMN_GAP: Final = 56
ROW_GAP: Final = 14
MARGIN: Final = 8
NAME: Final = 16
"""Characters of a name that a box has room for."""
NOTE: Final = 21


@dataclass(frozen=True, slots=True)
class Box:
    """One task, or a group of like tasks where ``counts`` says how many are in which state.

    ``column`` is the depth, from 0; ``note`` the second line; ``href`` may be empty.
    """

    key: str
    column: int
    name: str
    title: str
    state: str
    note: str
    href: str = ""
    current: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)


def draw(boxes: Sequence[Box], edges: Iterable[tuple[str, str]], label: str) -> SafeString:
    """The drawing, as wide as it needs to be: one unit is a pixel."""
    places = _places(boxes)
    width = max((x for x, _ in places.values()), default=0) + BOX_WIDTH + MARGIN
    height = max((y for _, y in places.values()), default=0) + BOX_HEIGHT + MARGIN
    curves = [
        _curve(places[source], places[target])
        for source, target in edges
        if source in places and target in places
    ]
    drawn = [_box(box, *places[box.key]) for box in boxes]
    return format_html(
        '<svg class="djt-graph" width="{0}" height="{1}" viewBox="0 0 {0} {1}" '
        'role="group" aria-label="{2}">{3}{4}</svg>',
        width,
        height,
        label,
        _joined(curves),
        _joined(drawn),
    )


def _places(boxes: Sequence[Box]) -> dict[str, tuple[int, int]]:
    """The upper left corner of each box; columns are centred on the tallest."""
    columns: dict[int, list[Box]] = defaultdict(list)
    for box in boxes:
        columns[box.column].append(box)
    step = BOX_HEIGHT + ROW_GAP
    tallest = max((len(column) for column in columns.values()), default=0)
    places = {}
    for number, column in enumerate(columns[depth] for depth in sorted(columns)):
        top = MARGIN + (tallest - len(column)) * step // 2
        for row, box in enumerate(column):
            places[box.key] = (MARGIN + number * (BOX_WIDTH + COLUMN_GAP), top + row * step)
    return places


def _curve(source: tuple[int, int], target: tuple[int, int]) -> SafeString:
    x1, y1 = source[0] + BOX_WIDTH, source[1] + BOX_HEIGHT // 2
    x2, y2 = target[0], target[1] + BOX_HEIGHT // 2
    bend = max((x2 - x1) // 2, COLUMN_GAP // 2)
    return format_html(
        '<path class="djt-edge" d="M{} {}C{} {} {} {} {} {}"/>',
        x1,
        y1,
        x1 + bend,
        y1,
        x2 - bend,
        y2,
        x2,
        y2,
    )


def _box(box: Box, x: int, y: int) -> SafeString:
    classes = f"djt-box djt-is-{look(box.state).kind}{' djt-current' if box.current else ''}"
    inside = format_html(
        '<title>{}</title>{}<rect class="djt-card" width="{}" height="{}" rx="5"/>'
        '<g class="djt-shape" transform="translate(9 8) scale(1.1)">{}</g>'
        '<text class="djt-name" x="29" y="19">{}</text>'
        '<text class="djt-note" x="29" y="34">{}</text>{}',
        box.title,
        _stack() if box.counts else mark_safe(""),
        BOX_WIDTH,
        BOX_HEIGHT,
        mark_safe(look(box.state).shape),  # a constant
        one_line(box.name, NAME),
        one_line(box.note, NOTE),
        _shares(box.counts),
    )
    if box.href:
        inside = format_html(
            '<a href="{}"{}>{}</a>',
            box.href,
            mark_safe(' aria-current="page"') if box.current else mark_safe(""),
            inside,
        )
    return format_html('<g class="{}" transform="translate({} {})">{}</g>', classes, x, y, inside)


def _stack() -> SafeString:
    """Two more cards behind: there are many of it."""
    return format_html_join(
        "",
        '<rect class="djt-card djt-behind" x="{0}" y="{0}" width="{1}" height="{2}" rx="5"/>',
        ((offset, BOX_WIDTH, BOX_HEIGHT) for offset in (6, 3)),
    )


def _shares(counts: Mapping[str, int]) -> SafeString:
    """A bar along the lower edge: how much of a group is in which state."""
    total = sum(counts.values())
    x = 0.0
    parts = []
    for state, count in counts.items():
        width = BOX_WIDTH * count / max(total, 1)
        parts.append(
            format_html(
                '<rect class="djt-share djt-is-{}" x="{}" y="{}" width="{}" height="3"/>',
                look(state).kind,
                f"{x:.1f}",
                BOX_HEIGHT - 3,
                f"{width:.1f}",
            )
        )
        x += width
    return _joined(parts)


def _joined(parts: Sequence[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((part,) for part in parts)) if parts else mark_safe("")
