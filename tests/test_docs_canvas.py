"""The page on the canvas does what it shows: its blocks are carried out in a project of their own.

``python`` blocks are files of an app ``shop``, ``pycon`` blocks one session of ``manage.py shell``
beside a real worker, and ``shop/tests.py`` is run by ``manage.py test``.
"""

from __future__ import annotations

import re
import sys
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.test_docs import ROOT, Block, QuickStart, assert_shows, blocks, own_database

PAGE = (ROOT / "docs" / "canvas.md").read_text()

SETTINGS = """# mysite/settings.py
INSTALLED_APPS += ["djtasks", "shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "mysite"}}
"""

SESSION = """
import code
console = code.InteractiveConsole()
for number, lines in enumerate({sessions!r}):
    print(f"### {{number}}")
    for line in lines:
        print(">>> " + line)
        console.push(line)
"""


def files_and_sessions() -> tuple[list[Block], list[Block]]:
    """The blocks of the page; there are no others than these two kinds."""
    found = blocks(PAGE)
    files = [block for block in found if block.language == "python"]
    sessions = [block for block in found if block.language == "pycon"]
    assert len(files) + len(sessions) == len(found)
    return files, sessions


def typed(block: Block) -> list[str]:
    return [line[4:] for line in block.text.splitlines() if line.startswith(">>> ")]


@pytest.mark.slow
def test_the_page_does_what_it_shows(live_database: None, tmp_path: Path) -> None:
    files, sessions = files_and_sessions()
    with own_database() as database, ExitStack() as stack:
        project = QuickStart(tmp_path, database, stack)
        project.run("django-admin startproject mysite")
        project.directory /= "mysite"
        project.run([sys.executable, "manage.py", "startapp", "shop"])
        project.file(SETTINGS)
        for block in files:
            project.file(block.text)
        project.run([sys.executable, "manage.py", "migrate", "--verbosity=0"])
        project.start(f"{sys.executable} manage.py runtaskworker -l INFO -c 2", "...\nTasks:\n")

        code = SESSION.format(sessions=[typed(block) for block in sessions])
        output = project.run([sys.executable, "manage.py", "shell", "--verbosity=0", "-c", code])
        parts = re.split(r"^### \d+\n", output, flags=re.MULTILINE)[1:]
        assert len(parts) == len(sessions)
        for block, part in zip(sessions, parts, strict=True):
            assert_shows(block.text, part)

        project.run([sys.executable, "manage.py", "test", "--verbosity=0", "shop"])


def test_every_picture_is_shown_and_can_be_read() -> None:
    pictures = sorted((ROOT / "docs" / "images").glob("canvas-*.svg"))
    assert pictures
    for path in pictures:
        assert f"(images/{path.name})" in PAGE
        root = ElementTree.parse(path).getroot()
        assert root.get("role") == "img"
        words = [node.text for node in root if node.tag.endswith(("title", "desc"))]
        assert len(words) == 2
        assert all(words)
        assert "prefers-color-scheme: dark" in path.read_text()
