"""Runs read by several processes at the same time, and judged by the one that started them.

A worker reads, checks, writes and commits. It never loads the gate's library, which is larger than all the rest of it.
What is done with a run belongs in `ingest`.
"""

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn, cast

from lake.gate import Case, Gate, RuleGate, Verdict
from lake.small_process import give_memory_back, keep_small, without, without_main
from lake.sources import RunSource
from operators.runs.reading import Progress
from schemas.errors import TryAgainLater

Work = Callable[[RunSource, Gate, Progress], Any]
"""What a worker does with a run: a function that another process can import."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A worker read so much more."""

    n_frames: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class _Question:
    """A worker waits for the gate's word on a run."""

    case: Case


@dataclass(frozen=True, slots=True)
class _Done:
    """A worker is through with a run."""

    answer: Any


@dataclass(frozen=True, slots=True)
class _Failed:
    """A worker met what it has no answer for: a bug, or a disk that is full."""

    error: Exception


def in_processes(
    work: Work, runs: Sequence[RunSource], gate: RuleGate, *, n_workers: int, progress: Progress
) -> list[Any]:
    """What the work on each run returned, in the order of the runs, which is also the order in which they are begun.

    Parameters
    ----------
    work
        What is done with each run.
    runs
        The runs.
    gate
        Who judges them, here.
    n_workers
        How many are worked on at the same time.
    progress
        Told of every batch of frames that a worker read.

    Raises
    ------
    TryAgainLater
        If a worker was killed.
    """
    numbers = iter(range(len(runs)))
    answers: dict[int, Any] = {}
    doing: dict[Connection, int] = {}
    with _workers(work, gate.rules_id, min(n_workers, len(runs))) as workers:
        for worker, number in zip(workers, numbers, strict=False):
            worker.send(runs[number])
            doing[worker] = number
        while doing:
            for worker in cast("list[Connection]", wait(list(doing))):
                said = _heard(worker, workers[worker])
                if isinstance(said, _Read):
                    progress(said.n_frames, said.n_bytes)
                    gate.load()  # something will have to be judged; meanwhile the workers read on
                elif isinstance(said, _Question):
                    worker.send(gate.judge(said.case))
                elif isinstance(said, _Failed):
                    raise said.error
                else:
                    answers[doing.pop(worker)] = said.answer
                    for number in islice(numbers, 1):
                        worker.send(runs[number])
                        doing[worker] = number
    return [answers[number] for number in range(len(runs))]


@contextmanager
def _workers(work: Work, rules_id: str, n_workers: int) -> Iterator[dict[Connection, BaseProcess]]:
    """Processes that wait for runs, by the connection to each; all have ended when the block is left."""
    give_memory_back()
    # Spawned, not forked: delta-rs does not survive a fork of a process that has used it.
    spawn = multiprocessing.get_context("spawn")
    workers: dict[Connection, BaseProcess] = {}
    try:
        for _ in range(n_workers):
            ours, theirs = spawn.Pipe()
            workers[ours] = spawn.Process(target=_work, args=(theirs, rules_id), daemon=True)
            with without_main():
                workers[ours].start()
            theirs.close()  # so that a worker's end can be noticed
            ours.send(work)
        yield workers
    except BaseException:  # what they have not committed never was there
        for process in workers.values():
            process.terminate()
        raise
    finally:
        for connection, process in workers.items():
            connection.close()
            process.join()


def _heard(worker: Connection, process: BaseProcess) -> Any:
    try:
        return worker.recv()
    except (EOFError, ConnectionError):
        process.join()
        code = process.exitcode or 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        raise TryAgainLater(
            f"A process that read runs was {how}.",
            "Run the same command again: it goes on where it stopped. If memory was short, give it fewer --workers.",
        ) from None


def _work(parent: Connection, rules_id: str) -> None:
    """A worker's life: it hears what to do, then runs come, answers go, until the parent hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all of us; the parent ends its workers itself
    keep_small()
    asked = _Parent(parent, rules_id)
    with without("rich"):  # with which the library of log lines would paint errors
        work: Work = asked.heard()
    while True:
        run = asked.heard()
        try:
            answer = work(run, asked, asked.advance)
        except Exception as error:  # noqa: BLE001  # raised again by the parent
            error.add_note(traceback.format_exc())
            asked.told(_Failed(error))
        else:
            asked.told(_Done(answer))


class _Parent:
    """The process that started this one. When it is gone, so are we: what is not committed would go unjudged."""

    def __init__(self, connection: Connection, rules_id: str) -> None:
        self._connection = connection
        self.rules_id = rules_id

    def heard(self) -> Any:
        try:
            return self._connection.recv()
        except (EOFError, ConnectionError):
            _leave()

    def told(self, said: _Read | _Question | _Done | _Failed) -> None:
        try:
            self._connection.send(said)
        except ConnectionError:
            _leave()

    def judge(self, case: Case) -> Verdict:
        self.told(_Question(case))
        verdict: Verdict = self.heard()
        return verdict

    def advance(self, n_frames: int, n_bytes: int) -> None:
        self.told(_Read(n_frames, n_bytes))


def _leave() -> NoReturn:
    raise SystemExit  # no error: handlers of errors would record one, and there is nobody to tell
