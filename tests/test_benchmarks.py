"""The benchmarks run, and what they write can be read: no times are asserted here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from benchmarks.measure import Figure, Plan, Report, Target, alternate, percentile
from benchmarks.table import number

BASE_DIR = Path(__file__).resolve().parent.parent
KEYS = "abcdefghijklmn"
# A difference of two medians, and the memory that ten calls take on top of what is there.
MAY_BE_NOTHING = ("p50 over bare INSERT", "caller's peak")


def run(*arguments: str) -> tuple[int, subprocess.CompletedProcess[str]]:
    """Run the benchmarks as a user does, on the server of the tests; returns their pid too."""
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=280)
        finally:
            process.terminate()
    return process.pid, subprocess.CompletedProcess([], process.returncode, out, err)


def databases_of(pid: int) -> list[str]:
    """The databases that the run of this process has left on the server."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s", [f"%\\_bench\\_{pid}%"]
        )
        return [row[0] for row in cursor.fetchall()]


@pytest.mark.slow
def test_a_tiny_run_of_all_measures(tmp_path: Path, db: None) -> None:
    path = tmp_path / "made" / "latest.json"
    pid, done = run("--rounds=1", "--scale=0.01", "--markdown", f"--json={path}")
    assert done.returncode == 0, done.stdout + done.stderr
    written: dict[str, Any] = json.loads(path.read_text())

    assert "".join(written["measures"]) == KEYS
    for key, measure in written["measures"].items():
        assert f"({key}) {measure['title']}" in done.stdout
        assert measure["figures"], key
        assert measure["load"] >= 0
        assert measure["seconds"] > 0
        for figure in measure["figures"]:
            assert figure["lowest"] <= figure["median"] <= figure["highest"], figure
            assert figure["lowest"] > 0 or figure["name"].startswith(MAY_BE_NOTHING), figure

    targets = [t for measure in written["measures"].values() for t in measure["targets"]]
    verdicts = [line for line in done.stdout.splitlines() if "target:" in line]
    assert len(verdicts) == len(targets) == 40
    for line, target in zip(verdicts, targets, strict=True):
        assert line.endswith("ok" if target["met"] else "MISSED")

    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    figures = sum(len(measure["figures"]) for measure in written["measures"].values())
    assert len(rows) == 1 + len(written["measures"]) + figures
    assert sum("at least" in row or "at most" in row for row in rows) == len(targets)

    assert set(written["versions"]) == {"djtasks", "Python", "Django", "psycopg", "PostgreSQL"}
    assert written["cpus"] == os.cpu_count()
    assert written["rounds"] == 1
    assert written["server"]["synchronous_commit"] == "on"
    assert databases_of(pid) == []


def test_an_unknown_measure_is_refused() -> None:
    _pid, done = run("--only=a,z")
    assert done.returncode == 2
    assert "'a,z' are not letters of a, b, c" in done.stderr


def test_a_run_that_fails_drops_its_databases(tmp_path: Path, db: None) -> None:
    # The results cannot be written where a directory is: everything before that has worked.
    pid, done = run("--only=a", "--rounds=1", "--scale=0.01", f"--json={tmp_path}")
    assert done.returncode != 0
    assert "IsADirectoryError" in done.stderr
    assert databases_of(pid) == []


def test_rounds_alternate() -> None:
    order: list[str] = []

    def first() -> float:
        order.append("first")
        return 1.0

    def second() -> float:
        order.append("second")
        return 2.0

    assert alternate(3, first, second) == [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]
    assert order == ["first", "second", "second", "first", "first", "second"]


def test_a_ratio_is_taken_round_by_round() -> None:
    report = Report()
    ours = report.figure("ours", "/s", [10, 30, 20])
    bare = report.figure("bare", "/s", [20, 30, 80])
    ratio = report.ratio(ours, bare)
    assert ratio.rounds == [0.5, 1.0, 0.25]
    assert ratio.median == 0.5


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (Target("ratio", 0.6, 0.6), True),
        (Target("ratio", 0.59, 0.6), False),
        (Target("p50", 3.5, 3.5, at_most=True), True),
        (Target("p50", 3.51, 3.5, at_most=True), False),
    ],
)
def test_a_target_is_met_at_its_limit(target: Target, met: bool) -> None:
    assert target.is_met is met
    assert target.as_json()["met"] is met


@pytest.mark.parametrize(
    ("percent", "value"), [(50, 50.0), (95, 95.0), (99, 99.0), (100, 100.0), (0, 1.0)]
)
def test_percentiles(percent: float, value: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], percent) == value


def test_a_scale_changes_counts_but_leaves_enough_to_measure() -> None:
    assert Plan(5).count(20_000) == 20_000
    assert Plan(5, 0.1).count(20_000) == 2000
    assert Plan(5, 0.001).count(20_000, least=500) == 500
    assert Plan(5, 0.001).count(10, least=500) == 10
    assert Plan(5, 0.1).seconds(20) == 2.0
    assert Plan(5, 3).seconds(20) == 20.0


def test_figures_read_well() -> None:
    assert Figure("f", "/s", [3.0, 1.0, 2.0]).median == 2.0
    assert [number(v) for v in (12345.6, 100.0, 99.987, 0.5)] == ["12,346", "100", "99.99", "0.50"]
