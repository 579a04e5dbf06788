"""Signatures, calls that are made later, and workflows of them."""

from djtasks.canvas.chain import chain
from djtasks.canvas.chord import chord
from djtasks.canvas.group import group
from djtasks.canvas.items import chunks, xmap, xstarmap
from djtasks.canvas.signature import (
    Signature,
    maybe_signature,
    maybe_subtask,
    signature,
    subtask,
)
from djtasks.canvas.stamping import StampingVisitor

__all__ = [
    "Signature",
    "StampingVisitor",
    "chain",
    "chord",
    "chunks",
    "group",
    "maybe_signature",
    "maybe_subtask",
    "signature",
    "subtask",
    "xmap",
    "xstarmap",
]
