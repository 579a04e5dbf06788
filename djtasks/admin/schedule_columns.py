"""What the pages of schedules show of each."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from djtasks.admin import query as q
from djtasks.admin.base import BrowserAdmin
from djtasks.admin.schedule_look import (
    error_of,
    last_run_of,
    next_run_of,
    schedule_words,
    upcoming_of,
)
from djtasks.look.text import NAME, one_line, short_name
from djtasks.models import PeriodicTask, Source


class ScheduleColumns(BrowserAdmin[PeriodicTask]):
    """Columns of the list and fields that are only shown."""

    @admin.display(description=gettext_lazy("Name"), ordering="name")
    def shown_name(self, row: PeriodicTask) -> SafeString:
        """Its name and its task, where it comes from, and that it cannot be sent."""
        pill = ""
        if row.error and row.enabled:
            pill = format_html(
                ' <span class="djt-pill djt-is-failure" title="{}">{}</span>',
                one_line(row.error, 300),
                _("Cannot be sent"),
            )
        source = "" if row.source == Source.ADMIN else f" · {Source(row.source).label}"
        return format_html(
            '{}{}<span class="djt-below" title="{}">{}{}</span>',
            one_line(row.name, NAME),
            pill,
            one_line(row.task, NAME),
            short_name(row.task),
            source,
        )

    @admin.display(description=gettext_lazy("Schedule"))
    def words(self, row: PeriodicTask) -> str:
        """Its rule in words."""
        return schedule_words(row)

    @admin.display(description=gettext_lazy("Next run"), ordering="next_run_at")
    def next_run(self, row: PeriodicTask) -> str | SafeString:
        """When it runs next."""
        return next_run_of(row)

    @admin.display(description=gettext_lazy("Last run"), ordering="last_run_at")
    def last_run(self, row: PeriodicTask) -> str | SafeString:
        """When it was last sent, with links to what became of that and of earlier ones."""
        return last_run_of(row, self._task_url, self._results_url)

    @admin.display(description=gettext_lazy("Last run"), ordering="last_run_at")
    def last_time(self, row: PeriodicTask) -> str | SafeString:
        """The same without links."""
        return last_run_of(row)

    @admin.display(description=pgettext_lazy("schedules", "Runs"), ordering="total_run_count")
    def runs(self, row: PeriodicTask) -> str:
        """How often it was sent."""
        return number_format(row.total_run_count, force_grouping=True)

    @admin.display(description=gettext_lazy("Next runs"))
    def upcoming(self, row: PeriodicTask) -> str | SafeString:
        """The next five."""
        return upcoming_of(row)

    @admin.display(description=gettext_lazy("Error"))
    def shown_error(self, row: PeriodicTask) -> SafeString:
        """Why it cannot be sent."""
        return error_of(row)

    @admin.display(description=gettext_lazy("Positional arguments"))
    def shown_args(self, row: PeriodicTask) -> SafeString:
        """As JSON."""
        return _json(row.args)

    @admin.display(description=gettext_lazy("Keyword arguments"))
    def shown_kwargs(self, row: PeriodicTask) -> SafeString:
        """As JSON."""
        return _json(row.kwargs)

    @admin.display(description=gettext_lazy("Other options"))
    def shown_others(self, row: PeriodicTask) -> SafeString | str:
        """Headers, and options of the call that have no field."""
        others = {**({"headers": row.headers} if row.headers else {}), **(row.options or {})}
        return _json(others) if others else "-"

    def _task_url(self, row: PeriodicTask) -> str:
        return self.url("taskrecord_change", row.last_task_id)

    def _results_url(self, row: PeriodicTask) -> str:
        return self.url("taskrecord_changelist") + q.link(q.qualifier("schedule", row.name))


def _json(value: Any) -> SafeString:
    """A value for a page, on lines."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    return format_html('<pre class="djt-pre">{}</pre>', one_line(text, 2_000))
