"""Signatures: calls that are made later."""

from djtasks.canvas.signature import Signature, maybe_signature, signature, subtask

__all__ = ["Signature", "maybe_signature", "signature", "subtask"]
