"""Intervals, single moments and the sun."""

from __future__ import annotations

import pickle
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import override_settings
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from djtasks.exceptions import ImproperlyConfigured
from djtasks.schedules import (
    Schedule,
    ScheduleError,
    clocked,
    crontab,
    maybe_schedule,
    schedule,
    solar,
)

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)

naive = datetime.fromisoformat


def shown(given: Schedule, zone: str, anchor: str, number: int) -> list[str]:
    start = datetime.fromisoformat(anchor).replace(tzinfo=ZoneInfo(zone))
    moment: datetime | None = start
    found = []
    with override_settings(TIME_ZONE=zone):
        for _ in range(number):
            assert moment is not None
            moment = given.following(moment, anchor=start)
            assert moment is not None
            found.append(f"{moment.astimezone(ZoneInfo(zone)):%d %H:%M:%S%z}")
    return found


def test_an_interval_is_counted_from_when_it_was_first_known() -> None:
    every = schedule(30)
    assert every.following(NEW_YEAR, anchor=NEW_YEAR) == NEW_YEAR + 30 * SECOND
    assert every.following(NEW_YEAR + 29 * SECOND, anchor=NEW_YEAR) == NEW_YEAR + 30 * SECOND
    assert every.following(NEW_YEAR + 30 * SECOND, anchor=NEW_YEAR) == NEW_YEAR + 60 * SECOND
    assert every.following(NEW_YEAR + 95 * SECOND, anchor=NEW_YEAR) == NEW_YEAR + 120 * SECOND


def test_the_first_tick_is_an_interval_after_the_anchor_even_if_that_lies_ahead() -> None:
    assert schedule(30).following(NEW_YEAR, anchor=NEW_YEAR + SECOND) == NEW_YEAR + 31 * SECOND


def test_an_interval_without_an_anchor_is_counted_from_the_moment() -> None:
    assert schedule(0.5).following(NEW_YEAR) == NEW_YEAR + SECOND / 2


def test_a_day_is_24_hours_whatever_the_clocks_do() -> None:
    assert shown(schedule(86400), "Europe/Berlin", "2026-03-28T10:37", 2) == [
        "29 11:37:00+0200",
        "30 11:37:00+0200",
    ]


@pytest.mark.parametrize(
    ("every", "zone", "anchor", "ticks"),
    [
        (2, "UTC", "2026-03-28T10:37:41.5", ["28 10:37:43+0000", "28 10:37:45+0000"]),
        (300, "UTC", "2026-03-28T10:37:41", ["28 10:42:00+0000", "28 10:47:00+0000"]),
        (7200, "Europe/Berlin", "2026-03-28T10:37:41", ["28 12:00:00+0100", "28 14:00:00+0100"]),
        (5400, "Europe/Berlin", "2026-03-28T10:37:41", ["28 12:00:00+0100", "28 13:00:00+0100"]),
        (3600, "Asia/Kathmandu", "2026-03-28T10:37:41", ["28 11:00:00+0545", "28 12:00:00+0545"]),
        (86400, "Europe/Berlin", "2026-03-28T10:37", ["29 00:00:00+0100", "30 00:00:00+0200"]),
        (129600, "Europe/Berlin", "2026-03-28T10:37", ["29 00:00:00+0100", "30 00:00:00+0200"]),
        (172800, "Europe/Berlin", "2026-03-28T10:37", ["30 00:00:00+0200", "01 00:00:00+0200"]),
        (
            3600,
            "Australia/Lord_Howe",
            "2026-04-05T00:40",
            ["05 01:00:00+1100", "05 02:00:00+1030", "05 03:00:00+1030"],
        ),
    ],
)
def test_relative_intervals_are_rounded_as_celery_does(
    every: int, zone: str, anchor: str, ticks: list[str]
) -> None:
    assert shown(schedule(every, relative=True), zone, anchor, len(ticks)) == ticks


@settings(deadline=None)
@given(
    every=st.floats(0.01, 400 * 3600),
    relative=st.booleans(),
    anchor=st.datetimes(naive("2020-01-01"), naive("2030-01-01")),
    later=st.timedeltas(timedelta(days=-3), timedelta(days=400)),
    more=st.timedeltas(timedelta(0), timedelta(days=2)),
    zone=st.sampled_from(["Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "UTC"]),
)
def test_ticks_of_an_interval_are_later_and_in_order(
    every: float, relative: bool, anchor: datetime, later: timedelta, more: timedelta, zone: str
) -> None:
    given_ = schedule(every, relative)
    start = anchor.replace(tzinfo=UTC)
    with override_settings(TIME_ZONE=zone):
        first = given_.following(start + later, anchor=start)
        second = given_.following(start + later + more, anchor=start)
    assert first is not None
    assert second is not None
    assert start + later < first <= second
    assert first > start
    assert second == first or first <= start + later + more


@pytest.mark.parametrize(
    "every", [0, -1, 1e-9, float("nan"), float("inf"), 1e300, True, None, "30", timedelta(0)]
)
def test_an_interval_must_be_a_length_of_time(every: Any) -> None:
    with pytest.raises(ScheduleError, match="run_every="):
        schedule(every)


def test_relative_must_be_a_flag() -> None:
    with pytest.raises(ScheduleError, match="relative="):
        schedule(30, relative="yes")  # type: ignore[arg-type]


def test_intervals_are_equal_by_length_and_rounding() -> None:
    assert schedule(60) == schedule(timedelta(minutes=1))
    assert hash(schedule(60)) == hash(schedule(timedelta(minutes=1)))
    assert schedule(60) != schedule(60, relative=True)
    assert schedule(60) != crontab()


def test_a_single_moment_comes_once() -> None:
    once = clocked(NEW_YEAR)
    assert once.following(NEW_YEAR - SECOND) == NEW_YEAR
    assert once.following(NEW_YEAR) is None


def test_a_naive_moment_is_in_the_projects_zone_not_in_the_users() -> None:
    with override_settings(TIME_ZONE="Europe/Berlin"), timezone.override("Asia/Tokyo"):
        assert clocked(naive("2026-01-01T01")) == clocked(NEW_YEAR)


def test_a_setting_gives_the_zone_of_schedules_that_have_none() -> None:
    with override_settings(TIME_ZONE="UTC", DJTASKS={"TIMEZONE": "Europe/Berlin"}):
        assert crontab(0, 1).following(NEW_YEAR - SECOND) == NEW_YEAR
        assert clocked(naive("2026-01-01T01")) == clocked(NEW_YEAR)


@pytest.mark.parametrize("moment", ["2026-01-01", 3, None, naive("0001-01-01")])
def test_a_single_moment_must_be_a_datetime(moment: Any) -> None:
    with pytest.raises(ScheduleError, match="clocked"), override_settings(TIME_ZONE="Asia/Tokyo"):
        clocked(moment)


@pytest.mark.parametrize("moment", [naive("2026-01-01"), "2026-01-01", None])
def test_moments_without_a_zone_are_refused(moment: Any) -> None:
    with pytest.raises(ScheduleError, match="after"):
        schedule(30).following(moment)
    if moment is not None:
        with pytest.raises(ScheduleError, match="anchor"):
            schedule(30).following(NEW_YEAR, anchor=moment)


def test_the_sun_sets_when_celery_says_so() -> None:
    pytest.importorskip("ephem")
    sunset = solar("sunset", 52.5, 13.4)
    first = sunset.following(NEW_YEAR)
    assert first == datetime(2026, 1, 1, 15, 3, 1, tzinfo=UTC)
    assert sunset.following(first) == datetime(2026, 1, 2, 15, 4, 7, tzinfo=UTC)
    assert sunset.following(first - timedelta(microseconds=1)) == first


def test_where_the_sun_stays_down_the_next_sunrise_follows() -> None:
    pytest.importorskip("ephem")
    tick = solar("sunrise", 69.65, 18.96).following(NEW_YEAR)
    assert tick == datetime(2026, 1, 15, 10, 29, 9, tzinfo=UTC)
    assert solar("sunrise", 90, 0).following(NEW_YEAR) is None


@pytest.mark.parametrize("longitude", [-179.9, 0, 90, 179.9])
def test_every_event_happens_each_day_of_a_year_between_the_tropics(longitude: float) -> None:
    pytest.importorskip("ephem")
    for event in ("dawn_astronomical", "sunrise", "solar_noon", "sunset", "dusk_astronomical"):
        here, moment = solar(event, 10, longitude), NEW_YEAR
        for _ in range(40):
            tick = here.following(moment)
            assert tick is not None
            assert moment == NEW_YEAR or abs(tick - moment - timedelta(days=1)) < 90 * SECOND
            moment = tick


def test_the_sun_needs_a_package_that_the_error_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ephem", None)
    here = solar("sunset", 52.5, 13.4)
    with pytest.raises(ImproperlyConfigured, match=r"djtasks\[solar\]"):
        here.following(NEW_YEAR)


@pytest.mark.parametrize(
    ("arguments", "blamed"),
    [
        (("noon", 0, 0), "event="),
        (([], 0, 0), "event="),
        (("sunset", 91, 0), "lat="),
        (("sunset", 0, -181), "lon="),
        (("sunset", "0", 0), "lat="),
        (("sunset", 0, float("nan")), "lon="),
        (("sunset", True, 0), "lat="),
    ],
)
def test_an_event_of_the_sun_has_a_name_and_a_place(arguments: Any, blamed: str) -> None:
    with pytest.raises(ScheduleError, match=blamed):
        solar(*arguments)


def test_numbers_and_timedeltas_are_intervals() -> None:
    assert maybe_schedule(30) == schedule(30)
    assert maybe_schedule(timedelta(hours=1), relative=True) == schedule(3600, relative=True)
    assert maybe_schedule(crontab(), relative=True) == crontab()


@pytest.mark.parametrize("given_", [None, "30", "* * * * *", True, object()])
def test_nothing_else_is_a_schedule(given_: Any) -> None:
    with pytest.raises(ScheduleError):
        maybe_schedule(given_)


def test_celerys_own_classes_are_refused_with_the_import_to_write() -> None:
    theirs = type("crontab", (), {"__module__": "celery.schedules"})()
    with pytest.raises(ScheduleError, match=r"import crontab from djtasks\.schedules"):
        maybe_schedule(theirs)


@pytest.mark.parametrize(
    "given_", [schedule(1.5, True), clocked(NEW_YEAR), solar("sunset", 52.5, -13)]
)
def test_schedules_survive_pickling(given_: Schedule) -> None:
    copied = pickle.loads(pickle.dumps(given_))
    assert copied == given_
    assert repr(copied) == repr(given_)
