"""Take the measures: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import server
from benchmarks.measure import Measure, Plan, load
from benchmarks.table import heading, markdown, table

OUT = Path(__file__).resolve().parent / "out" / "latest.json"
KEYS = "abcdefghijklmn"
FULL = Plan(rounds=5)
QUICK = Plan(rounds=2, scale=0.2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the measures that were asked for; a missed target is no failure."""
    options = _parser().parse_args(arguments)
    usual = QUICK if options.quick else FULL
    plan = Plan(options.rounds or usual.rounds, options.scale or usual.scale)
    # So that databases are dropped and workers stopped on the way out.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with server.databases():
        _set_up()
        measures = _run(plan, options.only, options.json)
    if options.markdown:
        print(f"\n{markdown(measures.values())}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--only", type=_keys, default=KEYS, metavar="A,C", help="only these measures, of a to m")
    add("--rounds", type=_positive, metavar="N", help=f"rounds of each, {FULL.rounds} by default")
    add("--scale", type=_factor, metavar="F", help="a factor on all counts and durations")
    add(
        "--quick",
        action="store_true",
        help=f"{QUICK.rounds} rounds at a scale of {QUICK.scale}: about a minute",
    )
    add("--json", type=Path, default=OUT, metavar="PATH", help=f"by default {OUT}")
    add("--markdown", action="store_true", help="print the table of docs/performance.md too")
    return parser


def _keys(text: str) -> str:
    keys = text.replace(",", "").lower()
    if not keys or set(keys) - set(KEYS):
        raise argparse.ArgumentTypeError(f"{text!r} are not letters of {', '.join(KEYS)}")
    return keys


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("there must be one round at least")
    return number


def _factor(text: str) -> float:
    factor = float(text)
    if not 0 < factor <= 10:
        raise argparse.ArgumentTypeError("the scale must be above 0 and at most 10")
    return factor


def _set_up() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    import django
    from django.core.management import call_command

    django.setup()
    from benchmarks import bare

    for alias in ("default", "deep"):
        call_command("migrate", database=alias, verbosity=0)
        with bare.connect(alias) as connection:
            bare.make_tables(connection)


def _run(plan: Plan, keys: str, path: Path) -> dict[str, Any]:
    """Take the measures, print them as they come, and write and return what was found."""
    facts = _facts(plan)
    print(f"{facts['date']}  {facts['processor']}, {facts['cpus']} CPUs  ", end="")
    print("  ".join(f"{name} {version}" for name, version in facts["versions"].items()))
    print(f"{plan.rounds} rounds, scale {plan.scale:g}; load average before each in brackets\n")
    print(heading(), flush=True)
    measures: dict[str, Any] = {}
    for measure in _measures():
        if measure.key not in keys:
            continue
        before, began = load(), time.perf_counter()
        report = measure.take(plan)
        print(table(measure, report, before), flush=True)
        measures[measure.key] = {
            "title": measure.title,
            "load": before,
            "seconds": time.perf_counter() - began,
            "figures": [figure.as_json() for figure in report.figures],
            "targets": [target.as_json() for target in report.targets],
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**facts, "measures": measures}, indent=2) + "\n")
    print(f"\nAll rounds: {path}")
    return measures


def _measures() -> list[Measure]:
    from benchmarks import browser, canvas, draining, enqueueing, footprint, latency, limited

    modules = (enqueueing, draining, latency, footprint, canvas, browser, limited)
    return sorted(
        (measure for module in modules for measure in module.MEASURES),
        key=lambda measure: measure.key,
    )


def _facts(plan: Plan) -> dict[str, Any]:
    """What the numbers depend on, beside the code."""
    import django
    import psycopg

    import djtasks
    from benchmarks import bare

    with bare.connect() as connection:
        settings = server.describe(connection)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "rounds": plan.rounds,
        "scale": plan.scale,
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "versions": {
            "djtasks": djtasks.__version__,
            "Python": platform.python_version(),
            "Django": django.get_version(),
            "psycopg": f"{psycopg.__version__} ({psycopg.pq.__impl__})",
            "PostgreSQL": settings["server_version"].split()[0],
        },
        "server": settings,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


if __name__ == "__main__":
    sys.exit(main())
