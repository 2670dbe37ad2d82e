"""How long a step takes, told before it is begun: for sharing work among pods, not for promises.

CPU seconds without the start of the command, on one core of the machine in `docs/sizing.md`, which says how they were
measured. Each is rather too short than too long: then a task gets more work than it must, and none too little.
"""

from collections.abc import Mapping
from typing import Any

INGEST_RUN_S = 0.3
"""Gate, commits and links of a run, whatever its length."""

_INGEST_BYTES_PER_S = 400e6
"""OUTCAR at NWRITE = 2, VASP's default; at NWRITE = 1 the same bytes are three times as many frames."""
_INGEST_PACKED_BYTES_PER_S = 40e6
_PACKED = (".gz", ".bz2", ".xz")

_JUDGE_RUN_S, _JUDGE_ATOM_S = 0.2, 0.25e-6

_OBSERVE_RUN_S, _OBSERVE_ATOM_S = 0.15, 2e-6
_ORDER_ATOM_S, _ORDER_ATOMS = 8e-6, 1 << 17
"""What is next to what, of so many atoms of all frames together at most."""


def ingest_file_s(path: str, n_bytes: int) -> float:
    """Reading and judging what is in a file."""
    return n_bytes / (_INGEST_PACKED_BYTES_PER_S if path.endswith(_PACKED) else _INGEST_BYTES_PER_S)


def judge_s(run: Mapping[str, Any]) -> float:
    """Judging a run again, told from its row of `runs`."""
    return _JUDGE_RUN_S + _JUDGE_ATOM_S * _n_atoms(run)


def observe_s(run: Mapping[str, Any]) -> float:
    """Observing a run, told from its row of `runs`."""
    n_atoms = _n_atoms(run)
    return _OBSERVE_RUN_S + _OBSERVE_ATOM_S * n_atoms + _ORDER_ATOM_S * min(n_atoms, _ORDER_ATOMS)


def _n_atoms(run: Mapping[str, Any]) -> int:
    """Of all frames together."""
    return int(run["n_frames"] or 0) * int(run["n_atoms"] or 0)
