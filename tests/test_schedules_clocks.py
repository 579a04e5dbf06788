"""Crontabs on the days on which clocks are changed, and against a search minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from djtasks.schedules import crontab
from djtasks.schedules.zones import first_moment
from tests.test_schedules_crontab import next_ticks

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"

MINUTE = timedelta(minutes=1)

naive = datetime.fromisoformat


def shown(line: str, zone: str, after: str, number: int) -> list[str]:
    """What clocks show at the ticks after a local time: day, time and offset."""
    start = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(zone))
    ticks = next_ticks(crontab.from_string(line, timezone=zone), start, number)
    return [f"{tick.astimezone(ZoneInfo(zone)):%d %H:%M%z}" for tick in ticks]


@pytest.mark.parametrize(
    ("line", "zone", "after", "ticks"),
    [
        ("30 2 * * *", BERLIN, "2026-03-28T12", ["29 03:00+0200", "30 02:30+0200"]),
        ("0 2 * * *", BERLIN, "2026-03-28T12", ["29 03:00+0200", "30 02:00+0200"]),
        ("0 3 * * *", BERLIN, "2026-03-28T12", ["29 03:00+0200", "30 03:00+0200"]),
        ("*/15 2 * * *", BERLIN, "2026-03-28T12", ["29 03:00+0200", "30 02:00+0200"]),
        ("30 2,3 * * *", BERLIN, "2026-03-28T12", ["29 03:00+0200", "29 03:30+0200"]),
        ("0 */2 * * *", BERLIN, "2026-03-29T00", ["29 03:00+0200", "29 04:00+0200"]),
        ("30 2 * * *", NEW_YORK, "2026-03-07T12", ["08 03:00-0400", "09 02:30-0400"]),
        ("15 2 * * *", LORD_HOWE, "2026-10-03T12", ["04 02:30+1100", "05 02:15+1100"]),
        ("45 2 * * *", LORD_HOWE, "2026-10-03T12", ["04 02:45+1100", "05 02:45+1100"]),
        # There was no 30 December 2011.
        ("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00", ["31 00:00+1400", "30 12:00+1400"]),
        # Midnight is in the gap.
        ("0 0 * * *", "Africa/Cairo", "2026-04-23T12", ["24 01:00+0300", "25 00:00+0300"]),
    ],
)
def test_a_time_that_is_skipped_runs_once_right_after_the_gap(
    line: str, zone: str, after: str, ticks: list[str]
) -> None:
    assert shown(line, zone, after, 2) == ticks


@pytest.mark.parametrize(
    ("line", "zone", "after", "ticks"),
    [
        ("30 2 * * *", BERLIN, "2026-10-24T12", ["25 02:30+0200", "26 02:30+0100"]),
        ("0 3 * * *", BERLIN, "2026-10-24T12", ["25 03:00+0100", "26 03:00+0100"]),
        ("0,30 2 * * *", BERLIN, "2026-10-25T02:10", ["25 02:30+0200", "26 02:00+0100"]),
        ("0 */2 * * *", BERLIN, "2026-10-25T00", ["25 02:00+0200", "25 04:00+0100"]),
        ("30 1 * * *", NEW_YORK, "2026-10-31T12", ["01 01:30-0400", "02 01:30-0500"]),
        ("45 1 * * *", LORD_HOWE, "2026-04-04T12", ["05 01:45+1100", "06 01:45+1030"]),
    ],
)
def test_a_time_that_comes_twice_runs_at_the_first(
    line: str, zone: str, after: str, ticks: list[str]
) -> None:
    assert shown(line, zone, after, 2) == ticks


def test_a_fixed_time_does_not_run_in_the_hours_second_coming() -> None:
    second_half = datetime(2026, 10, 25, 2, 10, fold=1, tzinfo=ZoneInfo(BERLIN))
    tick = crontab(30, 2, timezone=BERLIN).following(second_half)
    assert tick == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize("hour", ["*", "0-23", "*/1", "12-11"])
def test_a_crontab_of_every_hour_runs_every_real_hour(hour: str) -> None:
    for zone in (BERLIN, NEW_YORK, "Asia/Kathmandu", "UTC"):
        for start in (datetime(2026, 3, 7, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)):
            ticks = next_ticks(crontab(20, hour, timezone=zone), start, 24 * 31)
            gaps = {b - a for a, b in pairwise(ticks)}
            assert gaps == {60 * MINUTE}


def test_where_clocks_move_by_half_an_hour_what_they_show_counts() -> None:
    assert shown("15 * * * *", LORD_HOWE, "2026-10-04T00:30", 3) == [
        "04 01:15+1030",
        "04 03:15+1100",  # 02:15 was skipped
        "04 04:15+1100",
    ]
    assert shown("45 * * * *", LORD_HOWE, "2026-04-05T01:00", 3) == [
        "05 01:45+1100",
        "05 01:45+1030",
        "05 02:45+1030",
    ]


def test_an_hour_of_the_evening_before_that_comes_again_belongs_to_its_day() -> None:
    # In Asunción clocks went from Sunday 00:00 back to Saturday 23:00.
    assert shown("*/30 * * * sat", "America/Asuncion", "2024-03-23T23:10", 4) == [
        "23 23:30-0300",
        "23 23:00-0400",
        "23 23:30-0400",
        "30 00:00-0400",
    ]


ZONES = (BERLIN, NEW_YORK, LORD_HOWE, "Asia/Kathmandu", "UTC", "America/Havana", "Africa/Cairo")

# Days around the changes of these zones' clocks, and one on which nothing happens.
DAYS = [
    datetime(2026, *day, tzinfo=UTC)
    for day in [(3, 7), (3, 28), (4, 4), (4, 23), (6, 1), (10, 3), (10, 24), (10, 29), (10, 31)]
]


def numbers(first: int, last: int, some: int) -> st.SearchStrategy[str]:
    """A field: everything, some, or steps."""
    chosen = st.sets(st.integers(first, last), min_size=1, max_size=some)
    return st.one_of(
        st.just("*"),
        chosen.map(lambda found: ",".join(map(str, found))),
        st.integers(1, last).map(lambda step: f"*/{step}"),
    )


crontabs = st.builds(
    crontab,
    numbers(0, 59, 4),
    numbers(0, 23, 6),
    numbers(0, 6, 6),
    st.one_of(st.just("*"), numbers(1, 29, 29)),
    st.just("*"),
    timezone=st.sampled_from(ZONES),
)

moments = st.builds(
    lambda day, seconds: day + timedelta(seconds=seconds),
    st.sampled_from(DAYS),
    st.integers(0, 40 * 3600),
)


def matches(cron: crontab, wall: datetime) -> bool:
    return (
        wall.minute in cron.minute
        and wall.hour in cron.hour
        and wall.day in cron.day_of_month
        and wall.month in cron.month_of_year
        and wall.isoweekday() % 7 in cron.day_of_week
    )


def ticks_by_search(cron: crontab, after: datetime, until: datetime) -> list[datetime]:
    """All ticks after a moment and not after another, by looking at every minute."""
    zone = ZoneInfo(cron.timezone or "UTC")
    minute = after.replace(second=0, microsecond=0)
    found = set()
    if cron.hour == set(range(24)):
        while (minute := minute + MINUTE) <= until:
            if matches(cron, minute.astimezone(zone).replace(tzinfo=None)):
                found.add(minute)
        return sorted(found)
    wall = minute.astimezone(zone).replace(tzinfo=None) - timedelta(hours=2)
    while wall <= until.astimezone(zone).replace(tzinfo=None) + timedelta(hours=2):
        if matches(cron, wall):
            moment = wall.replace(tzinfo=zone).astimezone(UTC)
            while moment.astimezone(zone).replace(tzinfo=None) < wall:
                moment += MINUTE
            back = moment.astimezone(zone).replace(tzinfo=None)
            if back != wall:  # in a gap, and this is as far beyond its end as wall is in it
                while (moment - MINUTE).astimezone(zone).replace(tzinfo=None) == back - MINUTE:
                    moment, back = moment - MINUTE, back - MINUTE
            if after < moment <= until:
                found.add(moment)
        wall += MINUTE
    return sorted(found)


@settings(max_examples=150, deadline=None)
@given(cron=crontabs, after=moments)
def test_ticks_are_those_that_a_look_at_every_minute_finds(cron: crontab, after: datetime) -> None:
    until = after + timedelta(hours=50)
    expected = ticks_by_search(cron, after, until)[:200]
    found: list[datetime] = []
    moment = cron.following(after)
    while moment is not None and moment <= until and len(found) < 200:
        found.append(moment)
        moment = cron.following(moment)
    assert found == expected


@settings(deadline=None)
@given(cron=crontabs, after=moments, later=st.timedeltas(timedelta(0), timedelta(days=3)))
def test_a_later_moment_has_no_earlier_tick(
    cron: crontab, after: datetime, later: timedelta
) -> None:
    first, second = cron.following(after), cron.following(after + later)
    assert first is not None
    assert second is not None
    assert after < first <= second
    assert second == first or first <= after + later


@settings(deadline=None)
@given(cron=crontabs, after=st.datetimes(naive("1990-01-01"), naive("2090-01-01")))
def test_a_tick_matches_the_fields_or_ends_a_gap(cron: crontab, after: datetime) -> None:
    zone = ZoneInfo(cron.timezone or "UTC")
    tick = cron.following(after.replace(tzinfo=UTC))
    assert tick is not None
    wall = tick.astimezone(zone).replace(tzinfo=None)
    before = (tick - MINUTE).astimezone(zone).replace(tzinfo=None)
    skipped = [before + number * MINUTE for number in range(1, (wall - before) // MINUTE)]
    assert matches(cron, wall) or any(matches(cron, minute) for minute in skipped)


def test_the_first_moment_of_a_time_that_does_not_exist_is_the_end_of_the_gap() -> None:
    zone = ZoneInfo(BERLIN)
    for minute in (0, 1, 59):
        assert first_moment(zone, naive(f"2026-03-29T02:{minute:02}")) == (
            datetime(2026, 3, 29, 1, tzinfo=UTC),
            False,
        )
    assert first_moment(zone, naive("2026-03-29T03")) == (
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        True,
    )
