"""Compares the files that tell of one run: same steps, same energies, same volumes? The verdicts become rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lake.known_runs import SAME_ENERGY_EV
from lake.raw_store import name_of
from operators.runs.reading import TOLD, Testimony
from schemas.columns import Columns, n_rows, rows_of
from schemas.frames import Floats

SAME_VOLUME_FRACTION = 1e-5
"""Of the volume: lattice vectors come with 6 to 16 decimals."""


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """What another file says beside the one that the frames come from."""

    row: dict[str, object]
    """Of `cross_checks`, without the run."""
    is_another_run: bool
    """Whether no step is common or most have other energies: it is what another calculation left in the folder."""

    @property
    def note(self) -> str | None:
        """A sentence for the run's notes; None when the files agree."""
        return None if self.row["verdict"] == "agrees" else str(self.row["reason"])


def cross_check(kept: Testimony, other: Testimony) -> CrossCheck:
    """Compare a file with the one that the frames come from.

    Steps are compared where both tell of them: an OUTCAR of NWRITE = 0 has the positions of two steps only, an
    XDATCAR no energies. Frames of VASP's own force field are compared with such frames only.
    """
    if other.problem is not None:
        row = _row(other, verdict="unreadable", n_compared=0, reason=other.problem.problem)
        return CrossCheck(row, is_another_run=False)
    both = _common_steps(kept.frames, other.frames)
    energy, volume = (_differences(both, name) for name in ("energy_ev", "volume_angstrom3"))
    verdict, reason = _verdict(kept, other, both, energy=energy, volume=volume)
    row = _row(other, verdict=verdict, n_compared=n_rows(both), reason=f"{name_of(other.uri)} beside it {reason}")
    row["max_energy_difference_ev"] = _largest(energy)
    row["max_volume_difference_angstrom3"] = _largest(volume)
    return CrossCheck(row, is_another_run=not n_rows(both) or _are_others(energy))


def begins_otherwise(kept: Testimony, beginning: Testimony) -> bool:
    """Whether a file is not known to be the same calculation: its first frames have other energies, or none."""
    energy = _differences(_common_steps(kept.frames, beginning.frames), "energy_ev")
    return not np.isfinite(energy).any() or _are_others(energy)


def is_within(frames: Columns, others: Columns) -> bool:
    """Whether every frame is one of the others, by its step and energy, so that without it nothing is lost."""
    energy = _differences(_common_steps(others, frames), "energy_ev")
    return 0 < n_rows(frames) == len(energy) and bool((energy <= SAME_ENERGY_EV).all())


def _are_others(energy: Floats) -> bool:
    """Two calculations may begin with the same frame, and one of the same frames may be damaged."""
    known = energy[np.isfinite(energy)]
    return len(known) > 0 and 2 * int((known > SAME_ENERGY_EV).sum()) >= len(known)


def _common_steps(one: Columns, other: Columns) -> Columns:
    """Pairs of frames with the same segment and ionic step, `_1` and `_2`; a step told twice is paired twice."""
    places: dict[tuple[int, int], list[int]] = {}
    for place, step in enumerate(_steps(other)):
        places.setdefault(step, []).append(place)
    pairs = [(place, partner) for place, step in enumerate(_steps(one)) for partner in places.get(step, ())]
    rows = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    both = {f"{name}_{n}": part[name][rows[n - 1]] for n, part in ((1, one), (2, other)) for name in TOLD}
    sources = both["label_source_1"], both["label_source_2"]
    return rows_of(both, (sources[0] == sources[1]) | (sources[0] == "none") | (sources[1] == "none"))


def _steps(frames: Columns) -> Iterator[tuple[int, int]]:
    return zip(frames["segment"].tolist(), frames["ionic_step"].tolist(), strict=True)


def _differences(both: Columns, name: str) -> Floats:
    differences: Floats = np.abs(both[f"{name}_1"] - both[f"{name}_2"])
    return differences


def _verdict(kept: Testimony, other: Testimony, both: Columns, *, energy: Floats, volume: Floats) -> tuple[str, str]:
    n_kept, n_other, n_both = n_rows(kept.frames), n_rows(other.frames), n_rows(both)
    if not n_both:
        return "disagrees", "has no ionic step in common with the file that the frames come from"
    if n_different := int((energy > SAME_ENERGY_EV).sum()):
        worst = f"by up to {_largest(energy):.3g} eV"
        return "disagrees", f"has another free energy in {n_different} of {n_both} common steps, {worst}"
    if (volume > SAME_VOLUME_FRACTION * both["volume_angstrom3_1"]).any():
        return "disagrees", f"has another cell, by up to {_largest(volume):.3g} cubic angstrom"
    if n_other < n_kept:
        return "shorter", f"holds {n_other} of {n_kept} frames and agrees in {n_both}"
    if n_other > n_kept:
        return "longer", f"holds {n_other} frames, {n_other - n_kept} more, and agrees in {n_both}"
    return "agrees", f"holds the same {n_other} frames"


def _largest(differences: Floats) -> float | None:
    return float(np.nanmax(differences)) if np.isfinite(differences).any() else None


def _row(other: Testimony, *, verdict: str, n_compared: int, reason: str) -> dict[str, object]:
    return {
        "path": other.uri,
        "source_format": other.source_format or None,
        "verdict": verdict,
        "n_frames": n_rows(other.frames),
        "n_compared": n_compared,
        "max_energy_difference_ev": None,
        "max_volume_difference_angstrom3": None,
        "reason": f"{reason.rstrip('.')}.",
    }
