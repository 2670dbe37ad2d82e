"""Turns slices of a vaspout.h5's tables into frames: energies, verdicts, faults. Files do not belong here."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lake.readers.batches import cartesian
from lake.readers.vasp_settings import conserves_energy, scf_verdict
from lake.readers.vaspout_header import VaspoutHead
from schemas.frames import Floats, FrameBatch, Integers
from schemas.units import BOLTZMANN_EV_PER_K, EV_PER_ANGSTROM3_PER_KBAR

_TRACE_ONLY_ISIF = 1
_SAME_ENERGY_EV = 1.0e-4

# What each column of energies is called, without padding and with single blanks, eV.
FREE_ENERGY = ("free energy TOTEN", "ion-electron TOTEN")
_WITHOUT_ENTROPY = ("energy without entropy",)
_SIGMA0 = ("energy(sigma->0)",)
_KINETIC = ("kinetic energy EKIN",)
_CONSERVED = ("total energy ETOTAL",)


@dataclass(frozen=True, slots=True)
class ScfHistory:
    """How the electronic loops ended, as far as the file tells; empty arrays where it does not."""

    steps: Integers
    """(n_loops,), electronic steps of each loop."""
    energy_ev: Floats
    """(n_loops,), free energy of the last electronic step."""
    change_ev: Floats
    """(n_loops,), its last change."""
    not_converged: Floats
    """(n_flags,), VASP's own flag, which is 0 for a loop that converged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Consecutive ionic steps as they stand in the file. The first axis of every array is the ionic step."""

    first: int
    """Of the file's ionic steps, from 0."""
    cell_angstrom: Floats
    """(n_frames, 3, 3)."""
    fractional: Floats
    """(n_frames, n_atoms, 3), dimensionless."""
    forces_ev_per_angstrom: Floats | None
    energies_ev: Floats | None
    """(n_frames, n_tags)."""
    energy_tags: tuple[str, ...]
    stress_kbar: Floats | None
    """(n_frames, 3, 3)."""
    velocities_angstrom_per_fs: Floats | None
    moments: Floats | None
    """(n_frames, n_components, n_atoms, n_orbitals): charge, then one magnetization or three, mu_B."""


_COLUMNS = {
    "free": FREE_ENERGY,
    "without_entropy": _WITHOUT_ENTROPY,
    "sigma0": _SIGMA0,
    "kinetic": _KINETIC,
    "conserved": _CONSERVED,
}
NO_HISTORY = ScfHistory(np.empty(0, np.int32), np.empty(0), np.empty(0), np.empty(0))

_Faults = dict[str, NDArray[np.bool_]]
"""Which frames have each fault: (n_frames,)."""


@np.errstate(over="ignore", invalid="ignore")  # damaged numbers overflow; they are found and flagged
def batch_of(part: Slice, head: VaspoutHead, scf: ScfHistory, *, has_loop_per_step: bool) -> FrameBatch:
    """One batch; everything that must not be trained on is flagged here."""
    n_frames = len(part.cell_angstrom)
    energies = {kind: _column(part, tags) for kind, tags in _COLUMNS.items()}
    faults = {"energy_ambiguous": _undo_enthalpy(energies, part, head, scf)}
    faults["cell_not_finite"] = _spoiled(part.cell_angstrom)
    positions = cartesian(part.fractional, part.cell_angstrom)
    faults["positions_not_finite"] = _spoiled(positions)
    virial, trace, faults["stress_not_finite"] = _virial(part, head.settings.isif)
    faults |= _faults_of_labels(part, energies["free"], faults["energy_ambiguous"])
    forces = part.forces_ev_per_angstrom
    labels = _labels(part, head, has_loop_per_step=has_loop_per_step)
    faults["no_electronic_steps"] = np.full(n_frames, head.without_scf)
    faults["label_source_unknown"] = np.full(n_frames, head.machine_learned is not None) & (labels == "none")
    steps, verdicts = _verdicts(part.first, n_frames, head, scf if has_loop_per_step else NO_HISTORY)
    if not conserves_energy(head.settings):
        energies["conserved"][...] = np.nan
    return FrameBatch(
        ionic_step=np.arange(part.first + 1, part.first + n_frames + 1, dtype=np.int32) * np.int32(head.ml_outblock),
        segment=np.zeros(n_frames, dtype=np.int32),
        cell_angstrom=part.cell_angstrom,
        positions_angstrom=positions,
        forces_ev_per_angstrom=np.full(positions.shape, np.nan) if forces is None else forces,
        energy_ev=energies["free"],
        energy_sigma0_ev=energies["sigma0"],
        energy_without_entropy_ev=energies["without_entropy"],
        virial_ev=virial,
        virial_trace_ev=trace,
        temperature_k=_temperature_k(energies["kinetic"], head.n_degrees_of_freedom),
        scf_steps=steps,
        scf_verdict=verdicts,
        label_source=labels,
        faults=_fault_codes(faults, n_frames),
        velocities_angstrom_per_fs=part.velocities_angstrom_per_fs,
        magnetic_moments_mu_b=_moments_mu_b(part.moments),
        conserved_energy_ev=energies["conserved"],
    )


def _tag_index(part: Slice, tags: tuple[str, ...]) -> int | None:
    return next((index for index, tag in enumerate(part.energy_tags) if tag in tags), None)


def _column(part: Slice, tags: tuple[str, ...]) -> Floats:
    index = _tag_index(part, tags)
    if index is None or part.energies_ev is None:
        return np.full(len(part.cell_angstrom), np.nan)
    return part.energies_ev[:, index].copy()


def _undo_enthalpy(energies: dict[str, Floats], part: Slice, head: VaspoutHead, scf: ScfHistory) -> NDArray[np.bool_]:
    """With PSTRESS the ionic energy may be the enthalpy: the last electronic step tells, but it lacks vdW.

    Returns which frames stay ambiguous; their energies become NaN.
    """
    n_frames = len(part.cell_angstrom)
    if not head.settings.pstress:
        return np.zeros(n_frames, dtype=np.bool_)
    told = np.full(n_frames, np.nan)
    known = scf.energy_ev[part.first : part.first + n_frames]
    told[: len(known)] = known
    pressure_volume = head.settings.pstress * _volumes(part.cell_angstrom) * EV_PER_ANGSTROM3_PER_KBAR
    difference = energies["free"] - told
    nearest = np.minimum(np.abs(difference), np.abs(difference - pressure_volume))
    ambiguous: NDArray[np.bool_] = ~(nearest <= _SAME_ENERGY_EV)
    for kind in ("free", "without_entropy", "sigma0"):
        energies[kind] -= np.where(ambiguous, np.nan, difference)
    return ambiguous


def _verdicts(first: int, n_frames: int, head: VaspoutHead, scf: ScfHistory) -> tuple[Integers, NDArray[np.str_]]:
    """Electronic steps, -1 where unknown, and verdicts: (n_frames,) each. VASP's own flag is right since 6.5."""
    steps = np.full(n_frames, -1, dtype=np.int32)
    known = scf.steps[first : first + n_frames]
    steps[: len(known)] = known
    flags = scf.not_converged[first : first + n_frames]
    changes = scf.change_ev[first : first + n_frames]
    verdicts = np.full(n_frames, "unknown", dtype="U17")
    if head.without_scf or head.machine_learned == "run":
        return np.zeros_like(steps), verdicts
    settings = head.settings
    converged = np.zeros(n_frames, dtype=np.bool_)
    converged[: len(flags)] = flags == 0.0
    at_nelm = steps >= settings.nelm if settings.nelm else np.zeros(n_frames, dtype=np.bool_)
    verdicts[converged] = "converged"
    n_told = max(len(flags), len(known))
    for index in np.flatnonzero((~converged | at_nelm)[:n_told]):
        told_by_flag = index < len(flags)
        if index < len(known) or (told_by_flag and not converged[index]):
            verdicts[index] = scf_verdict(
                scf_steps=int(steps[index]),
                nelm=settings.nelm,
                ediff=settings.ediff,
                last_change_ev=float(changes[index]) if index < len(changes) else None,
                told="reached" if converged[index] or not told_by_flag else "not reached",
                version=settings.version if told_by_flag else None,
            )
    return steps, verdicts


def _labels(part: Slice, head: VaspoutHead, *, has_loop_per_step: bool) -> NDArray[np.str_]:
    """(n_frames,): whose energies and forces these are."""
    if part.forces_ev_per_angstrom is None or part.energies_ev is None or head.without_scf:
        label = "none"
    elif head.machine_learned == "run":
        label = "vasp_mlff"
    else:
        label = "dft" if head.machine_learned is None or has_loop_per_step else "none"
    return np.full(len(part.cell_angstrom), label)


def _faults_of_labels(part: Slice, energy_ev: Floats, ambiguous: NDArray[np.bool_]) -> _Faults:
    """What is wrong with energies and forces; forces of a frame that holds a spoiled one become NaN."""
    faults: _Faults = {}
    if part.energies_ev is not None:
        code = "energy_missing" if _tag_index(part, FREE_ENERGY) is None else "energy_not_finite"
        faults[code] = ~np.isfinite(energy_ev) & ~ambiguous
    if part.forces_ev_per_angstrom is not None:
        faults["forces_not_finite"] = _spoiled(part.forces_ev_per_angstrom)
        faults["energy_and_forces_zero"] = (energy_ev == 0.0) & ~part.forces_ev_per_angstrom.any(axis=(1, 2))
    return faults


def _virial(part: Slice, isif: int | None) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Virials (n_frames, 3, 3) and their traces (n_frames,), eV, NaN where not computed; which stresses are spoiled."""
    n_frames = len(part.cell_angstrom)
    if part.stress_kbar is None or isif == 0:
        return np.full((n_frames, 3, 3), np.nan), np.full(n_frames, np.nan), np.zeros(n_frames, dtype=np.bool_)
    stress = np.where(np.eye(3, dtype=bool), part.stress_kbar, 0.0) if isif == _TRACE_ONLY_ISIF else part.stress_kbar
    spoiled = _spoiled(stress)
    virial = stress * (_volumes(part.cell_angstrom) * EV_PER_ANGSTROM3_PER_KBAR)[:, None, None]
    virial[~stress.any(axis=(1, 2))] = np.nan  # exactly zero: the table was made and never filled
    trace = np.trace(virial, axis1=1, axis2=2)
    return np.full_like(virial, np.nan) if isif == _TRACE_ONLY_ISIF else virial, trace, spoiled


def _volumes(cells: Floats) -> Floats:
    volumes: Floats = np.abs((cells[:, 0] * np.cross(cells[:, 1], cells[:, 2])).sum(axis=1))
    return volumes


def _temperature_k(kinetic_ev: Floats, n_degrees_of_freedom: int) -> Floats:
    if not n_degrees_of_freedom:
        return np.full(len(kinetic_ev), np.nan)
    return 2 * kinetic_ev / (n_degrees_of_freedom * BOLTZMANN_EV_PER_K)


def _moments_mu_b(moments: Floats | None) -> Floats | None:
    """(n_frames, n_atoms) for collinear spins, (n_frames, n_atoms, 3) otherwise."""
    if moments is None:
        return None
    per_atom: Floats = moments[:, 1:].sum(axis=3)
    return per_atom[:, 0] if per_atom.shape[1] == 1 else np.ascontiguousarray(per_atom.transpose(0, 2, 1))


def _spoiled(vectors: Floats) -> NDArray[np.bool_]:
    """(n_frames,): where a number is not finite; all vectors of such a frame become NaN."""
    spoiled: NDArray[np.bool_] = ~np.isfinite(vectors.sum(axis=(1, 2)))
    vectors[spoiled] = np.nan
    return spoiled


def _fault_codes(faults: _Faults, n_frames: int) -> tuple[tuple[str, ...], ...]:
    present = {code: wrong for code, wrong in faults.items() if wrong.any()}
    if not present:
        return ((),) * n_frames
    return tuple(tuple(code for code, wrong in present.items() if wrong[index]) for index in range(n_frames))
