"""Values of tasks on a command line."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from typing import Any


def json_of(kind: type[Any], text: str) -> Any:
    """A list or an object of the command line."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no JSON: {error}") from error
    if not isinstance(value, kind):
        raise ArgumentTypeError(f"{text!r} is no JSON {'list' if kind is list else 'object'}")
    return value
