"""The hot statements, one file each; :func:`load` gives one by name."""

from __future__ import annotations

from djtasks.statements import loader

load = loader(__name__)
