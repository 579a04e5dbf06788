"""What is printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.measure import Figure, Measure, Report, Target


def heading() -> str:
    """The line above all figures."""
    return f"{'':<38}{'median':>10}{'lowest':>10}{'highest':>10}"


def table(measure: Measure, report: Report, load: float) -> str:
    """The figures of one measure, and how they compare with the targets."""
    lines = [f"({measure.key}) {measure.title}  [load {load:.2f}]"]
    lines += [_figure(figure) for figure in report.figures]
    lines += [_target(target) for target in report.targets]
    return "\n".join(lines)


def _figure(figure: Figure) -> str:
    values = (figure.median, min(figure.rounds), max(figure.rounds))
    numbers = "".join(f"{number(value):>10}" for value in values)
    return f"    {figure.name:<34}{numbers} {figure.unit}"


def _target(target: Target) -> str:
    word = "at most" if target.at_most else "at least"
    verdict = "ok" if target.is_met else "MISSED"
    return (
        f"      target: {target.name} {number(target.value)}, {word} {number(target.limit)}: "
        f"{verdict}"
    )


def markdown(measures: Iterable[Mapping[str, Any]]) -> str:
    """The table of ``docs/performance.md``, from what is written to the file."""
    lines = ["| | median | lowest | highest | target |", "|---|--:|--:|--:|---|"]
    for measure in measures:
        lines.append(f"| **{measure['title']}** | | | | |")
        targets = {target["name"]: target for target in measure["targets"]}
        for figure in measure["figures"]:
            unit = "" if figure["unit"] == "x" else f" {figure['unit']}"
            cells = [f"{number(figure[key])}{unit}" for key in ("median", "lowest", "highest")]
            target = targets.get(figure["name"])
            wanted = ""
            if target:
                verdict = "" if target["met"] else ", missed"
                wanted = f"at {target['at']} {number(target['limit'])}{unit}{verdict}"
            lines.append(f"| {figure['name']} | {' | '.join(cells)} | {wanted} |")
    return "\n".join(lines)


def number(value: float) -> str:
    """A number with as many digits as mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
