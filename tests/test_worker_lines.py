"""When a worker looks at the lines of tenants."""

from __future__ import annotations

import pytest

from djtasks.worker import lines as module
from djtasks.worker.lines import Lines


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """Those of a worker that knows a task whose messages stand in lines."""
    monkeypatch.setattr(module, "registry", type("Registry", (), {"has_lines": True}))
    lines = Lines()
    lines.start_over()
    return lines


def test_what_is_announced_during_a_look_is_looked_for_after_it(lines: Lines) -> None:
    """It may have been committed after the snapshot of that look: nothing announces it again."""
    assert lines.wants_to_look(0.0)
    lines.arguments(["q"], 10, 0.0, 1, ())
    lines.stir()
    lines.took([], 0.0, 0.01, more=False)
    assert lines.wants_to_look(0.01)
    lines.arguments(["q"], 10, 0.01, 1, ())
    lines.took([], 0.01, 0.02, more=False)
    assert not lines.wants_to_look(0.02)
