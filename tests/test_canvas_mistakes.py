"""What is no workflow: mistakes are found where they are made, and say what is expected."""

from __future__ import annotations

from typing import Any

import pytest

from djtasks import Signature, chain, chord, group, signature
from tests.testapp.tasks import add, echo


@pytest.mark.parametrize(
    "whole",
    [
        add.s(1, 1) | chord([add.s(1), add.s(2)]),
        group(chord([add.s(1, 1)]), add.s(1, 1)),
        chord([chord([add.s(1, 1)])], echo.s()),
    ],
    ids=["chain", "group", "header"],
)
def test_a_chord_without_body_inside_of_another_is_explained(whole: Signature[Any]) -> None:
    with pytest.raises(TypeError, match="This chord has no body: give it one"):
        whole.delay()


def test_a_chord_without_header_is_no_empty_chord() -> None:
    with pytest.raises(TypeError, match="The header of a chord is made of signatures, not of None"):
        chord(None, echo.s())


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (None, "made of a task, the name of one, or a dict that was a signature, not of None"),
        (5, "not of 5"),
        ({"args": [1]}, "has the name of a task as its 'task'"),
        ({"task": add}, "has the name of a task as its 'task'"),
        ({"task": "x", "subtask_type": "foo"}, "'foo', which nobody has registered; there are ch"),
        ({"task": "x", "subtask_type": "group"}, "dict of a group has its 'tasks' in 'kwargs'"),
        ({"task": "x", "subtask_type": "chain", "kwargs": {}}, "has its 'tasks' in 'kwargs'"),
        ({"task": "x", "subtask_type": "chord"}, "dict of a chord has its 'header' in 'kwargs'"),
        ({"task": "x", "subtask_type": "xmap"}, "dict of a xmap has its 'it' in 'kwargs'"),
        ({"task": "x", "args": "ab"}, "args must be a list or tuple, not str"),
        ({"task": "x", "kwargs": [1]}, "kwargs must be a mapping, not list"),
    ],
)
def test_what_was_no_signature_is_explained(given: Any, match: str) -> None:
    with pytest.raises(TypeError, match=match):
        signature(given)


@pytest.mark.parametrize(
    "whole",
    [add.s(), chain(add.s(1), add.s(2)), group(add.s(1)), chord([add.s(1)], echo.s())],
    ids=["task", "chain", "group", "chord"],
)
def test_arguments_that_are_none_are_explained(whole: Any) -> None:
    ways = (whole.apply_async, whole.apply, whole.clone)
    for way in ways:
        for args in ("ab", 5, {"x": 1}):
            with pytest.raises(TypeError, match="args must be a list or tuple"):
                way(args)
        with pytest.raises(TypeError, match="kwargs must be a mapping, not list"):
            way((), [1])


@pytest.mark.parametrize(
    "whole",
    [add.s(), chain(add.s(1), add.s(2)), group(add.s(1)), chord([add.s(1)], echo.s())],
    ids=["task", "chain", "group", "chord"],
)
def test_a_link_that_is_no_signature_is_refused_where_it_is_made(whole: Any) -> None:
    for link in ("x", add, None):
        with pytest.raises(TypeError, match=r"signature"):
            whole.link(link)
        with pytest.raises(TypeError, match=r"signature"):
            whole.link_error(link)
