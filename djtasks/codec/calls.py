"""The arguments of a call and the result of a task as JSON text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from djtasks.codec.text import check_size
from djtasks.codec.types import TAG
from djtasks.codec.values import SCALARS, CannotEncode, checked_text, dumps, is_plain, loads, tagged
from djtasks.exceptions import DecodeError, EncodeError

__all__ = ["decode_call", "decode_result", "encode_call", "encode_result"]

_SMALL = 1 << 63
"""Whole numbers below this, and above its negative, are written without a look at their size."""


def encode_call(args: Sequence[Any], kwargs: Mapping[str, Any], *, task: str) -> str:
    """Return ``[args, kwargs]`` as JSON text.

    Args:
        args: the positional arguments.
        kwargs: the keyword arguments; their order is kept.
        task: the task's name, for messages.

    Raises:
        EncodeError: an argument cannot be stored; the text says which one, where in it, and why.
        PayloadTooLarge: they are larger than the setting ``MAX_PAYLOAD``.
    """
    for value in args:
        if type(value) not in SCALARS and not is_plain(value):
            return _encode_call(args, kwargs, task)
    if kwargs and not is_plain(kwargs):
        return _encode_call(args, kwargs, task)
    try:
        text = dumps((args, kwargs))
    except (ValueError, RecursionError):
        return _encode_call(args, kwargs, task)
    check_size(text, f"the arguments of task {task!r}")
    return text


def _encode_call(args: Sequence[Any], kwargs: Mapping[str, Any], task: str) -> str:
    # The thorough way: gives every value its tag, or says where the trouble is.
    stored_args = []
    for index, value in enumerate(args):
        try:
            stored_args.append(tagged(value))
        except CannotEncode as error:
            raise _refusal(f"args[{index}]{''.join(error.path)}", task, error) from error
    stored_kwargs = {}
    for name, value in kwargs.items():
        if not isinstance(name, str):
            raise EncodeError(
                f"Cannot send task {task!r}: its kwargs have the key {name!r}; the names of "
                "keyword arguments must be text."
            )
        try:
            stored_kwargs[checked_text(name)] = tagged(value)
        except CannotEncode as error:
            where = f"argument {name!r}"
            if error.path:
                where += f", at {''.join(error.path)},"
            raise _refusal(where, task, error) from error
    if TAG in stored_kwargs:
        stored_kwargs = {TAG: "dict", "v": [[name, value] for name, value in stored_kwargs.items()]}
    text = dumps((stored_args, stored_kwargs))
    check_size(text, f"the arguments of task {task!r}")
    return text


def _refusal(where: str, task: str, error: CannotEncode) -> EncodeError:
    return EncodeError(f"Cannot store {where} of task {task!r}: {error.reason}.")


def decode_call(text: str) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments that ``encode_call()`` wrote.

    Raises:
        DecodeError: they cannot be read in this process.
        InstanceGone: one of them is a model instance that no longer exists.
    """
    value = loads(text)
    if type(value) is list and len(value) == 2:
        args, kwargs = value
        if type(args) is list and type(kwargs) is dict:
            return args, kwargs
    raise DecodeError(f"Stored arguments are not a list and a dict: {text[:200]!r}.")


def encode_result(value: Any, *, what: str) -> str:
    """Return ``value`` as JSON text.

    Args:
        value: what a task returned, or the meta of a custom state.
        what: what it is, for messages: ``"the result of task 'shop.tasks.ship'"``.

    Raises:
        EncodeError: it cannot be stored; the text says where in it, and why.
        PayloadTooLarge: it is larger than the setting ``MAX_PAYLOAD``.
    """
    if value is None:
        return "null"
    if type(value) is int and -_SMALL < value < _SMALL:
        return str(value)
    if is_plain(value):
        try:
            text = dumps(value)
        except (ValueError, RecursionError):
            text = _encode_result(value, what)
    else:
        text = _encode_result(value, what)
    check_size(text, what)
    return text


def _encode_result(value: Any, what: str) -> str:
    try:
        return dumps(tagged(value))
    except CannotEncode as error:
        where = f"{''.join(error.path)} of {what}" if error.path else what
        raise EncodeError(f"Cannot store {where}: {error.reason}.") from error


def decode_result(text: str) -> Any:
    """Return the value that ``encode_result()`` wrote.

    Raises:
        DecodeError: it cannot be read in this process.
        InstanceGone: it holds a model instance that no longer exists.
    """
    return loads(text)
