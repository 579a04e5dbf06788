"""(h): what a worker takes that has nothing to do."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from benchmarks import bare
from benchmarks.measure import Measure, Plan, Report
from benchmarks.worker import Worker

IDLE_SECONDS = 20.0
MIB = 1 << 20


def footprint(plan: Plan) -> Report:
    """Start-up time, and processor time and memory of all its processes while idle."""
    started: list[float] = []
    idle: list[float] = []
    memory: list[float] = []
    with bare.connect() as connection:
        bare.empty(connection)
        for turn in range(plan.rounds):
            with Worker() as worker:
                started.append(time.perf_counter() - worker.started)
                if turn:
                    # The others only start: that is quick, and idling is much the same.
                    continue
                time.sleep(plan.seconds(2.0))
                idle.append(100 * _idle_share(worker, plan.seconds(IDLE_SECONDS)))
                memory.append(sum(p.memory_full_info().pss for p in worker.tree()) / MIB)
    report = Report()
    report.figure("process start to ready", "s", started)
    report.at_most(report.figure("idle, of one core", "%", idle), 0.5)
    report.figure("memory (PSS), 4 processes", "MiB", memory)
    return report


def _idle_share(worker: Worker, seconds: float) -> float:
    began, before = time.perf_counter(), _cpu_seconds(worker)
    time.sleep(seconds)
    return (_cpu_seconds(worker) - before) / (time.perf_counter() - began)


def _cpu_seconds(worker: Worker) -> float:
    return sum(_cpu_seconds_of(process) for process in worker.tree())


def _cpu_seconds_of(process: psutil.Process) -> float:
    """What the scheduler counted, in nanoseconds; elsewhere than on Linux in clock ticks."""
    threads = list(Path(f"/proc/{process.pid}/task").glob("*/schedstat"))
    if threads:
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
    times = process.cpu_times()
    return float(times.user + times.system)


MEASURES = [Measure("h", "an idle worker", footprint)]
