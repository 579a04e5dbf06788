"""Settings of workers that tests start: the suite's, with what a test asks for."""

from __future__ import annotations

import json
import os

from tests.settings import *
from tests.settings import DATABASES

DJTASKS = json.loads(os.environ.get("DJTASKS_TEST_SETTINGS", "{}"))

for _database in DATABASES.values():
    _database["CONN_MAX_AGE"] = int(os.environ.get("DJTASKS_TEST_CONN_MAX_AGE", "0"))

DATABASE_ROUTERS = json.loads(os.environ.get("DJTASKS_TEST_ROUTERS", "[]"))
