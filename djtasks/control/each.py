"""Doing something to many tasks, in short transactions."""

from __future__ import annotations

from typing import Final

BATCH: Final = 500
"""Tasks that are changed in one transaction, at most."""
