"""Runs the test matrix of tox.ini, as far as this machine has what it takes.

    python .ci/matrix.py one   one cell: this interpreter, the newest Django it runs
    python .ci/matrix.py all   every cell whose Python and PostgreSQL are here
    python .ci/matrix.py ends  the oldest and the newest of those

Further arguments go to pytest. tox has to be installed beside this interpreter. Pythons are looked
for on PATH and in pyenv.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import DEVNULL, PIPE

ROOT = Path(__file__).resolve().parent.parent
CELL = re.compile(r"py(\d)(\d+)-django(\d+)-pg(\d+)")
PG15 = Path(os.environ.get("DJTASKS_PG15_BIN") or "/usr/lib/postgresql/15/bin")


def cells() -> list[str]:
    """The cells of the matrix, oldest first."""
    listed = tox_output("list", "--no-desc").split()
    return sorted(filter(CELL.fullmatch, listed), key=age)


def age(cell: str) -> tuple[int, ...]:
    found = CELL.fullmatch(cell)
    assert found
    major, minor, django, postgres = map(int, found.groups())
    return django, major, minor, postgres


def is_runnable(cell: str, pythons: dict[str, bool]) -> bool:
    python, _, postgres = cell.split("-")
    if python not in pythons:
        pythons[python] = has_python(f"{python[2]}.{python[3:]}")
    reasons = [] if pythons[python] else [f"no Python {python[2]}.{python[3:]}"]
    if postgres == "pg15" and not (PG15 / "initdb").exists():
        reasons += [f"no PostgreSQL 15 in {PG15}"]
    if reasons:
        print(f"{cell}: left out, {' and '.join(reasons)}", flush=True)
    return not reasons


def has_python(version: str) -> bool:
    if f"{sys.version_info.major}.{sys.version_info.minor}" == version:
        return True
    command = shutil.which(f"python{version}")
    # pyenv's shims exist for every version, but those not switched on only complain.
    return (
        command is not None and subprocess.run([command, "-c", ""], stderr=DEVNULL).returncode == 0
    )


def switch_on_pyenv() -> None:
    """Put pyenv's Pythons on PATH, the newest release of each, if there is a pyenv."""
    if not shutil.which("pyenv"):
        return
    root = subprocess.run(["pyenv", "root"], stdout=PIPE, text=True).stdout.strip()
    found = []
    for python in Path(root, "versions").glob("3.*/bin/python"):
        if match := re.fullmatch(r"3\.(\d+)\.(\d+)", python.parent.parent.name):
            found.append((int(match[2]), str(python.parent)))
    newest_first = [folder for _, folder in sorted(found, reverse=True)]
    # Before the shims, which are no interpreters for tox.
    os.environ["PATH"] = os.pathsep.join([*newest_first, os.environ["PATH"]])


def cell_of_this_python() -> str:
    """This interpreter with the newest Django; in a Python newer than the matrix, with the last."""
    mine = f"py{sys.version_info.major}{sys.version_info.minor}"
    known = [cell for cell in cells() if cell.endswith("pg18")]
    django = [cell.split("-")[1] for cell in known if cell.split("-")[0] == mine]
    newest = known[-1].split("-")[1]
    return f"{mine}-{django[-1] if django else newest}-pg18"


def tox_output(*arguments: str) -> str:
    command = [sys.executable, "-m", "tox", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=PIPE, text=True).stdout


def main() -> int:
    which, *arguments = sys.argv[1:] or ["one"]
    switch_on_pyenv()
    if which == "one":
        chosen = [cell_of_this_python()]
    else:
        pythons: dict[str, bool] = {}
        chosen = [cell for cell in cells() if is_runnable(cell, pythons)]
        if which == "ends":
            chosen = list(dict.fromkeys([chosen[0], chosen[-1]]))
    print(f"tox: {' '.join(chosen)}", flush=True)
    command = [sys.executable, "-m", "tox", "run", "-e", ",".join(chosen), "--", *arguments]
    return subprocess.run(command, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
