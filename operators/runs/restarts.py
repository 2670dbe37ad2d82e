"""Where one run goes on from another: by a frame that both have, or by the way that the atoms were going.

Runs are looked at as their raw files had them. What follows from a link is in `chains`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from operators.physics.continuation import missing_steps
from operators.runs.stored_run import StoredRun
from operators.runs.storing import LINK_NOTE_BEGINS
from schemas.elements import masses_amu


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How a run goes on from another one."""

    run_id: str
    """The earlier run."""
    after_start_fs: float | None
    """From the earlier run's first ionic step to the later run's; None without a time step."""
    is_shared: bool
    """The joint is a frame that both have; otherwise it was predicted."""
    n_missing: int = 0
    """Steps between the two that no file has."""
    is_branch: bool = False
    """After the joint the two went different ways."""

    @property
    def rank(self) -> tuple[bool, int, str]:
        """Less is better: a common frame before a predicted one, then the shorter gap."""
        return not self.is_shared, self.n_missing, self.run_id

    def note(self, *, n_repeated: int) -> str:
        """What a person should know of the joint."""
        parts = [f"{LINK_NOTE_BEGINS}{self.run_id}"]
        if n_repeated:
            parts.append(f"{n_repeated} of its frames are stored with earlier runs of its trajectory")
        if self.n_missing:
            parts.append(f"{self.n_missing} steps between the two are in no file")
        if self.is_branch:
            parts.append("that run went on another way from there")
        return "; ".join(parts) + "."


def best_link(run: StoredRun, earlier: Iterable[StoredRun]) -> Link | None:
    """The best link of a run to one of these, if it goes on from any."""
    found = [link for other in earlier if (link := _link_between(other, run)) is not None]
    return min(found, key=lambda link: link.rank, default=None)


def _link_between(earlier: StoredRun, later: StoredRun) -> Link | None:
    if not earlier.n_frames or not later.n_frames:
        return None
    return _shared_frame(earlier, later) or _next_step(earlier, later)


def _shared_frame(earlier: StoredRun, later: StoredRun) -> Link | None:
    """The later run begins with a frame of the earlier one; the same beginning is no restart but a twin."""
    energy_ev, distance = later.frames.energy_ev[0], later.frames.min_distance_angstrom[0]
    candidates = np.flatnonzero(earlier.alike(energy_ev, distance))[::-1]
    joint = next((int(i) for i in candidates if i > 0 and earlier.frame(int(i)).is_same_as(later.first)), None)
    if joint is None:
        return None
    return Link(
        run_id=earlier.run_id,
        after_start_fs=_after_start_fs(earlier, joint, later, n_steps=0),
        is_shared=True,
        is_branch=_parts(earlier, later, joint),
    )


def _parts(earlier: StoredRun, later: StoredRun, joint: int) -> bool:
    """Whether both runs have frames after the joint that are not each other's."""
    n_common = min(earlier.n_frames - joint, later.n_frames)
    return not all(later.frames.is_like(index, earlier.frames, joint + index) for index in range(1, n_common))


def _next_step(earlier: StoredRun, later: StoredRun) -> Link | None:
    """The later run begins where the earlier one was going: molecular dynamics, or an XDATCAR, which may be."""
    if not earlier.goes_on or (earlier.time_step_fs is None and later.row["source_format"] != "xdatcar"):
        return None
    before, last = earlier.end
    n_missing = missing_steps(
        np.stack([before.positions, last.positions]),
        later.first.positions,
        cell=last.cell,
        forces=last.forces,
        masses_amu=masses_amu(earlier.atomic_numbers),
        time_step_fs=earlier.time_step_fs or 1.0,  # without one there are no forces either
    )
    if n_missing is None:
        return None
    after_fs = _after_start_fs(earlier, earlier.n_frames - 1, later, n_steps=n_missing + 1)
    return Link(run_id=earlier.run_id, after_start_fs=after_fs, is_shared=False, n_missing=n_missing)


def _after_start_fs(earlier: StoredRun, joint: int, later: StoredRun, *, n_steps: int) -> float | None:
    """From the earlier run's first ionic step to the later run's, when its first frame is `n_steps` after the joint."""
    if earlier.time_step_fs is None:
        return None
    joint_fs = float(earlier.frames.after_start_fs[joint])
    return joint_fs + (n_steps - (int(later.frames.ionic_step[0]) - 1)) * earlier.time_step_fs
