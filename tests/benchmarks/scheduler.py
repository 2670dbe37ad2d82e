"""What Airflow itself costs: a thousand mapped tasks that do nothing, and the same thousand items in batches.

The embedded stack as `meltlake up` starts it: SQLite, LocalExecutor, four tasks at a time. Told are the CPU seconds of
each of its programs beyond what they take when nothing is to be done, and the wall time of the DAG's run.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from operators.scheduling.airflow_parts import PARTS
from operators.scheduling.batches import LEAST_S, batches
from operators.scheduling.estimates import INGEST_RUN_S
from operators.scheduling.stack import EmbeddedStack
from tests.benchmarks.measuring import Cost
from tests.benchmarks.recipes import settings_in
from tests.benchmarks.report import Line

N_ITEMS, N_PODS = 1000, 100
_IDLE_S, _POLL_S, _GIVE_UP_S = 60.0, 5.0, 3600.0
_TASKS, _PODS = "tasks", "pods and their API"


def scheduler(folder: Path, n_items: int = N_ITEMS, n_pods: int = N_PODS) -> Iterator[Line]:
    """One task for each item, then batches, then pods: lines with what one task costs."""
    dags = str(Path(__file__).with_name("dags"))
    with EmbeddedStack(settings_in(folder, "scheduler"), port=0, airflow={"CORE__DAGS_FOLDER": dags}) as stack:
        _wait_for_dags(stack)
        idle = _Idle.measured(_IDLE_S)
        n_batches = len(batches(dict.fromkeys(range(n_items), INGEST_RUN_S)))
        yield _line(stack, "nothing", n_items, idle=idle)
        told = f"{n_items} items of {INGEST_RUN_S} s in batches of {LEAST_S:g} s"
        yield _line(stack, "nothing", n_batches, idle=idle, told=told)
        yield _line(stack, "nothing_in_pods", n_pods, idle=idle)


def _line(stack: EmbeddedStack, dag: str, n_tasks: int, *, idle: "_Idle", told: str = "") -> Line:
    before = _cpu_seconds()
    wall_s, peak_mb = _run(stack, dag, n_tasks)
    spent = {name: value - before[name] - idle.cpu_s_per_s[name] * wall_s for name, value in _cpu_seconds().items()}
    cpu_s = sum(spent.values())
    shares = ", ".join(f"{name} {value:.1f}" for name, value in spent.items() if value >= 0.1)
    each = f"{cpu_s / n_tasks:.2f} CPU s each, {n_tasks / wall_s:.1f} tasks a second: {shares} CPU s"
    where = "in pods" if dag.endswith("pods") else "in Airflow's processes"
    what = f"{n_tasks} mapped tasks that do nothing, {where}"
    cost = Cost(cpu_s, wall_s, peak_mb, idle.memory_mb, 0.0, {})
    return Line(what, "Airflow", cost, told="; ".join(filter(None, (told, f"wall {wall_s:.0f} s", each))))


def _run(stack: EmbeddedStack, dag: str, n_tasks: int) -> tuple[float, float]:
    """Wall seconds of a run of the DAG, as Airflow counts them, and the most memory that was seen."""
    asked = {"logical_date": None, "conf": {"n_tasks": n_tasks}}
    name = stack.api(f"dags/{dag}/dagRuns", asked)["dag_run_id"]
    peak_mb, deadline = 0.0, time.monotonic() + _GIVE_UP_S
    while (run := _told(stack, f"dags/{dag}/dagRuns/{name}")).get("state") not in ("success", "failed"):
        if time.monotonic() > deadline:
            raise SystemExit(f"{dag}: {n_tasks} tasks were not done after {_GIVE_UP_S:.0f} s.")
        peak_mb = max(peak_mb, _memory_mb())
        time.sleep(_POLL_S)
    if run["state"] != "success":
        raise SystemExit(f"{dag}: the run failed; see {stack.home}.")
    began, ended = (datetime.fromisoformat(run[name]) for name in ("start_date", "end_date"))
    return (ended - began).total_seconds(), peak_mb


def _wait_for_dags(stack: EmbeddedStack) -> None:
    deadline = time.monotonic() + _GIVE_UP_S
    while not all(_told(stack, f"dags/{name}") for name in ("nothing", "nothing_in_pods")):
        if time.monotonic() > deadline:
            raise SystemExit(f"Airflow found no DAGs; see {stack.home}.")
        time.sleep(1.0)


def _told(stack: EmbeddedStack, path: str) -> dict[str, Any]:
    """The answer of a busy API server, or nothing yet."""
    with suppress(OSError):
        return dict(stack.api(path))
    return {}


@dataclass(frozen=True, slots=True)
class _Idle:
    """What the stack takes when nothing is to be done."""

    cpu_s_per_s: Mapping[str, float]
    memory_mb: float

    @classmethod
    def measured(cls, seconds: float) -> "_Idle":
        before = _cpu_seconds()
        time.sleep(seconds)
        return cls({name: (value - before[name]) / seconds for name, value in _cpu_seconds().items()}, _memory_mb())


def _cpu_seconds() -> dict[str, float]:
    """CPU seconds so far of each program of Airflow, of the tasks that the scheduler started, and of pods."""
    me = psutil.Process()
    looking_s = time.thread_time()  # what this page asks costs, too
    found = dict.fromkeys((*PARTS, _TASKS, _PODS), 0.0) | {_PODS: sum(me.cpu_times()[:4]) - looking_s}
    for child in me.children():
        part = next((name for name in PARTS if _is_part(child, name)), _PODS)
        own, below = _own(child), _below(child)
        found[part] += own if part == "scheduler" else own + below
        found[_TASKS] += below if part == "scheduler" else 0.0
    return found


def _is_part(process: psutil.Process, name: str) -> bool:
    with suppress(psutil.Error):
        return f"airflow {name}" in " ".join(process.cmdline()).replace("_", "-")
    return False


def _own(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        return sum(process.cpu_times()[:2])
    return 0.0


def _below(process: psutil.Process) -> float:
    """Of all that a process has started, also of what has ended."""
    with suppress(psutil.Error):
        return sum(process.cpu_times()[2:4]) + sum(_own(child) + _below(child) for child in process.children())
    return 0.0


def _memory_mb() -> float:
    """Of this process and all below it, shared pages shared out."""
    total = 0.0
    for process in (psutil.Process(os.getpid()), *psutil.Process().children(recursive=True)):
        with suppress(psutil.Error):
            total += process.memory_full_info().pss / (1 << 20)
    return total
