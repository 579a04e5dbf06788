"""The statements of beats, one file each."""

from __future__ import annotations

from djtasks.statements import loader

load = loader(__name__)
