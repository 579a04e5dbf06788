"""How the admin writes and draws things: nothing hides, nothing is endless, nothing is a style."""

from __future__ import annotations

import json
import re
import sys
import time
import traceback
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import override_settings
from django.utils import timezone, translation
from hypothesis import given
from hypothesis import strategies as st

from djtasks.codec import encode_call
from djtasks.look import charts, drawing, json_text, states, times, tracebacks
from djtasks.look.text import SENT, excerpt, one_line, short_name, visible
from djtasks.templatetags import djtasks_pages

texts = st.text() | st.text(alphabet="\x00\x1b\u202e\u2066\ufeff\udcff<&\"'\n a")


@given(texts)
def test_what_is_shown_has_no_control_and_no_mark_of_direction(text: str) -> None:
    shown = visible(text)
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown
    )
    shown.encode()


def test_hidden_characters_are_shown_as_escapes() -> None:
    assert visible("a\0b\u202ec\ufeff\U000e0041") == "a\\x00b\\u202ec\\ufeff\\U000e0041"


def test_words_of_other_scripts_stay_as_they_are() -> None:
    for text in ("👩\u200d💻", "\u0645\u06cc\u200c\u062e", "Ωμέγα", "a\tb\nc"):
        assert visible(text) == text


def test_five_million_characters_are_cut_and_counted() -> None:
    shown = excerpt("x" * 5_000_000)
    assert len(shown.text) == SENT
    assert shown.omitted == 5_000_000 - SENT
    assert len(shown.head) <= 4_000


def test_a_text_of_many_lines_is_folded_after_some() -> None:
    text = "".join(f"line {number}\n" for number in range(100))
    shown = excerpt(text)
    assert shown.head.count("\n") == 30
    assert shown.text == text
    assert shown.omitted == 0


@given(texts, st.integers(1, 30))
def test_a_line_is_one_line_and_as_long_as_it_may_be(text: str, length: int) -> None:
    line = one_line(text, length)
    assert "\n" not in line
    assert len(line) <= length + 1


def test_a_task_is_called_by_the_last_part_of_its_name() -> None:
    assert short_name("shop.tasks.pack") == "pack"
    assert short_name("pack") == "pack"
    assert short_name("odd.") == "odd."


def test_a_task_s_name_of_megabytes_is_cut_wherever_it_is_written() -> None:
    name = "shop." + "x" * 5_000_000
    assert len(short_name(name)) < 300
    assert len(djtasks_pages.task_name(name)) < 1_000
    assert len(djtasks_pages.task_name(name[5:])) < 1_000


def test_a_state_that_a_task_made_up_is_cut() -> None:
    assert len(states.pill("x" * 5_000_000)) < 1_000


# -- JSON -----------------------------------------------------------------------------------------


def test_small_values_are_on_one_line_and_large_ones_are_indented() -> None:
    shown = json_text.readable('{"ids": [1, 2, 3], "text": "%s", "more": {"a": null}}' % ("x" * 90))
    assert shown.splitlines()[:2] == ["{", '  "ids": [1, 2, 3],']
    assert json.loads(shown)["more"] == {"a": None}


def test_types_of_ours_are_shown_by_their_names() -> None:
    payload = encode_call((datetime(2026, 1, 2, tzinfo=UTC), (1, 2)), {"n": 3}, task="t")
    args, kwargs = json_text.loaded(payload)
    assert json_text.call_line(args, kwargs) == (
        'datetime("2026-01-02T00:00:00+00:00"), tuple(1, 2), n=3'
    )


def test_a_model_instance_is_shown_by_its_label_and_key() -> None:
    stored = '{"__djtasks__": "model", "v": ["shop.order", 7, "%s"]}'
    assert json_text.readable(stored % "default") == "shop.order(7)"
    assert json_text.readable(stored % "old") == 'shop.order(7, using="old")'
    assert json_text.readable(f"[{stored % 'default'}]") == "[shop.order(7)]"


@given(texts)
def test_json_for_editing_hides_nothing_and_is_what_it_was(text: str) -> None:
    shown = json_text.editable([text])
    assert visible(shown) == shown
    assert json.loads(shown) == [text]


@pytest.mark.parametrize(
    "text", ["no JSON", "[" * 100_000, '{"a":' * 100_000, '"' + "x" * 300_000 + '"', ""]
)
def test_what_cannot_be_parsed_is_shown_as_it_is(text: str) -> None:
    assert json_text.readable(text) == text


def in_lists(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        list(range(700_000)),
        in_lists(list(range(700_000)), 40),
        {"__djtasks__": "model", "v": ["shop.order", list(range(700_000)), "default"]},
        {str(number): [number, [number]] for number in range(200_000)},
    ],
    ids=["list", "list in lists", "key of an instance", "dict"],
)
def test_of_a_large_value_only_what_is_shown_is_written(value: Any) -> None:
    began = time.process_time()
    shown = json_text.pretty(value)
    assert time.process_time() - began < 2
    assert SENT < len(shown) < SENT + 1_000


def test_what_was_not_written_of_a_large_value_is_counted() -> None:
    value = list(range(700_000))
    shown = excerpt(json_text.pretty(value))
    stored = json.dumps(value)
    last = shown.text.split()[-2]
    assert shown.omitted == pytest.approx(len(stored) - stored.index(f" {last}"), abs=20)
    payload = f'[[{stored}], {{"n": {stored}}}]'
    told = excerpt(json_text.pretty_call(*json.loads(payload)))
    assert told.omitted == pytest.approx(shown.omitted + len(stored), abs=50)


def test_arguments_that_a_page_has_room_for_are_written_whole() -> None:
    assert json_text.pretty_call([1, "a"], {"n": [2]}) == '1,\n"a",\nn=[2]'
    assert json_text.pretty_call([], {"n": 1}) == "n=1"
    assert json_text.pretty_call([], {}) == ""
    whole = excerpt(json_text.pretty(list(range(10_000))))
    assert json.loads(whole.text) == list(range(10_000))
    assert whole.omitted == 0


def test_deep_json_is_shown_to_a_depth() -> None:
    shown = json_text.readable("[" * 500 + "]" * 500)
    assert "…" in shown


# -- times ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (0.000_25, "250 µs"),
        (0.012_34, "12.3 ms"),
        (0.5, "500 ms"),
        (0.999_9, "1.00 s"),
        (1.254, "1.25 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (184, "3 min 4 s"),
        (7_500, "2 h 5 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations_have_the_units_that_fit(seconds: float | None, shown: str) -> None:
    assert times.duration(seconds) == shown


def test_moments_are_told_from_now() -> None:
    now = datetime(2026, 5, 1, 12, tzinfo=UTC)
    told = [times.ago(now + timedelta(seconds=seconds), now) for seconds in (-0.2, -5, -200, 7300)]
    assert told == ["now", "5 s ago", "3 min ago", "in 2 h"]


def test_the_exact_time_is_in_the_zone_of_the_user() -> None:
    moment = datetime(2026, 5, 1, 12, 0, 0, 123_456, tzinfo=UTC)
    with timezone.override("Europe/Berlin"):
        assert times.exact(moment) == "2026-05-01 14:00:00.123 CEST"
        assert 'datetime="2026-05-01T12:00:00.123456+00:00"' in times.time_tag(moment)


def test_moments_without_a_zone_are_those_of_the_project() -> None:
    with override_settings(USE_TZ=False, TIME_ZONE="Europe/Berlin"):
        assert times.exact(datetime(2026, 5, 1, 14)) == "2026-05-01 14:00:00.000 CEST"  # noqa: DTZ001
        now = datetime(2026, 5, 1, 12, 0, 9, tzinfo=UTC)
        assert times.ago(datetime(2026, 5, 1, 14), now) == "9 s ago"  # noqa: DTZ001


def test_numbers_of_durations_are_written_as_the_language_does() -> None:
    with translation.override("de"), override_settings(USE_I18N=True):
        assert times.duration(1.25) == "1,25 s"


# -- states ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [*states.LOOKS, "PROGRESS", "<b>\u202e"])
def test_a_state_has_a_word_and_a_shape(state: str) -> None:
    pill = states.pill(state)
    assert "<svg" in pill
    assert str(states.look(state).word) in pill or "&lt;b&gt;\\u202e" in pill
    check_markup(pill)


def test_states_that_are_told_apart_differ_in_shape() -> None:
    shapes = {states.look(state).shape for state in states.ORDER}
    assert len(shapes) == len(states.ORDER)


# -- drawings -------------------------------------------------------------------------------------

values = st.lists(st.floats(0, 1e12), max_size=70)


@given(values)
def test_bars_are_valid_svg_with_a_title_for_each_place(numbers: list[float]) -> None:
    bands = [charts.Band("succeeded", numbers), charts.Band("failed", numbers[::-1])]
    top = charts.ceiling(2 * max(numbers, default=0))
    drawn = charts.bars(bands, [f"<{number}>" for number in numbers], top, "a & b")
    root = ElementTree.fromstring(drawn)
    assert len(root.findall(".//g/title")) == len(numbers)
    for rect in root.iter("rect"):
        assert float(rect.attrib["height"]) >= 0
        assert float(rect.attrib["y"]) >= -3.1  # the least height of two bars
    check_markup(drawn)


@given(st.lists(st.none() | st.floats(0, 1e9), max_size=70))
def test_lines_leave_gaps_where_nothing_was_measured(numbers: list[float | None]) -> None:
    top = charts.ceiling(max((number for number in numbers if number is not None), default=0))
    drawn = charts.lines([charts.Line("p50", numbers)], ["t"] * len(numbers), top, "run time")
    paths = [path.attrib["d"] for path in ElementTree.fromstring(drawn).iter("path")]
    runs = sum(
        1
        for index, number in enumerate(numbers)
        if number is not None and (index == 0 or numbers[index - 1] is None)
    )
    assert "".join(paths).count("M") == runs
    check_markup(drawn)


@given(st.floats(0, 1e15))
def test_the_top_of_an_axis_is_round_and_not_far_above(largest: float) -> None:
    top = charts.ceiling(largest)
    assert top >= largest * (1 - 1e-6)
    assert largest == 0 or top <= 2.01 * largest or top == 1.0


def test_a_sparkline_of_nothing_is_empty() -> None:
    assert "<rect" not in charts.sparkline([0, 0, 0], "nothing")


def test_a_workflow_is_drawn_with_links_titles_and_shares() -> None:
    boxes = [
        drawing.Box("a", 0, "fetch", "shop.fetch", "SUCCESS", "1.2 s", href="/a/"),
        drawing.Box(
            "b",
            1,
            "10,000 render",
            "render",
            "RUNNING",
            "9,874 done",
            counts={"SUCCESS": 9874, "READY": 126},
        ),
        drawing.Box("c", 2, "<script>", "\u202e", "WAITING", "", href="/c/?a=1&b=2", current=True),
    ]
    drawn = drawing.draw(boxes, [("a", "b"), ("b", "c"), ("c", "unknown")], "Workflow")
    root = ElementTree.fromstring(drawn)
    assert [link.attrib["href"] for link in root.iter("a")] == ["/a/", "/c/?a=1&b=2"]
    assert len([path for path in root.iter("path") if path.get("class") == "djt-edge"]) == 2
    shares = [
        float(rect.attrib["width"])
        for rect in root.iter("rect")
        if "djt-share" in rect.attrib["class"]
    ]
    assert sum(shares) == pytest.approx(drawing.BOX_WIDTH, abs=0.2)
    check_markup(drawn)


def test_a_workflow_of_nothing_is_an_empty_drawing() -> None:
    ElementTree.fromstring(drawing.draw([], [], "Workflow"))


# -- tracebacks -----------------------------------------------------------------------------------


def raised() -> str:
    try:
        json.loads("{")
    except ValueError:
        return traceback.format_exc()
    raise AssertionError("that was no JSON")


def test_own_frames_are_those_of_no_package_and_not_of_the_standard_library() -> None:
    found = tracebacks.parse(raised())
    assert [frame.name for frame in found.own] == ["raised"]
    assert found.own[0].code == 'json.loads("{")'
    assert found.count > 1


def test_the_innermost_own_frame_comes_first_and_recursion_is_cut() -> None:
    frame = '  File "/srv/shop/tasks.py", line {}, in deeper\n    deeper()\n'
    text = "Traceback (most recent call last):\n" + "".join(frame.format(n) for n in range(900))
    found = tracebacks.parse(text + "RecursionError: too deep\n")
    assert [own.line for own in found.own] == list(range(899, 899 - tracebacks.SHOWN, -1))


def test_frames_of_a_group_of_exceptions_are_found() -> None:
    text = (
        "  + Exception Group Traceback (most recent call last):\n"
        '  |   File "/srv/shop/tasks.py", line 3, in both\n'
        "  |     gather()\n"
        "  | ExceptionGroup: two (2 sub-exceptions)\n"
        "  +-+---------------- 1 ----------------\n"
        "    | Traceback (most recent call last):\n"
        '    |   File "/usr/lib/python3.12/asyncio/tasks.py", line 9, in run\n'
        "    | ValueError: a\n"
    )
    found = tracebacks.parse(text)
    assert [(frame.line, frame.code) for frame in found.own] == [(3, "gather()")]
    assert found.count == 2


def test_a_line_number_that_is_no_int_of_python_is_none() -> None:
    found = tracebacks.parse('  File "/srv/shop/tasks.py", line ' + "9" * 5_000 + ", in pack\n")
    assert (found.own, found.count) == ([], 0)


@given(texts)
def test_any_text_can_be_a_traceback(text: str) -> None:
    assert tracebacks.parse(text).count >= 0


def test_this_python_s_own_files_are_not_the_users() -> None:
    frame = tracebacks.Frame(f"{sys.modules['json'].__file__}", 1, "loads", "")
    assert not frame.is_own


class _Checker(HTMLParser):
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        assert tag not in {"script", "style"}
        assert not {name for name in names if name == "style" or name.startswith("on")}


def check_markup(markup: str) -> None:
    """Nothing in it that a strict Content-Security-Policy forbids."""
    _Checker().feed(markup)
