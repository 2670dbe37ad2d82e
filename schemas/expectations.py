"""The rules of the gate as data: what is checked per frame, how bad a failure is, and why. Running them is `lake`'s."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from schemas.elements import covalent_radii_angstrom
from schemas.frames import CONVERGED

Severity = Literal["reject", "flag"]
Origin = Literal["aimd", "dnnp"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule over one column of the per-frame table; `minimum`, `maximum` or `allowed` says what is expected."""

    name: str
    column: str
    severity: Severity
    reason: str
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str | bool | int, ...] = ()
    not_null: bool = False
    unique: bool = False
    unit: str = ""
    origins: tuple[Origin, ...] = ("aimd", "dnnp")
    """Which runs it judges: a simulation has no electronic steps and is never trained on."""


SHORTEST_TRAINABLE_PAIR_ANGSTROM = 1.5
"""Closest approach of two metal atoms in a melt that may still be trained on."""

SHORTEST_BOND_FRACTION = 0.65
"""The same for lighter pairs (O-H, C-H), as a fraction of the sum of covalent radii."""

LARGEST_TRAINABLE_FORCE_EV_PER_ANGSTROM = 50.0

LARGEST_TRAINABLE_VIRIAL_EV_PER_ATOM = 50.0
"""About 5 Mbar in a metallic melt."""

READ_WHOLE = "read_whole"
"""The rule that reading faults break; a frame's row names the faults themselves instead."""

RULES: tuple[Rule, ...] = (
    Rule(
        name=READ_WHOLE,
        column="n_faults",
        severity="reject",
        maximum=0,
        reason="a value of the frame could not be read; the reading faults are listed beside it",
    ),
    Rule(
        name="scf_converged",
        origins=("aimd",),
        column="scf_verdict",
        severity="reject",
        allowed=CONVERGED,
        reason="forces of an unconverged electronic step are not those of the ground state",
    ),
    Rule(
        name="label_from_dft",
        origins=("aimd",),
        column="label_source",
        severity="reject",
        allowed=("dft",),
        reason="a frame labelled by a machine-learned force field teaches its errors",
    ),
    Rule(
        name="energy_present",
        origins=("aimd",),
        column="energy_ev",
        severity="reject",
        not_null=True,
        reason="a frame without its energy cannot be trained on",
    ),
    Rule(
        name="forces_present",
        origins=("aimd",),
        column="max_force_ev_per_angstrom",
        severity="reject",
        not_null=True,
        reason="a frame without all its forces cannot be trained on",
    ),
    Rule(
        name="pairs_apart",
        column="min_distance_over_limit",
        severity="reject",
        minimum=1.0,
        unit="of the shortest trainable distance (1.5 angstrom between metal atoms)",
        reason="atoms this close mean a broken cell or a run that exploded",
    ),
    Rule(
        name="forces_bounded",
        column="max_force_ev_per_angstrom",
        severity="reject",
        maximum=LARGEST_TRAINABLE_FORCE_EV_PER_ANGSTROM,
        unit="eV/angstrom",
        reason="a force this large belongs to a run that exploded",
    ),
    Rule(
        name="virial_bounded",
        column="max_virial_ev_per_atom",
        severity="reject",
        maximum=LARGEST_TRAINABLE_VIRIAL_EV_PER_ATOM,
        unit="eV/atom",
        reason="a stress this large is a damaged number, not a pressure that a melt bears",
    ),
    Rule(
        name="frame_not_repeated",
        column="content_id",
        severity="reject",
        unique=True,
        reason="a restart writes some steps again; the same frame twice leaks between train and test",
    ),
    Rule(
        name="net_force_small",
        column="net_force_per_root_n_ev_per_angstrom",
        severity="flag",
        maximum=0.05,
        unit="eV/angstrom",
        reason="a large total drift tells of too coarse a grid",
    ),
    Rule(
        name="forces_moderate",
        column="max_force_ev_per_angstrom",
        severity="flag",
        maximum=20.0,
        unit="eV/angstrom",
        reason="rare in a melt; worth a look",
    ),
    Rule(
        name="pairs_not_close",
        column="min_distance_over_limit",
        severity="flag",
        minimum=1.13,
        unit="of the shortest trainable distance (1.5 angstrom between metal atoms)",
        reason="rare in a metallic melt; worth a look",
    ),
    Rule(
        name="no_step_missing",
        column="steps_over_stride",
        severity="flag",
        maximum=1.5,
        unit="of the run's usual stride",
        reason="ionic steps are missing before this frame: velocities and displacements across the gap are wrong",
    ),
)

LABEL_RULES = frozenset({"scf_converged", "label_from_dft", "energy_present", "forces_present"})
"""Rules about labels: positions without labels fail them, and may still be averaged over."""

GATE_VERSION = 2
"""Rises when a rule changes, so that runs judged by older rules are known to be stale."""


def shortest_trainable_pairs_angstrom(atomic_numbers: NDArray[np.integer]) -> NDArray[np.float64]:
    """Shortest distance that a pair of these elements may have in a frame that is trained on.

    Parameters
    ----------
    atomic_numbers
        (n_elements,), dimensionless.

    Returns
    -------
    NDArray
        (n_elements, n_elements), Angstrom.
    """
    radii = covalent_radii_angstrom(atomic_numbers)
    bond = SHORTEST_BOND_FRACTION * (radii[:, None] + radii[None, :])
    limits: NDArray[np.float64] = np.minimum(bond, SHORTEST_TRAINABLE_PAIR_ANGSTROM)
    return limits
