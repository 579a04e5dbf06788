"""What is no workflow: mistakes are found where they are made, and say what is expected."""

from __future__ import annotations

from typing import Any

import pytest

from djtasks import Signature, chord, group
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
    with pytest.raises(TypeError, match="The header of a chord"):
        Signature.from_dict(
            {"task": "djtasks.chord", "subtask_type": "chord", "kwargs": {"body": echo.s()}}
        )
