"""What cannot be stored or read is refused before any SQL, with words that say where and why."""

from __future__ import annotations

import enum
import json
import math
from typing import Any

import pytest
from django.test import override_settings

from djtasks.codec import decode_call, decode_result, encode_call, encode_result
from djtasks.exceptions import DecodeError, EncodeError, PayloadTooLarge

TAG = "__djtasks__"


class Size(enum.Enum):
    SMALL = 1


class Unknown:
    def __repr__(self) -> str:
        raise AssertionError("a repr() may ask the database")


circular: list[Any] = [1]
circular.append({"a": circular})
deep: list[Any] = []
for _ in range(500):
    deep = [deep]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "nan is not a number that JSON has"),
        (-math.inf, "-inf is not a number"),
        ("a\0b", "contains a NUL character"),
        ("a\ud800b", "contains a lone surrogate"),
        (10**5000, "an integer of more than 3000 digits"),
        (Unknown(), "a value of the type tests.test_codec_refusals.Unknown cannot be stored"),
        (object, "a value of the type type cannot be stored: pass its name"),
        (len, "pass its name, or data by which the task finds it"),
        ((n for n in [1]), "a value of the type generator cannot be stored: make it a list"),
        ({"a": 1}.keys(), "make it a list"),
        (1j, "a value of the type complex cannot be stored"),
        (circular, "contains itself"),
        (deep, "nested deeper than"),
        (enum.Enum("Local", "A").A, "which a worker cannot find"),  # type: ignore[attr-defined]
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) > 5 else type(value).__name__,
)
def test_refusals_say_why(value: Any, reason: str) -> None:
    for refused in (value, [value], {"k": (value,)}):
        with pytest.raises(EncodeError) as caught:
            encode_call((refused,), {}, task="shop.tasks.ship")
        assert reason in str(caught.value)
        assert "of task 'shop.tasks.ship': " in str(caught.value)
        with pytest.raises(EncodeError) as caught:
            encode_result(refused, what="the result of task 'shop.tasks.ship'")
        assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("args", "kwargs", "where"),
    [
        ((math.nan,), {}, "Cannot store args[0] of task 't': nan"),
        ((1, [{"k": ["\0"]}]), {}, "Cannot store args[1][0]['k'][0] of task 't': "),
        ((), {"order": 1j}, "Cannot store argument 'order' of task 't': "),
        ((), {"order": {"a": (1j,)}}, "Cannot store argument 'order', at ['a'][0], of task 't': "),
        (({1: {2: 1j}},), {}, "Cannot store args[0][1][2] of task 't': "),
        (({(1,): 1j},), {}, "Cannot store args[0][<tuple>] of task 't': "),
        (({"a\0": 1},), {}, "Cannot store args[0]['a\\x00'] of task 't': 'a\\x00' contains a NUL"),
        ((), {"a\0": 1}, "Cannot store argument 'a\\x00' of task 't': "),
        ((), {1: 2}, "Cannot send task 't': its kwargs have the key 1; "),
    ],
)
def test_refusals_say_where(args: Any, kwargs: Any, where: str) -> None:
    with pytest.raises(EncodeError) as caught:
        encode_call(args, kwargs, task="t")
    assert str(caught.value).startswith(where)


def test_refusals_of_results_say_where() -> None:
    with pytest.raises(
        EncodeError, match=r"^Cannot store \['a'\]\[1\] of the result of task 't': "
    ):
        encode_result({"a": [1, 1j]}, what="the result of task 't'")
    with pytest.raises(EncodeError, match=r"^Cannot store the result of task 't': "):
        encode_result(1j, what="the result of task 't'")


def test_values_that_occur_twice_are_not_circular() -> None:
    shared = [(1,)]
    text = encode_call([[shared, shared]], {}, task="t")
    assert decode_call(text) == ([[[(1,)], [(1,)]]], {})


def test_an_enumeration_that_lost_a_member_or_its_module() -> None:
    text = encode_result(Size.SMALL, what="x")
    with pytest.raises(DecodeError, match=r"tests\.test_codec_refusals\.Size has no member HUGE"):
        decode_result(text.replace("SMALL", "HUGE"))
    with pytest.raises(DecodeError, match=r"no enumeration 'Size' in a module 'tests\.not_there'"):
        decode_result(text.replace("tests.test_codec_refusals", "tests.not_there"))
    with pytest.raises(DecodeError, match="no enumeration 'Unknown'"):
        decode_result(text.replace("Size", "Unknown"))


@pytest.mark.parametrize(
    "stored",
    [
        {TAG: "datetime", "v": "yesterday"},
        {TAG: "decimal", "v": "x"},
        {TAG: "enum", "v": ["os", "system"]},
        {TAG: "set", "v": [[1]]},
        {TAG: "set"},
        {TAG: "no-such-tag", "v": 1},
        {TAG: ["list"], "v": 1},
    ],
)
def test_damaged_values_are_refused(stored: Any) -> None:
    with pytest.raises(DecodeError):
        decode_result(json.dumps(stored))


# -- size -----------------------------------------------------------------------------------------


@override_settings(DJTASKS={"MAX_PAYLOAD": 100})
def test_too_large_names_size_and_setting() -> None:
    with pytest.raises(PayloadTooLarge) as caught:
        encode_call(("x" * 1000,), {}, task="t")
    text = str(caught.value)
    assert text.startswith("Cannot store the arguments of task 't': 1,009 bytes as JSON are more ")
    assert "100 bytes that the setting MAX_PAYLOAD allows" in text
    with pytest.raises(PayloadTooLarge, match="the result of task 't': 102 bytes"):
        encode_result("x" * 100, what="the result of task 't'")


@override_settings(DJTASKS={"MAX_PAYLOAD": 100})
def test_size_is_counted_in_bytes() -> None:
    assert encode_result("x" * 98, what="x")
    assert encode_result("ü" * 49, what="x")
    for too_large in ("x" * 99, "ü" * 50, "\U0001f600" * 25):
        with pytest.raises(PayloadTooLarge):
            encode_result(too_large, what="x")
        with pytest.raises(PayloadTooLarge):
            encode_result((too_large,), what="x")
