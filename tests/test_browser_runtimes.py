"""Classes of run times, and percentiles that are read from them."""

from __future__ import annotations

import math
import random

import pytest

from djtasks.browser.runtimes import class_of, percentile, seconds_of


def test_there_are_four_classes_in_each_doubling() -> None:
    assert [class_of(1e-6 * 2 ** (n / 4) * 1.0001) for n in range(9)] == list(range(9))


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9, 1e-6])
def test_what_is_shorter_than_a_microsecond_is_in_the_first_class(seconds: float) -> None:
    assert class_of(seconds) == 0


def test_the_middle_of_a_class_is_in_it() -> None:
    assert [class_of(seconds_of(n)) for n in range(200)] == list(range(200))


def test_a_percentile_is_wrong_by_a_ninth_at_most() -> None:
    random.seed(4)
    times = sorted(random.lognormvariate(-3, 2) for _ in range(10_000))
    counts: dict[int, int] = {}
    for seconds in times:
        counts[class_of(seconds)] = counts.get(class_of(seconds), 0) + 1
    for q in (0.5, 0.95, 0.99):
        found = percentile(counts, q)
        assert found is not None
        assert math.isclose(found, times[math.ceil(q * len(times)) - 1], rel_tol=1 / 9)


def test_counts_may_come_from_json_in_any_order() -> None:
    assert percentile({"40": 1, "8": 98, "100": 1}, 0.5) == seconds_of(8)
    assert percentile({"40": 1, "8": 98, "100": 1}, 1) == seconds_of(100)
    assert percentile({"40": 1, "8": 98, "100": 1}, 0) == seconds_of(8)


def test_nothing_counted_has_no_percentile() -> None:
    assert percentile({}, 0.5) is None
    assert percentile({3: 0}, 0.5) is None


def test_a_percentile_beyond_all_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        percentile({1: 1}, 95)
