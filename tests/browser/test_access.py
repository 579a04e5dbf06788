"""Everybody can use the pages: axe finds nothing serious, in light, in dark and on a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from djtasks import chord
from djtasks.models import TaskResult
from tests.browser.conftest import Meet
from tests.browser.test_a_night import fail, worker
from tests.testapp.browser_tasks import dawdle, deliver
from tests.worker_process import wait_drained

pytestmark = pytest.mark.django_db(transaction=True)

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True},
}


def serious(page: Page) -> list[str]:
    """What axe finds on the part of a page that is ours, and what it is in."""
    found = Axe().run(page, context="#content")
    return [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in found.response["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_serious_is_found(meet: Meet, look: str, tmp_path: Path) -> None:
    with worker():
        fail(tmp_path / "carrier")
        chord([deliver.s(n, carrier=str(tmp_path)) for n in range(12)], dawdle.si(0.0)).delay()
        wait_drained()
        dawdle.delay(30)
        dawdle.apply_async((1.0,), countdown=600)
        # The policy of the other tests forbids axe itself.
        person = meet(bypass_csp=True, **LOOKS[look])
        failed = TaskResult.objects.filter(state="FAILURE").first()
        in_chord = TaskResult.objects.filter(state="SUCCESS").first()
        assert failed is not None
        assert in_chord is not None
        paths = [
            "overview/",
            "taskrecord/",
            "taskrecord/?q=state%3AFAILURE",
            f"taskrecord/{failed.pk}/change/",
            f"taskrecord/{in_chord.pk}/change/",
            "queue/",
            "worker/",
        ]
        for path in paths:
            page = person.open(path)
            assert serious(page) == [], path
            # Nothing sticks out of the window.
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, path
