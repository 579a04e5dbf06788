"""The statements of operations, one file each."""

from __future__ import annotations

from djtasks.statements import loader

load = loader(__name__)
