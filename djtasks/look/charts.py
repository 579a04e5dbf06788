"""Charts as SVG, drawn from numbers alone.

Every shape says in its title what it is. Labels of the axes are not here: as HTML beside the
drawing they stay readable when it is stretched to the width of the page. No attribute is a style,
so that a strict Content-Security-Policy has nothing to object to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

__all__ = ["Band", "Line", "bars", "ceiling", "lines", "sparkline"]

WIDTH: Final = 600.0
HEIGHT: Final = 120.0


@dataclass(frozen=True, slots=True)
class Band:
    """Numbers that are stacked as bars; ``name`` is the class that gives them their look."""

    name: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Line:
    """Numbers that are joined by a line; ``None`` is a gap."""

    name: str
    values: Sequence[float | None]


def ceiling(largest: float) -> float:
    """The smallest round number that is not below, for the top of an axis; 1 for nothing."""
    if not math.isfinite(largest) or largest < 1e-9:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    for step in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0):
        if largest <= step * power * (1 + 1e-9):
            return step * power
    return 10.0 * power


def bars(bands: Sequence[Band], titles: Sequence[str], top: float, label: str) -> SafeString:
    """Stacked bars, the first band at the bottom, with a title for each place.

    ``top`` is the value of the upper edge.
    """
    count = len(titles)
    slot = WIDTH / max(count, 1)
    gap = min(slot * 0.2, 3.0)
    places = []
    for index, title in enumerate(titles):
        base = HEIGHT
        shapes = []
        for band in bands:
            value = band.values[index]
            if value <= 0:
                continue
            height = max(min(value / top, 1.0) * HEIGHT, 1.5)
            base -= height
            shapes.append(_bar(index * slot + gap / 2, base, slot - gap, height, band.name))
        places.append(_place(index * slot, slot, title, shapes))
    return _figure([*_grid(), *places], label)


def lines(series: Sequence[Line], titles: Sequence[str], top: float, label: str) -> SafeString:
    """Lines from left to right, with a title for each place."""
    count = len(titles)
    slot = WIDTH / max(count, 1)
    drawn = [
        format_html('<path class="djt-line djt-line-{}" d="{}"/>', line.name, path)
        for line in series
        if (path := _path(line.values, slot, top))
    ]
    places = [_place(index * slot, slot, title, []) for index, title in enumerate(titles)]
    return _figure([*_grid(), *drawn, *places], label)


def sparkline(values: Sequence[float], label: str, bad: Sequence[float] = ()) -> SafeString:
    """A row of small bars without axes; ``bad`` is the part of each that is drawn as failed."""
    top = max((*values, 0.0))
    count = max(len(values), 1)
    slot = 100.0 / count
    shapes = []
    for index, value in enumerate(values):
        if value <= 0 or top <= 0:
            continue
        height = max(value / top * 20.0, 1.0)
        width = max(slot - 0.6, slot * 0.7)
        failed = min(bad[index], value) if index < len(bad) else 0.0
        shapes.append(_bar(index * slot, 20 - height, width, height, "succeeded"))
        if failed > 0:
            part = max(failed / top * 20.0, 1.0)
            shapes.append(_bar(index * slot, 20 - part, width, part, "failed"))
    return format_html(
        '<svg class="djt-spark" viewBox="0 0 100 20" preserveAspectRatio="none" role="img">'
        "<title>{}</title>{}</svg>",
        label,
        _joined(shapes),
    )


def _path(values: Sequence[float | None], slot: float, top: float) -> str:
    """The way of a line through the middles of its places; single points get a short dash."""
    steps = []
    for index, value in enumerate(values):
        if value is None:
            continue
        x = (index + 0.5) * slot
        y = HEIGHT - min(value / top, 1.0) * (HEIGHT - 2) - 1
        before = values[index - 1] if index else None
        after = values[index + 1] if index + 1 < len(values) else None
        if before is not None:
            steps.append(f"L{x:.1f} {y:.1f}")
        elif after is not None:
            steps.append(f"M{x:.1f} {y:.1f}")
        else:
            steps.append(f"M{x - slot / 3:.1f} {y:.1f}h{slot / 1.5:.1f}")
    return "".join(steps)


def _bar(x: float, y: float, width: float, height: float, name: str) -> SafeString:
    return format_html(
        '<rect class="djt-bar djt-bar-{}" x="{}" y="{}" width="{}" height="{}"/>',
        name,
        *(f"{number:.2f}" for number in (x, y, width, height)),
    )


def _place(x: float, width: float, title: str, shapes: list[SafeString]) -> SafeString:
    """One place of the time axis: its shapes, and an area of full height that has the title."""
    return format_html(
        '<g class="djt-place"><title>{}</title>'
        '<rect class="djt-hover" x="{}" y="0" width="{}" height="{}"/>{}</g>',
        title,
        f"{x:.2f}",
        f"{width:.2f}",
        f"{HEIGHT:.0f}",
        _joined(shapes),
    )


def _grid() -> list[SafeString]:
    """Lines at the top, in the middle and at the bottom."""
    return [
        format_html('<line class="djt-grid" x1="0" x2="{}" y1="{}" y2="{}"/>', f"{WIDTH:.0f}", y, y)
        for y in ("0.5", f"{HEIGHT / 2:.0f}", f"{HEIGHT - 0.5:.1f}")
    ]


def _figure(parts: list[SafeString], label: str) -> SafeString:
    return format_html(
        '<svg class="djt-svg" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img">'
        "<title>{}</title>{}</svg>",
        f"{WIDTH:.0f}",
        f"{HEIGHT:.0f}",
        label,
        _joined(parts),
    )


def _joined(parts: Sequence[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((part,) for part in parts)) if parts else mark_safe("")
