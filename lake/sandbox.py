"""The sandbox: questions of strangers, each answered from the published warehouse in a process of its own.

Some queries hear no interruption and need memory that DuckDB does not count; what cannot be stopped here can be killed.
"""

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from lake.answers import distinct_names, plain_rows
from lake.sealed import Limits, sealed, told, too_long
from schemas.errors import MeltlakeError, TryAgainLater
from schemas.settings import Settings

__all__ = ["Answer", "Limits", "ask"]

FOR_STRANGERS = Limits()
_AT_ONCE = threading.BoundedSemaphore(2)
_IN_LINE = threading.BoundedSemaphore(8)
"""Those that are answered, and those that wait: a web server has some forty threads for all that it does."""
_MOST_BYTES, _MOST_COLUMNS = 32_000_000, 500
_VARIABLES = {"HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV"}
"""What a process that answers strangers is told: no key of a store, and none of Airflow's."""
_START_S = 30.0
"""How long a process may take to start on a busy machine."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came out."""

    columns: list[str]
    types: list[str]
    """DuckDB's: VARCHAR, DOUBLE, DOUBLE[] ..."""
    rows: list[list[object]]
    """Values that JSON has."""
    is_cut: bool
    """Whether there were more rows than the limit."""
    seconds: float
    """Of the query itself."""


def ask(settings: Settings, sql: str, *, limits: Limits = FOR_STRANGERS) -> Answer:
    """Answer a stranger's question from the published warehouse, in a process of its own that is killed at its limits.

    It blocks until there is an answer. A process asks two questions at a time, while a few more wait.

    Raises
    ------
    MeltlakeError
        If the question is no single SELECT, would leave the sandbox or goes beyond a limit.
    TryAgainLater
        If two questions are being answered already, and do not end, or too many others wait.
    """
    if not Path(settings.warehouse).exists():
        raise MeltlakeError(f"There is no warehouse at {settings.warehouse} yet.", "Make it with `meltlake publish`.")
    question = json.dumps({"settings": settings.model_dump(), "sql": sql, "limits": asdict(limits)})
    with _one_of(_IN_LINE, wait_s=0.0), _one_of(_AT_ONCE, wait_s=limits.seconds):
        said = _said_by_a_process(question, limits)
    if "problem" in said:
        raise MeltlakeError(said["problem"], said["remedy"])
    return Answer(**said)


@contextmanager
def _one_of(places: threading.Semaphore, *, wait_s: float) -> Iterator[None]:
    if not places.acquire(timeout=wait_s):
        raise TryAgainLater("Two other questions are being answered.", "Ask again when they are done.")
    try:
        yield
    finally:
        places.release()


def _said_by_a_process(question: str, limits: Limits) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "lake.sandbox"]
    variables = {name: value for name, value in os.environ.items() if name in _VARIABLES}
    longest_s = limits.seconds + _START_S
    try:
        done = subprocess.run(
            command, input=question, capture_output=True, text=True, check=False, timeout=longest_s, env=variables
        )
    except subprocess.TimeoutExpired as error:
        raise too_long(limits) from error
    if not done.stdout:
        raise MeltlakeError(
            f"The query ended its process (exit code {done.returncode}).", "It probably needed too much memory."
        )
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _answer_one() -> None:
    """Read one question from stdin and write its answer to stdout: what `ask` starts."""
    try:
        said = json.dumps(_answered(json.loads(sys.stdin.read())))
        _require_size(len(said))
        _write(said)
    except MeltlakeError as error:
        _say(error)


def _answered(question: Mapping[str, Any]) -> dict[str, object]:
    settings, limits = Settings(**question["settings"]), Limits(**question["limits"])
    with told(limits), duckdb.connect(settings.warehouse, read_only=True) as connection:
        _bound_memory(limits)
        run = sealed(connection, settings, limits=limits, at_the_end=_say)
        started = time.perf_counter()
        found, types, is_cut = run(question["sql"])
        taken_s = time.perf_counter() - started
    _require_size(found.nbytes)
    if found.num_columns > _MOST_COLUMNS:
        raise MeltlakeError(f"The answer has {found.num_columns} columns.", f"Ask for {_MOST_COLUMNS} at most.")
    rows = [list(row.values()) for row in plain_rows(found)]
    return asdict(Answer(distinct_names(found).column_names, types, rows, is_cut, taken_s))


def _require_size(n_bytes: int) -> None:
    if n_bytes > _MOST_BYTES:
        raise MeltlakeError(f"The answer has {n_bytes // 1_000_000} MB.", "Ask for fewer columns or rows.")


def _bound_memory(limits: Limits) -> None:
    """Also what DuckDB does not count, where the system tells how much is in use."""
    if limits.memory_mb is not None:
        with suppress(OSError, ValueError):
            in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            most = in_use + 2 * limits.memory_mb * 1_000_000
            resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _say(error: MeltlakeError) -> None:
    _write(json.dumps({"problem": error.problem, "remedy": error.remedy}))


def _write(said: str) -> None:
    sys.stdout.write(said)
    sys.stdout.flush()


if __name__ == "__main__":
    _answer_one()
