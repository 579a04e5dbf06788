"""What happened, as charts with their labels and a table that says the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils.formats import number_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from djtasks.browser.activity import Range
from djtasks.look import charts, times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djtasks.browser.activity import Activity, Point

__all__ = ["Chart", "depth", "runtimes", "throughput"]


@dataclass(frozen=True, slots=True)
class Key:
    """What a colour or a kind of line stands for."""

    name: str
    text: str
    is_line: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with everything around it."""

    key: str
    title: str
    empty_text: str
    svg: SafeString | str = ""
    keys: Sequence[Key] = ()
    y_labels: Sequence[str] = ()
    x_labels: Sequence[str] = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = field(default=())

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to be drawn."""
        return not self.rows


def throughput(shown: Activity) -> Chart:
    """How many ended in each span, failed ones on top."""
    title = {
        Range.HOUR: _("Tasks a minute"),
        Range.DAY: _("Tasks in 10 minutes"),
        Range.WEEK: _("Tasks an hour"),
    }[shown.range]
    points = shown.points
    if not any(point.ended for point in points):
        return Chart("throughput", title, _("Nothing ended in this time."))
    top = charts.ceiling(max(point.ended for point in points))
    titles = [
        _("%(at)s: %(succeeded)s succeeded, %(failed)s failed")
        % {
            "at": _at(point.at, shown.range),
            "succeeded": _whole(point.succeeded),
            "failed": _whole(point.failed),
        }
        for point in points
    ]
    bands = [
        charts.Band("succeeded", [point.succeeded for point in points]),
        charts.Band("failed", [point.failed for point in points]),
    ]
    return Chart(
        "throughput",
        title,
        "",
        charts.bars(bands, titles, top, title),
        (Key("succeeded", pgettext("tasks", "succeeded")), Key("failed", _("failed, on top"))),
        _whole_axis(top),
        _x_labels(points, shown.range),
        (
            _("From"),
            pgettext("tasks", "Succeeded"),
            pgettext("tasks", "Failed"),
            pgettext("tasks", "Tried again"),
        ),
        [
            (
                _at(point.at, shown.range),
                _whole(point.succeeded),
                _whole(point.failed),
                _whole(point.retried),
            )
            for point in reversed(points)
        ],
    )


def runtimes(shown: Activity) -> Chart:
    """How long half of the tasks took at most, and 95 of 100."""
    title = _("Run time")
    points = shown.points
    measured = [point.p95 for point in points if point.p95 is not None]
    if not measured:
        return Chart("runtimes", title, _("Nothing ran in this time."))
    top = charts.ceiling(max(measured))
    titles = [
        f"{_at(point.at, shown.range)}: p50 {times.duration(point.p50) or '-'}, "
        f"p95 {times.duration(point.p95) or '-'}"
        for point in points
    ]
    lines = [
        charts.Line("p50", [point.p50 for point in points]),
        charts.Line("p95", [point.p95 for point in points]),
    ]
    return Chart(
        "runtimes",
        title,
        "",
        charts.lines(lines, titles, top, title),
        (Key("p50", "p50", is_line=True), Key("p95", "p95", is_line=True)),
        [times.duration(top), times.duration(top / 2), "0"],
        _x_labels(points, shown.range),
        (_("From"), "p50", "p95"),
        [
            (_at(point.at, shown.range), times.duration(point.p50), times.duration(point.p95))
            for point in reversed(points)
        ],
    )


def depth(shown: Activity) -> Chart:
    """How many tasks were ready and not begun."""
    title = pgettext("tasks", "Ready")
    points = shown.points
    measured = [point.ready for point in points if point.ready is not None]
    if not measured:
        return Chart("depth", title, _("Nobody looked in this time."))
    top = charts.ceiling(max(measured))
    titles = [
        _("%(at)s: %(ready)s ready, the oldest for %(latency)s")
        % {
            "at": _at(point.at, shown.range),
            "ready": "-" if point.ready is None else _whole(point.ready),
            "latency": times.duration(point.latency) or "-",
        }
        for point in points
    ]
    return Chart(
        "depth",
        title,
        "",
        charts.lines([charts.Line("ready", [point.ready for point in points])], titles, top, title),
        (),
        _whole_axis(top),
        _x_labels(points, shown.range),
        (_("From"), pgettext("tasks", "Ready"), _("Latency")),
        [
            (
                _at(point.at, shown.range),
                "" if point.ready is None else _whole(point.ready),
                times.duration(point.latency),
            )
            for point in reversed(points)
        ],
    )


def _at(moment: datetime, range: Range) -> str:
    """The beginning of a span in the user's zone."""
    here = times.local(moment)
    return f"{here:%H:%M}" if range is not Range.WEEK else f"{here:%Y-%m-%d %H:%M}"


def _x_labels(points: Sequence[Point], range: Range) -> list[str]:
    """The beginning, the middle, and now."""
    middle = points[len(points) // 2].at
    if range is Range.WEEK:
        ends = (f"{times.local(moment):%m-%d}" for moment in (points[0].at, middle))
    else:
        ends = (f"{times.local(moment):%H:%M}" for moment in (points[0].at, middle))
    return [*ends, _("now")]


def _whole_axis(top: float) -> list[str]:
    """Labels of an axis of whole numbers; no middle where it would be half a task."""
    middle = _whole(top / 2) if top % 2 == 0 or top >= 10 else ""
    return [_whole(top), middle, "0"]


def _whole(value: float) -> str:
    return number_format(round(value), force_grouping=True)
