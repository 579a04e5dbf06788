"""Finding tasks: one list over those that are queued and those that have ended, latest first."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from djtasks.browser.conditions import Conditions
from djtasks.browser.filter import Filter, SearchError
from djtasks.browser.places import Ids, Place, of_cursor, to_cursor
from djtasks.browser.reading import reading
from djtasks.browser.record import Record, records
from djtasks.browser.sources import SCAN, Found, Search
from djtasks.browser.terms import has_terms, payloads

__all__ = ["SCAN", "Filter", "Page", "Record", "SearchError", "find", "find_ids"]


@dataclass(frozen=True, slots=True)
class Page:
    """Some tasks, latest first, and the cursors of the pages of older and of newer ones.

    ``records`` are there only of a page that :func:`find` gives.

    ``searched_all`` says whether everything was looked at that could belong to this page. If not,
    about ``searched`` tasks were, and ``next`` searches further.
    """

    ids: list[UUID]
    next: str | None
    previous: str | None
    searched_all: bool
    searched: int
    records: list[Record] = field(default_factory=list)


def find(
    filter: Filter,
    *,
    cursor: str | None = None,
    size: int = 100,
    back: bool = False,
    using: str | None = None,
) -> Page:
    """The tasks that match, latest first, after ``cursor``, or with ``back`` those before it.

    The time of a task that is queued or runs is that of its call, of one that has ended its end.
    A cursor that is not one of ours raises :class:`SearchError`.
    """
    page = find_ids(filter, cursor=cursor, size=size, back=back, using=using)
    return replace(page, records=records(page.ids, using=using))


def find_ids(
    filter: Filter,
    *,
    cursor: str | None = None,
    size: int = 100,
    back: bool = False,
    using: str | None = None,
) -> Page:
    """What :func:`find` finds, as ids alone, for those who read something else of the tasks."""
    start = None if cursor is None else of_cursor(cursor)
    now = datetime.now(UTC)
    conditions = Conditions.of(filter, now)
    with reading(using, few=True) as database:
        search = Search(database, conditions, Ids.known(), start, back, size + 1)
        found = list(search.run())
    ends = [one.end for one in found if one.end is not None]
    end = (min(ends) if back else max(ends)) if ends else None
    places = _merged(found, end, back)
    if back and len(places) <= size and end is None:
        # Nothing is newer than these: the first page has them, and is full.
        return find_ids(filter, size=size, using=using)
    shown = places[:size]
    has_more = len(places) > size or end is not None
    further = shown[-1] if len(places) > size else end
    if back:
        shown.reverse()
        older, newer = shown[-1] if shown else start, further if has_more else None
    else:
        older, newer = further if has_more else None, shown[0] if shown else start
        newer = None if start is None else newer
    return Page(
        ids=_with_terms(shown, filter, using),
        next=None if older is None else to_cursor(older),
        previous=None if newer is None else to_cursor(newer),
        searched_all=len(places) > size or (end is None and not any(one.cut for one in found)),
        searched=sum(one.searched for one in found),
    )


def _merged(found: list[Found], end: Place | None, back: bool) -> list[Place]:
    """All that was found, up to where every source has looked, and each task once."""
    # What has ended since messages were read is told by both: its end counts.
    by_id = {place.id: place for one in found for place in one.places}
    places = sorted(by_id.values(), reverse=not back)
    if end is None:
        return places
    return [place for place in places if (place <= end if back else place >= end)]


def _with_terms(places: list[Place], filter: Filter, using: str | None) -> list[UUID]:
    """The ids at these places, without those whose arguments are not the wanted ones."""
    ids = [place.id for place in places]
    if not filter.terms:
        return ids
    texts = payloads(ids, using=using)
    return [id for id in ids if id in texts and has_terms(texts[id], filter.terms)]
