"""What a user installs: complete, without the tests, and without a server of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import pytest

from tests import conftest

ROOT = Path(__file__).resolve().parent.parent

# Nothing from this repository but the package; no such database exists, and none is needed.
PRODUCTION = """
import os, sys
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "djtasks"],
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": "shop", "HOST": "192.0.2.1",
    }},
)
django.setup()
import psutil
print(sorted(name for name in sys.modules if name.startswith(("testproject", "tests", "environ"))))
print([process.name() for process in psutil.Process().children()])
print("DATABASE_URL" in os.environ)
"""


def test_a_production_project_starts_no_server() -> None:
    environ = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
    printed = subprocess.run(
        [sys.executable, "-c", PRODUCTION],
        cwd=ROOT,
        env=environ,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert printed.split("\n")[:3] == ["[]", "[]", "False"]


def test_the_package_can_be_imported_before_the_applications_are_loaded() -> None:
    code = "import djtasks; print(djtasks.__version__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel, built from a copy of what is in the repository."""
    source = tmp_path_factory.mktemp("source")
    for name in ("djtasks", "testproject", "tests", "benchmarks"):
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "out")
            )
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, source)
    target = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(source)], check=True)
    return zipfile.ZipFile(next(target.glob("djtasks-*.whl")))


@pytest.mark.slow
def test_wheel_holds_everything_in_the_package(wheel: zipfile.ZipFile) -> None:
    expected = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "djtasks").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert "djtasks/py.typed" in expected
    assert "djtasks/locale/de/LC_MESSAGES/django.mo" in expected
    assert any(name.startswith("djtasks/migrations/0001") for name in expected)
    assert expected <= set(wheel.namelist())


@pytest.mark.slow
def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"djtasks"}


@pytest.mark.slow
def test_wheel_states_what_it_is_and_needs(wheel: zipfile.ZipFile) -> None:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = wheel.read(name).decode()
    assert "\nRequires-Python: >=3.11\n" in metadata
    assert "\nRequires-Dist: django>=5.2\n" in metadata
    assert "\nRequires-Dist: psycopg>=3.2\n" in metadata
    assert "BSD-3-Clause" in metadata


def test_orphans_of_a_test_are_found() -> None:
    # The process in between ends at once, so that the sleeper is nobody's child any more.
    orphan = subprocess.run(
        ["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"],
        check=True,
        capture_output=True,
        text=True,
    )
    session = os.environ[conftest.SESSION_VARIABLE]
    found = {process.pid: process for process in conftest.processes_of(session)}
    pid = int(orphan.stdout)
    assert pid in found
    found[pid].kill()
    psutil.wait_procs([found[pid]], timeout=5)
