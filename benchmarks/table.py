"""What is printed."""

from __future__ import annotations

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


def number(value: float) -> str:
    """A number with as many digits as mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
