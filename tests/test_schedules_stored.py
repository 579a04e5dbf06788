"""Schedules as JSON and in words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone, translation
from hypothesis import given
from hypothesis import strategies as st

from djtasks.schedules import (
    Schedule,
    ScheduleError,
    clocked,
    crontab,
    from_json,
    schedule,
    solar,
)
from tests.test_schedules_clocks import crontabs

naive = datetime.fromisoformat

schedules: st.SearchStrategy[Schedule] = st.one_of(
    crontabs,
    st.builds(
        schedule,
        st.timedeltas(timedelta(microseconds=1), timedelta(days=36525)),
        relative=st.booleans(),
    ),
    st.datetimes(naive("0001-01-03"), naive("9999-12-29")).map(
        lambda moment: clocked(moment.replace(tzinfo=UTC))
    ),
    st.builds(
        solar,
        st.sampled_from(["sunrise", "solar_noon", "dusk_civil"]),
        st.floats(-90, 90),
        st.floats(-180, 180),
    ),
)


@given(given_=schedules)
def test_what_is_stored_is_what_is_read(given_: Schedule) -> None:
    stored = json.loads(json.dumps(given_.to_json()))
    read = from_json(stored)
    assert read == given_
    assert hash(read) == hash(given_)
    assert read.to_json() == stored
    assert repr(read) == repr(given_)
    assert given_.describe() == read.describe()


def test_the_stored_form() -> None:
    assert crontab("*/15", [17, 9], "mon-fri", timezone="UTC").to_json() == {
        "type": "crontab",
        "minute": "*/15",
        "hour": "9,17",
        "day_of_week": "mon-fri",
        "day_of_month": "*",
        "month_of_year": "*",
        "timezone": "UTC",
    }
    assert schedule(90).to_json() == {"type": "schedule", "run_every": 90, "relative": False}
    assert clocked(datetime(2026, 1, 1, tzinfo=UTC)).to_json() == {
        "type": "clocked",
        "moment": "2026-01-01T00:00:00+00:00",
    }
    assert solar("sunset", 52, 13.4).to_json() == {
        "type": "solar",
        "event": "sunset",
        "lat": 52.0,
        "lon": 13.4,
    }


CRONTAB = crontab().to_json()


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (None, "JSON object"),
        ([], "JSON object"),
        ({}, "'type'"),
        ({"type": "cron"}, "'type'"),
        ({"type": []}, "'type'"),
        ({"type": "schedule", "run_every": 30}, "lacks 'relative'"),
        ({"type": "schedule", "run_every": 30, "relative": False, "x": 1}, "'x'"),
        ({"type": "schedule", "run_every": "30", "relative": False}, "run_every="),
        ({"type": "schedule", "run_every": 30, "relative": 1}, "relative="),
        ({**CRONTAB, "minute": 5}, "minute"),
        ({**CRONTAB, "minute": "60"}, "minute="),
        ({**CRONTAB, "timezone": 3}, "timezone"),
        ({**CRONTAB, "timezone": "Mars"}, "timezone="),
        ({"type": "clocked", "moment": 3}, "ISO 8601"),
        ({"type": "clocked", "moment": "soon"}, "ISO 8601"),
        ({"type": "clocked", "moment": "2026-01-01"}, "no time zone"),
        ({"type": "solar", "event": "x", "lat": 0, "lon": 0}, "event="),
        ({"type": "solar", "event": "sunset", "lat": None, "lon": 0}, "lat="),
    ],
)
def test_a_stored_schedule_that_is_none_is_refused(stored: Any, said: str) -> None:
    with pytest.raises(ScheduleError, match=said):
        from_json(stored)


def test_a_class_reads_its_own_kind_only() -> None:
    with pytest.raises(ScheduleError, match="'crontab'"):
        crontab.from_json(schedule(30).to_json())
    with pytest.raises(ScheduleError, match="JSON object"):
        crontab.from_json([])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        (schedule(1), "every second"),
        (schedule(30), "every 30 seconds"),
        (schedule(90), "every 90 seconds"),
        (schedule(0.5), "every 0.5 seconds"),
        (schedule(60), "every minute"),
        (schedule(5400), "every 90 minutes"),
        (schedule(timedelta(hours=1)), "every hour"),
        (schedule(timedelta(hours=36)), "every 36 hours"),
        (schedule(timedelta(days=1), relative=True), "every day, by the clock"),
        (schedule(timedelta(days=2)), "every 2 days"),
        (crontab(), "every minute"),
        (crontab("*/5"), "every 5 minutes"),
        (crontab("0-59/5"), "every 5 minutes"),
        (crontab("*/7"), "*/7 * * * * (m/h/dM/MY/d)"),
        (crontab(0), "every hour"),
        (crontab([5, 35]), "every hour at minute 5, 35"),
        (crontab(30, 4), "at 04:30, every day"),
        (crontab(30, 4, "mon"), "at 04:30, every Monday"),
        (crontab(0, "9,17", "mon-fri"), "at 09:00, 17:00, every Monday to Friday"),
        (crontab(0, 9, "sat,sun"), "at 09:00, every Saturday, Sunday"),
        (crontab("*/5", day_of_week="sun"), "every 5 minutes, every Sunday"),
        (crontab(0, 0, 5, 13), "at 00:00, on day 13 of the month, only if it is Friday"),
        (
            crontab(0, 0, day_of_month=1, month_of_year="jan,jul"),
            "at 00:00, on day 1 of the month, only in: January, July",
        ),
        (crontab("*/10", "9-17"), "*/10 9-17 * * * (m/h/dM/MY/d)"),
        (crontab(30, 4, timezone="Asia/Kathmandu"), "at 04:30, every day (Asia/Kathmandu)"),
        (solar("sunset", -37.8, 144.9), "sunset at -37.8°, 144.9°"),
    ],
)
def test_a_schedule_in_words(given_: Schedule, words: str) -> None:
    with translation.override("en"):
        assert given_.describe() == words


def test_words_are_in_the_readers_language_and_moments_in_their_zone() -> None:
    with translation.override("de"), timezone.override("Europe/Berlin"):
        assert crontab(30, 4, "mon").describe() == "um 04:30, jeden Montag"
        assert schedule(0.5).describe() == "alle 0,5 Sekunden"
        moment = datetime(2026, 3, 1, 13, 30, tzinfo=UTC)
        assert clocked(moment).describe() == "einmal, am 01.03.2026 14:30:00 CET"
