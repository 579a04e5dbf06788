"""Settings of the tests in a real browser: the suite's, behind a strict content policy."""

from __future__ import annotations

from tests.settings import *
from tests.settings import MIDDLEWARE

MIDDLEWARE = [*MIDDLEWARE, "tests.browser.policy.strict_policy"]
