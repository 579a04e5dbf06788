"""The statements of the task browser, one file each: they read, and never more than is shown."""

from __future__ import annotations

from djtasks.statements import loader

load = loader(__name__)
