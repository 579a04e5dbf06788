"""Crontabs: what Celery accepts, what it refuses, and the ticks that follow a moment."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from djtasks.exceptions import DjtasksError
from djtasks.schedules import ScheduleError, crontab


def next_ticks(schedule: crontab, after: datetime, number: int) -> list[datetime]:
    found = []
    moment: datetime | None = after
    for _ in range(number):
        assert moment is not None
        moment = schedule.following(moment)
        assert moment is not None
        found.append(moment)
    return found


@pytest.mark.parametrize(
    ("field", "given", "numbers"),
    [
        ("minute", "*", set(range(60))),
        ("minute", 7, {7}),
        ("minute", " 5", {5}),
        ("minute", "1, 2", {1, 2}),
        ("minute", "5-5", {5}),
        ("minute", "*/20", {0, 20, 40}),
        ("minute", "*/100", {0}),
        ("minute", "1,13,30-32,50-59/4", {1, 13, 30, 31, 32, 50, 54, 58}),
        ("minute", "*,5", set(range(60))),
        ("minute", range(0, 60, 20), {0, 20, 40}),
        ("hour", "22-2", {22, 23, 0, 1, 2}),
        ("hour", {9, 17}, {9, 17}),
        ("day_of_week", "sun", {0}),
        ("day_of_week", "SUNDAY", {0}),
        ("day_of_week", "weds", {3}),
        ("day_of_week", "mon-fri", {1, 2, 3, 4, 5}),
        ("day_of_week", "fri-mon", {5, 6, 0, 1}),
        ("day_of_week", "fri-mon/2", {5, 0}),
        ("day_of_week", "sat-sun", {6, 0}),
        ("day_of_week", "*/2", {0, 2, 4, 6}),
        ("day_of_month", "*/10", {1, 11, 21, 31}),
        ("day_of_month", "30-2", {30, 31, 1, 2}),
        ("month_of_year", "jan,mar-may", {1, 3, 4, 5}),
        ("month_of_year", "nov-feb", {11, 12, 1, 2}),
        ("month_of_year", "2-12/2", {2, 4, 6, 8, 10, 12}),
    ],
)
def test_fields_mean_what_they_mean_to_celery(field: str, given: Any, numbers: set[int]) -> None:
    assert getattr(crontab(**{field: given}), field) == numbers


def test_iterables_may_contain_names() -> None:
    assert crontab(day_of_week=["mon", 3, "fri-sat"]).day_of_week == {1, 3, 5, 6}


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("minute", text)
        for text in ("", "1,,2", "60", "-5", "-", "1-", "a", "1 - 5", "5/10", "*/0", "*/", "1-10/")
    ]
    + [
        ("minute", "?"),
        ("minute", "1-10/mon"),
        ("minute", -1),
        ("minute", 60),
        ("minute", 5.0),
        ("minute", None),
        ("minute", []),
        ("hour", "24"),
        ("hour", []),
        ("day_of_week", 7),
        ("day_of_week", "7"),
        ("day_of_week", "0-7"),
        ("day_of_month", 0),
        ("day_of_month", "32"),
        ("day_of_month", "L"),
        ("month_of_year", 13),
        ("month_of_year", 0),
    ],
)
def test_what_celery_refuses_is_refused_by_the_name_of_its_argument(field: str, given: Any) -> None:
    with pytest.raises(ScheduleError, match=rf"crontab\({field}="):
        crontab(**{field: given})


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("minute", "1-5-7"),  # 1 to 5, to Celery
        ("minute", "*/5-7"),
        ("minute", "mon"),  # 1
        ("minute", True),
        ("minute", [5.0]),
        ("minute", "1_0"),  # 10
        ("day_of_week", "mon#1"),  # every Monday
        ("day_of_week", "mar"),  # Wednesday
        ("month_of_year", "mon"),  # January
    ],
)
def test_what_celery_misreads_is_refused(field: str, given: Any) -> None:
    with pytest.raises(ScheduleError, match=rf"crontab\({field}="):
        crontab(**{field: given})


def test_errors_say_what_to_write_instead() -> None:
    with pytest.raises(ScheduleError, match="Sunday is 0"):
        crontab(day_of_week=7)
    with pytest.raises(ScheduleError, match="5-59/10"):
        crontab(minute="5/10")
    with pytest.raises(ScheduleError, match=r"names \(sun, mon,"):
        crontab(day_of_week="monn-xyz")


def test_errors_are_those_of_djtasks_and_value_errors_as_in_celery() -> None:
    assert issubclass(ScheduleError, DjtasksError)
    assert issubclass(ScheduleError, ValueError)


@pytest.mark.parametrize(("day", "month"), [(31, 2), ("30", "feb"), ("31", "2,4,6,9,nov")])
def test_days_that_never_come_are_refused(day: Any, month: Any) -> None:
    with pytest.raises(ScheduleError, match="never run"):
        crontab(day_of_month=day, month_of_year=month)


def test_the_leap_day_comes_even_on_a_particular_weekday() -> None:
    leap = crontab.from_string("0 0 29 2 mon", timezone="UTC")
    after = datetime(2017, 1, 1, tzinfo=UTC)
    assert leap.following(after) == datetime(2044, 2, 29, tzinfo=UTC)
    # The longest wait there is: 1900 and 2100 are no leap years.
    assert leap.following(datetime(2072, 3, 1, tzinfo=UTC)) == datetime(2112, 2, 29, tzinfo=UTC)


def test_both_days_must_match_where_cron_takes_either() -> None:
    friday_13 = crontab(0, 0, "fri", "13", timezone="UTC")
    ticks = next_ticks(friday_13, datetime(2026, 1, 1, tzinfo=UTC), 4)
    assert [str(tick.date()) for tick in ticks] == [
        "2026-02-13",
        "2026-03-13",
        "2026-11-13",
        "2027-08-13",
    ]


def test_a_line_has_crons_order_and_any_blanks() -> None:
    line = crontab.from_string(" 30  4 1 jan\tmon ")
    assert line == crontab(30, 4, day_of_week=1, day_of_month=1, month_of_year=1)


@pytest.mark.parametrize("line", ["", "0 0 * *", "0 0 * * * *", "@daily", None])
def test_a_line_has_five_fields(line: Any) -> None:
    with pytest.raises(ScheduleError, match="five fields"):
        crontab.from_string(line)


def test_a_tick_is_strictly_after_and_on_the_minute() -> None:
    every = crontab(timezone="UTC")
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    second = timedelta(seconds=1)
    for after in (noon, noon + second, noon + timedelta(microseconds=1), noon + 59.999 * second):
        assert every.following(after) == noon + 60 * second
    assert every.following(noon - timedelta(microseconds=1)) == noon


def test_the_clock_is_that_of_the_schedules_zone() -> None:
    after = datetime(2026, 1, 1, tzinfo=UTC)
    assert crontab(30, 4, timezone="Asia/Kathmandu").following(after) == datetime(
        2026, 1, 1, 22, 45, tzinfo=UTC
    )
    assert crontab(30, 4, timezone=ZoneInfo("America/New_York")).following(after) == datetime(
        2026, 1, 1, 9, 30, tzinfo=UTC
    )
    assert crontab(30, 4, timezone=UTC).timezone == "UTC"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "/etc/passwd", "..", 3])
def test_a_zone_must_have_a_name_that_exists(zone: Any) -> None:
    with pytest.raises(ScheduleError, match="timezone="):
        crontab(timezone=zone)


def test_a_zone_without_a_name_is_refused() -> None:
    with pytest.raises(ScheduleError, match="by name"):
        crontab(timezone=timezone(timedelta(hours=2)))


def test_no_tick_follows_the_end_of_the_calendar() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert crontab(timezone="UTC").following(last) is None
    assert crontab(30, 4, timezone="America/New_York").following(last) is None


def test_equal_are_those_that_match_the_same_on_the_same_clock() -> None:
    assert crontab("*/30") == crontab([0, 30]) == crontab("30,0")
    assert hash(crontab("*/30")) == hash(crontab([0, 30]))
    assert crontab("*/30") != crontab("*/30", timezone="UTC")
    assert crontab(0, day_of_week=1) != crontab(0, day_of_month=1)
    assert crontab() != "* * * * *"


def test_a_crontab_shows_its_fields_as_they_were_given() -> None:
    given = crontab("*/15", [9, 17], "mon-fri", timezone="Europe/Berlin")
    assert repr(given) == "<crontab: */15 9,17 * * mon-fri (m/h/dM/MY/d) Europe/Berlin>"
    assert given.fields == "*/15 9,17 * * mon-fri"


def test_a_crontab_survives_pickling() -> None:
    given = crontab("*/15", 4, "mon-fri", timezone="Europe/Berlin")
    copied = pickle.loads(pickle.dumps(given))
    assert copied == given
    assert repr(copied) == repr(given)
