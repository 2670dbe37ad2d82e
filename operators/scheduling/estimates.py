"""How long a step takes, told before it is begun: for sharing work among pods, not for promises.

CPU seconds on one core of the machine in `docs/sizing.md`, without the start of the command. Each is rather too short
than too long: then a task gets more work than it should, and never so little that it is not worth its pod.
"""

from collections.abc import Mapping
from typing import Any

_INGEST_RUN_S = 0.4
"""Gate, commits and links of a run, whatever its length: 0.47 s each for 150 runs of five frames."""
_INGEST_BYTES_PER_S = 400e6
"""OUTCAR at NWRITE = 2, VASP's default: 0.5 ms for 213 kB. At NWRITE = 1 there are three times as many frames in it."""
_INGEST_PACKED_BYTES_PER_S = 40e6
"""The same frames as .gz, at NWRITE = 1: 0.48 ms for 20 kB."""

_JUDGE_RUN_S = 0.15
_JUDGE_ATOM_S = 0.25e-6
_OBSERVE_RUN_S = 0.5
_OBSERVE_ATOM_S = 3e-6

_PACKED = (".gz", ".bz2", ".xz")


def ingest_run_s() -> float:
    """For each run, besides its bytes."""
    return _INGEST_RUN_S


def ingest_file_s(path: str, n_bytes: int) -> float:
    """Reading and judging what is in a file."""
    return n_bytes / (_INGEST_PACKED_BYTES_PER_S if path.endswith(_PACKED) else _INGEST_BYTES_PER_S)


def judge_s(run: Mapping[str, Any]) -> float:
    """Judging a run again, told from its row of `runs`."""
    return _JUDGE_RUN_S + _JUDGE_ATOM_S * _n_atoms_in_frames(run)


def observe_s(run: Mapping[str, Any]) -> float:
    """Observing a run, told from its row of `runs`."""
    return _OBSERVE_RUN_S + _OBSERVE_ATOM_S * _n_atoms_in_frames(run)


def _n_atoms_in_frames(run: Mapping[str, Any]) -> int:
    return int(run["n_frames"] or 0) * int(run["n_atoms"] or 0)
