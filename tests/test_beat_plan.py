"""When periodic tasks are sent: the pure part, over weeks that pass in no time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djtasks.beat.plan import Rule, Step
from djtasks.schedules import Schedule, clocked, crontab, schedule

NOON = datetime(2026, 3, 23, 12, tzinfo=UTC)
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")


def at(hours: float) -> datetime:
    """A time so many hours after noon."""
    return NOON + timedelta(hours=hours)


def ticks(rule: Rule, until: datetime) -> list[datetime]:
    """All ticks of a rule, by asking for one after the other."""
    found = []
    tick = rule.after(rule.since)
    while tick is not None and tick <= until:
        found.append(tick)
        tick = rule.after(tick)
    return found


def test_an_interval_runs_first_when_it_has_passed_once() -> None:
    rule = Rule(schedule(3600), NOON)
    assert rule.step(None, NOON) == Step(None, at(1))
    assert rule.step(at(1), at(1)) == Step(at(1), at(2))


def test_ticks_that_were_missed_are_one_run() -> None:
    rule = Rule(schedule(3600), NOON)
    assert rule.step(at(1), at(5.5)) == Step(at(1), at(6))


def test_what_was_never_planned_is_late_from_when_it_was_made() -> None:
    rule = Rule(schedule(3600), NOON)
    assert rule.step(None, at(2.5)) == Step(at(1), at(3))
    assert Rule(clocked(at(1)), NOON).step(None, at(2)) == Step(at(1), None)


def test_a_moment_that_had_passed_when_it_was_made_never_comes() -> None:
    assert Rule(clocked(at(-1)), NOON).step(None, NOON) == Step(None, None)


def test_an_interval_with_a_start_runs_at_its_start() -> None:
    rule = Rule(schedule(3600), NOON, start=at(2.25))
    assert rule.upcoming(None, 3) == [at(2.25), at(3.25), at(4.25)]
    earlier = replace(rule, start=at(-10.5))
    assert earlier.upcoming(None, 2) == [at(0.5), at(1.5)]


def test_a_crontab_runs_at_its_start_if_that_is_one_of_its_times() -> None:
    rule = Rule(crontab(minute=0), NOON, start=at(2))
    assert rule.upcoming(None, 2) == [at(2), at(3)]


def test_the_end_is_included_and_nothing_comes_after_it() -> None:
    rule = Rule(schedule(3600), NOON, end=at(2))
    assert rule.upcoming(None, 5) == [at(1), at(2)]
    assert rule.step(at(2), at(2.1)) == Step(at(2), None)
    assert rule.step(at(2), at(20)) == Step(at(2), None)


def test_an_end_that_was_moved_before_the_planned_run_takes_it_back() -> None:
    rule = Rule(schedule(3600), NOON, end=at(0.5))
    assert rule.step(at(1), at(1)) == Step(None, None)
    assert rule.upcoming(at(1), 5) == []


def test_a_one_off_runs_once() -> None:
    rule = Rule(crontab(minute=0), NOON, one_off=True)
    assert rule.upcoming(None, 5) == [at(1)]
    assert rule.step(at(1), at(4)) == Step(at(1), None)


def test_nothing_is_sent_before_its_time() -> None:
    rule = Rule(crontab(minute=0), NOON)
    assert rule.step(at(1), at(1) - timedelta(microseconds=1)) == Step(None, at(1))


def test_a_crontab_beyond_the_deadline_waits_for_its_next_time() -> None:
    rule = Rule(crontab(minute=0), NOON)
    assert rule.step(at(1), at(1.5), 1799) == Step(None, at(2))
    assert rule.step(at(1), at(1.5), 1800) == Step(at(1), at(2))
    # Of several that were missed the latest counts, as in Celery.
    assert rule.step(at(1), at(3.1), 600) == Step(at(1), at(4))
    assert rule.step(at(1), at(3.1), 60) == Step(None, at(4))


def test_only_crontabs_have_a_deadline() -> None:
    assert Rule(schedule(3600), NOON).step(at(1), at(1.9), 1) == Step(at(1), at(2))


# --- weeks of workers that come and go ---------------------------------------------------------

rules = st.builds(
    Rule,
    st.one_of(
        st.builds(schedule, st.integers(600, 90_000), st.booleans()),
        st.builds(
            crontab,
            minute=st.sampled_from(["0", "*/15", "7,50", "30"]),
            hour=st.sampled_from(["*", "2", "*/6", "1-3", "22-2"]),
            day_of_week=st.sampled_from(["*", "mon-fri", "sun"]),
            timezone=st.sampled_from([None, *ZONES]),
        ),
        st.builds(clocked, st.integers(0, 200).map(at)),
    ),
    st.just(NOON),
    start=st.none() | st.integers(-100, 200).map(at),
    end=st.none() | st.integers(1, 300).map(at),
    one_off=st.booleans(),
)  # fmt: skip


looks = st.lists(st.tuples(st.floats(0.01, 40), st.booleans()), min_size=1, max_size=60)
"""When somebody looks, in hours after the look before, and whether they live to commit."""


@given(rules, looks)
def test_over_two_weeks_no_tick_is_missed_and_none_is_sent_twice(
    rule: Rule, looks: list[tuple[float, bool]]
) -> None:
    """Beats look when they look: killed and paused ones leave gaps of minutes or of days, and what
    one of them decided that was killed before its commit has not happened."""
    now, planned, due = NOON, False, None
    runs: list[tuple[datetime, datetime]] = []
    for pause, survives in [*looks, (24 * 14, True)]:
        now += timedelta(hours=pause)
        if planned and (due is None or due > now):
            continue
        step = rule.step(due if planned else None, now)
        if not survives:
            continue
        planned, due = True, step.next
        assert due is None or due > now
        if step.tick is not None:
            runs.append((step.tick, now))
    came = ticks(rule, now)
    if rule.one_off:
        assert [tick for tick, _sent in runs] == came[:1]
        return
    # Every tick is in the span from a run's tick to when it was sent, and in one only.
    covered = [[tick for tick in came if first <= tick <= sent] for first, sent in runs]
    assert [tick for part in covered for tick in part] == came
    assert all(
        part and part[0] == first for part, (first, _sent) in zip(covered, runs, strict=True)
    )


@given(rules)
def test_what_is_shown_as_next_is_what_is_sent_by_a_beat_that_is_always_there(rule: Rule) -> None:
    shown = rule.upcoming(None, 5)
    step = rule.step(None, NOON)
    sent: list[datetime] = []
    while step.next is not None and len(sent) < 5:
        step = rule.step(step.next, step.next)
        assert step.tick is not None
        sent.append(step.tick)
    assert sent == shown


@given(rules, st.floats(0, 100))
def test_a_planned_run_is_the_first_that_is_shown(rule: Rule, hours: float) -> None:
    due = rule.after(at(hours))
    if due is not None:
        assert rule.upcoming(due, 1) == [due]


def test_a_schedule_s_error_is_not_swallowed() -> None:
    class Broken(crontab):
        def _following(self, after: datetime, anchor: datetime | None) -> datetime | None:
            raise RuntimeError("broken")

    broken: Schedule = Broken()
    with pytest.raises(RuntimeError):
        Rule(broken, NOON).step(None, NOON)
