"""Template tags of the task browser."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django import template
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from djtasks.look import states, text, times

if TYPE_CHECKING:
    from djtasks.browser.counts import Capped

register = template.Library()

register.filter("pill", states.pill)
register.filter("mark", states.mark)
register.filter("visible", text.visible)
register.filter("duration", times.duration)
register.filter("excerpt", text.excerpt)
register.filter("short_name", text.short_name)


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """How long ago, with the exact time in the title."""
    return times.time_tag(moment)


@register.filter
def at(moment: datetime | None) -> SafeString | str:
    """The exact time."""
    return times.time_tag(moment, None if moment is None else times.exact(moment))


@register.filter
def kind(state: str) -> str:
    """The class that gives a state its colour."""
    return states.look(state).kind


@register.filter
def number(value: int | float | None) -> str:
    """A whole number with its groups of digits apart."""
    return "" if value is None else number_format(round(value), force_grouping=True)


@register.filter
def capped(value: Capped | None) -> str:
    """A number that was counted to a limit: with a plus if there are more."""
    if value is None:
        return ""
    return f"{number(value.value)}{'+' if value.more else ''}"


@register.filter
def percent(share: float | None) -> str:
    """A share of 1 as percents, with a decimal where that says more."""
    if share is None:
        return ""
    shown = 100 * share
    return f"{number_format(shown, 1 if 0 < shown < 9.95 else 0)} %"


@register.filter
def task_name(task: str) -> SafeString:
    """The last part of a task's name, with the whole of it as title."""
    return format_html(
        '<bdi title="{}">{}</bdi>',
        text.one_line(task, 2 * text.NAME),
        text.one_line(text.short_name(task), 60),
    )


@register.filter
def line(value: str | None, length: int = 160) -> str:
    """A text on one line."""
    return text.one_line(value or "", length)
