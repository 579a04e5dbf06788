"""Exceptions come back as their own class where that is safe, and never do any harm."""

from __future__ import annotations

import json
import os
import sys
import types
from datetime import date
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from djtasks.codec import decode_exception, encode_exception
from djtasks.exceptions import (
    DecodeError,
    InstanceGone,
    NotRegistered,
    Reject,
    SecurityError,
    TimeLimitExceeded,
)


class Plain(Exception):
    pass


class TwoArguments(Exception):
    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(code, text)


class OtherArguments(Exception):
    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}", "x")


class Outer:
    class Inner(Exception):
        pass


class NotAnException:
    made = False

    def __init__(self, *args: Any) -> None:
        type(self).made = True


class BrokenRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def trip(error: BaseException) -> BaseException:
    text = encode_exception(error)
    text.encode()
    assert "\0" not in text
    return decode_exception(text)


def stored(module: str | None, name: str, message: Any = ()) -> str:
    return json.dumps({"exc_type": name, "exc_message": message, "exc_module": module})


def test_stores_what_celery_stores() -> None:
    assert json.loads(encode_exception(Outer.Inner("a", 1))) == {
        "exc_type": "Outer.Inner",
        "exc_message": ["a", 1],
        "exc_module": __name__,
    }


@pytest.mark.parametrize(
    "error",
    [
        Plain(),
        Plain("a", 1, (2, 3), {"k": date(2024, 1, 1)}, b"\0"),
        TwoArguments(3, "x"),
        Outer.Inner("x"),
        ValueError("x"),
        KeyError("x"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"),
        KeyboardInterrupt(),
        NotRegistered("shop.tasks.x"),
        Reject("full", True),
        InstanceGone("shop.Order", 7, "default"),
        TimeLimitExceeded(30),
        ValidationError("wrong", code="c", params={"a": 1}),
    ],
    ids=repr,
)
def test_comes_back_as_its_class_with_its_arguments(error: BaseException) -> None:
    copy = trip(error)
    assert type(copy) is type(error)
    assert copy.args == error.args
    assert str(copy) == str(error)


def test_arguments_that_cannot_be_stored_are_shown() -> None:
    copy = trip(Plain(Outer, 1j, float("nan"), [Outer], BrokenRepr()))
    assert copy.args[:3] == (repr(Outer), "1j", "nan")
    assert copy.args[3] == repr([Outer])
    assert copy.args[4] == "<BrokenRepr whose repr() raised RuntimeError>"


def test_text_that_cannot_be_stored_is_made_storable() -> None:
    assert trip(Plain("a\0b\ud800", ["\0"])).args == ("a\\x00b\\ud800", repr(["\0"]))


def test_a_model_instance_is_shown_and_not_fetched() -> None:
    copy = trip(Plain(ContentType(pk=1, app_label="a", model="b")))
    assert isinstance(copy.args[0], str)
    assert copy.args[0].startswith("<ContentType: ")


def test_args_that_cannot_be_read() -> None:
    class Odd(Exception):
        @property
        def args(self) -> Any:  # type: ignore[override]
            raise RuntimeError("no")

    assert "RuntimeError('no')" in str(trip(Odd()).args[0])


def test_a_class_that_is_not_known_here_is_made_up() -> None:
    class Local(Exception):
        pass

    copy = trip(Local("x", 2))
    assert type(copy).__mro__[1] is Exception
    assert type(copy).__name__ == Local.__qualname__
    assert type(copy).__module__ == "djtasks.exceptions"
    assert copy.args == ("x", 2)


@pytest.mark.parametrize("module", ["tests.not_imported", None])
def test_a_module_that_is_not_imported_is_not_imported(module: str | None) -> None:
    copy = decode_exception(stored(module, "Error", ["x"]))
    assert type(copy).__name__ == "Error"
    assert "tests.not_imported" not in sys.modules


def test_a_class_that_cannot_be_called_so() -> None:
    copy = trip(OtherArguments(code=3))
    assert type(copy) is Exception
    assert str(copy) == f"{OtherArguments}(['code 3', 'x'])"


def test_a_message_that_is_no_list_is_the_only_argument() -> None:
    assert decode_exception(stored(__name__, "Plain", "x")).args == ("x",)


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), (__name__, "NotAnException"), ("builtins", "eval"), ("builtins", "object")],
)
def test_nothing_but_exceptions_is_called(module: str, name: str) -> None:
    with pytest.raises(SecurityError, match=f"Expected an exception class, got {module}.{name}"):
        decode_exception(stored(module, name, ["touch /tmp/never"]))
    assert NotAnException.made is False


def test_what_a_module_would_import_on_request_is_not_imported() -> None:
    module = types.ModuleType("tests.lazy_module")
    asked: list[str] = []

    def lazily(name: str) -> Any:
        asked.append(name)
        return os.system

    module.__getattr__ = lazily  # type: ignore[method-assign]
    sys.modules["tests.lazy_module"] = module
    try:
        copy = decode_exception(stored("tests.lazy_module", "Error.Inner", ["x"]))
    finally:
        del sys.modules["tests.lazy_module"]
    assert asked == []
    assert type(copy).__name__ == "Error.Inner"


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"exc_type": 3}', "{"])
def test_what_is_no_exception_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        decode_exception(text)


def test_an_argument_that_cannot_be_read_here_does_not_hide_the_exception() -> None:
    argument = {"__djtasks__": "no-such-tag", "v": 1}
    copy = decode_exception(stored(__name__, "Plain", [argument]))
    assert type(copy) is Plain
    assert copy.args == (argument,)


@override_settings(DJTASKS={"MAX_PAYLOAD": 8000})
def test_very_long_arguments_are_shortened() -> None:
    copy = trip(Plain("x" * 5000, list(range(5000)), *range(100)))
    assert copy.args[0] == "x" * 1000 + "… (5000 characters)"
    assert len(copy.args[1]) < 1100
    assert len(copy.args) == 10
    assert trip(Plain("x" * 1000)).args == ("x" * 1000,)


@given(st.lists(st.text() | st.floats() | st.complex_numbers() | st.binary() | st.none()))
def test_no_exception_is_too_odd_to_be_stored(arguments: list[Any]) -> None:
    copy = trip(Plain(*arguments))
    assert type(copy) is Plain
    assert len(copy.args) == len(arguments)
