"""What people type into the search box, and what it is taken for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from djtasks.browser.filter import STATES, Filter, SearchError, Term
from djtasks.ids import new_id, to_uuid

NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
ID = UUID("01a2049e-7c3f-7b1a-8f00-000000000001")


@pytest.mark.parametrize(
    ("text", "filter"),
    [
        ("", Filter()),
        ("   ", Filter()),
        ("pack", Filter(text=("pack",))),
        ("pack ship", Filter(text=("pack", "ship"))),
        ('"state:FAILURE"', Filter(text=("state:FAILURE",))),
        ("01a2049e", Filter(id="01a2049e")),
        ("01A2049E-7C3F", Filter(id="01a2049e-7c3f")),
        (str(ID), Filter(id=str(ID))),
        ("01a", Filter(text=("01a",))),
        ("feed", Filter(text=("feed",))),
        ("id:feed", Filter(id="feed")),
        ("id:order-42", Filter(id="order-42")),
        ("state:failure", Filter(states=("FAILURE",))),
        ("state:FAILURE,RETRY state:ready", Filter(states=("FAILURE", "RETRY", "READY"))),
        ("state:started,pending", Filter(states=("RUNNING", "READY"))),
        ("STATE:FAILURE Queue:Mail", Filter(states=("FAILURE",), queue="Mail")),
        ('queue:"my \\"own\\" queue"', Filter(queue='my "own" queue')),
        ('queue:"not closed', Filter(queue="not closed")),
        ("task:shop.tasks.pack worker:a@b", Filter(task="shop.tasks.pack", worker="a@b")),
        ("task:=pack", Filter(task="=pack")),
        ("error:Timeout exception:OSError", Filter(error="Timeout", exception="OSError")),
        ('exception:""', Filter(exception="")),
        ("since:1h until:10m", Filter(since="1h", until="10m")),
        ("retried:yes", Filter(retried=True)),
        ("retried:No", Filter(retried=False)),
        (f"root:{ID}", Filter(root=ID)),
        ("root:my-own", Filter(root=to_uuid("my-own")[0])),
        ("kwargs.order_id:42", Filter(terms=(Term("order_id", "42"),))),
        ('kwargs.a.b:"x y" args.0:3', Filter(terms=(Term("a.b", "x y"), Term(0, "3")))),
        ("kwargs.url:https://a/?b", Filter(terms=(Term("url", "https://a/?b"),))),
    ],
)
def test_it_is_taken_for(text: str, filter: Filter) -> None:
    assert Filter.parse(text) == filter
    assert Filter.parse(filter.to_query()) == filter
    assert bool(filter) == bool(text.strip())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("quue:mail", "There is no “quue:”. Did you mean “queue”? There are: state, queue,"),
        ("nonsense:1", "There is no “nonsense:”. There are: state,"),
        ("kwargs:1", "There is no “kwargs:”. Did you mean “kwargs.KEY”?"),
        ("queue.mail:1", "There is no “queue.mail:”."),
        ("state:FAILLURE", "Did you mean “FAILURE”? There are: READY,"),
        ("state:,", "Say what “state:” is to be."),
        ("queue:", "Say what “queue:” is to be."),
        ("queue:a queue:b", "“queue” is said twice"),
        ("01a2049e 01a2049f", "“id” is said twice"),
        ("retried:maybe", "“retried:” is yes or no"),
        ("since:yesterday", "“since:” is a time back from now"),
        ("since:2026-02-30", "“since:” is a time back from now"),
        ("until:999999w", "“until:” is a time back from now"),
        ("root:01a2", "needs a whole id"),
        (f"root:{'x' * 256}", "has 256 characters"),
        (f"id:{'x' * 256}", "has 256 characters"),
        ("args.first:1", "needs a position"),
        ("args.²:1", "needs a position"),
        ("a\0b", "NUL"),
        ("x" * 2_001, "at most 2,000 characters"),
        ("a\ud800", "NUL"),
    ],
)
def test_what_cannot_be_searched_for_is_said(text: str, said: str) -> None:
    with pytest.raises(SearchError) as caught:
        Filter.parse(text)
    assert said in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_an_error_for_people(text: str) -> None:
    try:
        filter = Filter.parse(text)
    except SearchError:
        return
    assert Filter.parse(filter.to_query()) == filter


PLAIN = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(
    st.builds(
        Filter,
        states=st.lists(st.sampled_from(STATES), unique=True).map(tuple),
        queue=st.none() | PLAIN,
        task=st.none() | PLAIN,
        exception=st.none() | PLAIN | st.just(""),
        since=st.sampled_from([None, "3h", "2026-01-02", "2026-01-02T03:04:05+02:00"]),
        root=st.sampled_from([None, ID]),
        retried=st.sampled_from([None, True, False]),
        id=st.sampled_from([None, "01a2", "a custom id"]),
        terms=st.lists(
            st.builds(Term, st.integers(0, 99) | st.sampled_from(["a", "b.c"]), PLAIN)
        ).map(tuple),
        text=st.lists(PLAIN).map(tuple),
    )
)
def test_every_filter_can_be_written_as_a_search(filter: Filter) -> None:
    assert Filter.parse(filter.to_query()) == filter


def test_times_are_back_from_now_or_dates_in_the_zone_of_the_user() -> None:
    assert Filter(since="90s", until="2d").bounds(NOW) == (
        NOW - timedelta(seconds=90),
        NOW - timedelta(days=2),
    )
    with override_settings(TIME_ZONE="Europe/Berlin"):
        since, until = Filter(since="2026-01-02", until="2026-01-02").bounds(NOW)
        assert since == datetime(2026, 1, 1, 23, tzinfo=UTC)
        assert until == datetime(2026, 1, 2, 23, tzinfo=UTC)
        since, _ = Filter(since="2026-07-01T12:00").bounds(NOW)
        assert since == datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert Filter().bounds(NOW) == (None, None)


def test_the_beginning_of_every_id_of_ours_is_known_as_one() -> None:
    for length in (8, 13, 36):
        beginning = str(new_id())[:length]
        assert Filter.parse(beginning) == Filter(id=beginning)
