"""Arguments, results and exceptions as JSON text, and back with their types.

What JSON has is stored as JSON. Beyond that, datetimes, dates, times, timedeltas, ``Decimal``,
``UUID``, bytes, sets, tuples, members of enumerations, dicts whose keys are not text, and saved
model instances (by model and primary key, fetched again when they are read) survive the trip with
their type. Other types can be added with :func:`register_type`. Anything else is an
``EncodeError`` that says where it is.

What goes beyond JSON is written as ``{"__djtasks__": tag, "v": …}``.
"""

from __future__ import annotations

from djtasks.codec.calls import decode_call, decode_result, encode_call, encode_result
from djtasks.codec.failures import decode_exception, encode_exception
from djtasks.codec.text import storable
from djtasks.codec.types import load_registered_codecs, register_type, unregister_type

__all__ = [
    "decode_call",
    "decode_exception",
    "decode_result",
    "encode_call",
    "encode_exception",
    "encode_result",
    "load_registered_codecs",
    "register_type",
    "storable",
    "unregister_type",
]
