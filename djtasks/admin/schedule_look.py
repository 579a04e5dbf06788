"""What is shown of a schedule: its rule in words, when it ran and when it will."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from django.utils import formats
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from djtasks.beat.send import rule_of
from djtasks.exceptions import ImproperlyConfigured, ScheduleError
from djtasks.look.text import one_line
from djtasks.look.times import aware, local, since, time_tag
from djtasks.models import PeriodicTask, Source
from djtasks.schedules import from_json

__all__ = ["error_of", "last_run_of", "next_run_of", "schedule_words", "upcoming_of"]

SHOWN: Final = 5
"""Runs to come that a page shows."""

LATE: Final = 10.0
"""Seconds after which a run that has not been sent is called late."""


def schedule_words(row: PeriodicTask) -> str:
    """Its rule in words, or that it cannot be read."""
    try:
        words = from_json(row.schedule).describe()
    except ScheduleError:
        return _("unreadable")
    return _("%s, only once") % words if row.one_off else words


def next_run_of(row: PeriodicTask) -> str | SafeString:
    """When it runs next, or why it does not."""
    if row.source == Source.REMOVED:
        return _("no longer in the settings")
    if not row.enabled:
        return _("disabled")
    if row.is_finished:
        return _("never again")
    if row.planned and row.next_run_at is not None:
        if since(row.next_run_at) > LATE:
            return format_html(
                '<span class="djt-bad">{}</span> {}', _("late"), time_tag(row.next_run_at)
            )
        return time_tag(row.next_run_at)
    try:
        moments = rule_of(row).upcoming(None, 1)
    except (ScheduleError, ImproperlyConfigured):
        return "-"
    return time_tag(moments[0]) if moments else _("never again")


def upcoming_of(row: PeriodicTask) -> str | SafeString:
    """The next runs in the user's zone, as if it were enabled."""
    due = row.next_run_at if row.planned else None
    if row.is_finished:
        return _("never again")
    try:
        rule = rule_of(row)
        moments = rule.upcoming(None if due is None else aware(due), SHOWN)
    except (ScheduleError, ImproperlyConfigured) as error:
        return one_line(str(error), 300)
    if not moments:
        return _("never again")
    items = (
        (moment.isoformat(), _in_words(moment), time_tag(moment)) for moment in map(local, moments)
    )
    runs = format_html_join(
        "", '<li><time datetime="{}">{}</time> <span class="djt-quiet">{}</span></li>', items
    )
    shown = format_html('<ol class="djt-upcoming">{}</ol>', runs)
    if row.enabled and row.source != Source.REMOVED:
        return shown
    return format_html("{}{}", _("If it were enabled:"), shown)


def _in_words(moment: datetime) -> str:
    day, date = (formats.date_format(moment, each) for each in ("D", "SHORT_DATE_FORMAT"))
    return f"{day} {date} {moment:%H:%M:%S} {moment.tzname()}"


def last_run_of(
    row: PeriodicTask,
    task_url: Callable[[PeriodicTask], str] | None = None,
    results_url: Callable[[PeriodicTask], str] | None = None,
) -> str | SafeString:
    """When it was last sent; with links to that task, and to all of its runs."""
    if row.last_run_at is None:
        return _("never")
    when = time_tag(row.last_run_at)
    if task_url is None or results_url is None or row.last_task_id is None:
        return when
    return format_html(
        '<a href="{}">{}</a> · <a href="{}">{}</a>',
        task_url(row),
        when,
        results_url(row),
        _("all runs"),
    )


def error_of(row: PeriodicTask) -> SafeString:
    """Why it cannot be sent."""
    return format_html('<span class="djt-bad">{}</span>', one_line(row.error, 2_000))
