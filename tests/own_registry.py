"""A fixture for tests that declare tasks of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from djtasks.registry import registry


@pytest.fixture
def own_registry() -> Iterator[None]:
    """Take the tasks that the test declares out of the registry again."""
    tasks, duplicates = dict(registry), dict(registry.duplicates)
    yield
    registry.clear()
    registry.update(tasks)
    registry.duplicates.clear()
    registry.duplicates.update(duplicates)
