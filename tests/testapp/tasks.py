"""Tasks of the test application."""

from __future__ import annotations
