"""What mypy's Django plugin reads: every application, and no server."""

from __future__ import annotations

import os

os.environ["DATABASE_URL"] = "postgresql:///not-used"

from tests.settings import *
