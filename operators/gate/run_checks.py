"""What the gate's rules look at, of a whole run: each frame beside the others, and one value per run.

Columns that a frame alone decides are `frame_checks`'s, formulas `physics`'s, rules `schemas.gate`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lake.gate import Case
from operators.gate.run_facts import RunFacts
from operators.gate.step_columns import steps_of
from operators.physics.drift import drift
from operators.physics.equilibration import Equilibration, equilibration_of_run
from operators.physics.fluctuations import energy_virial_correlation
from operators.physics.solidity import Displacement, FirstPeak
from operators.physics.temperature import runaway_temperature_k, temperature_offset
from operators.physics.work import Mismatch, Work, work
from schemas.columns import Columns, n_rows
from schemas.frames import Floats
from schemas.gate import Override
from schemas.rows import Row
from schemas.units import GPA_PER_EV_PER_ANGSTROM3, MEV_PER_EV

_SLOPE_TOLERANCE, _VIRIAL_SLOPE_TOLERANCE = 0.1, 0.5
_FEWEST_FOR_MEDIAN = 20
_FEWEST_INDEPENDENT = 20
_SHORTEST_FOR_MEANS_FS = 1000.0
"""Of less, neither the mean temperature nor a drift is told: a melt that starts from a lattice, or from another
temperature, sways for so long, and so does the Verlet scheme's own energy."""

_CONSTANT_VOLUME = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChecks:
    """A run as the gate sees it."""

    case: Case
    found: Row
    """Columns of `runs` that tell of it, null where nothing can be told."""


def run_checks(checks: Columns, facts: RunFacts, overrides: Sequence[Override] = ()) -> RunChecks:
    """All that the rules name.

    Parameters
    ----------
    checks
        The columns of `frame_checks.CHECKED`, all frames of the run in order.
    facts
        What is known of the run.
    overrides
        What a person said about its frames.
    """
    fit = work(steps_of(checks), facts.n_atoms)
    equilibrated = _equilibration(checks, facts)
    start, n_effective = equilibrated.start, equilibrated.n_independent
    frames = checks | _beside_others(checks, facts, fit)
    run = _of_run(checks, facts, fit, start=start) | {"n_effective": n_effective}
    found = {
        "equilibrated_from_fs": _known(checks["time_fs"][start]) if n_rows(checks) else None,
        "n_effective": _known(n_effective),
        "energy_per_work": _known(fit.slope.value),
        "drift_mev_per_atom_per_ps": _known(run["drift_mev_per_atom_per_ps"]),
        **facts.solidity,
    }
    case = Case(origin=facts.origin, frames=frames, run=run, overrides=overrides)
    return RunChecks(case=case, found=found)


def _beside_others(checks: Columns, facts: RunFacts, fit: Work) -> Columns:
    energy_over_limit = fit.energy.over_limit
    pressures = _pressures_gpa(checks)
    target = facts.temperature_target_k
    runaway = runaway_temperature_k(target, n_atoms=facts.n_atoms) if target else np.nan
    return {
        "steps_over_stride": _steps_over_stride(checks),
        "energy_kind_gap_ev": _energy_kind_gap_ev(checks, facts.ismear),
        "pressure_gap_gpa": np.abs(pressures - checks["printed_pressure_gpa"]),
        "energy_mismatch_mev_per_atom": _where_told(energy_over_limit > 1, fit.energy, MEV_PER_EV),
        "energy_mismatch_over_limit": energy_over_limit,
        "energy_level_mev_per_atom": np.abs(fit.level_ev_per_atom) * MEV_PER_EV,
        "energy_jump_over_limit": np.abs(fit.residual_ev_per_atom) / fit.energy.limit,
        "forces_over_limit": fit.forces.over_limit,
        "virial_over_limit": fit.virial.over_limit,
        "way_over_limit": fit.ways.over_limit,
        "jump_over_limit": checks["largest_way_angstrom"] / fit.ways.limit,
        "temperature_over_limit": checks["temperature_k"] / runaway,
        "max_force_deviations": _deviations(checks["max_force_ev_per_angstrom"]),
        "pressure_deviations": np.abs(_deviations(pressures)),
    }


def _of_run(checks: Columns, facts: RunFacts, fit: Work, *, start: int) -> Row:
    return {
        "energy_per_work_off": fit.slope.off(_SLOPE_TOLERANCE),
        "virial_per_work_off": fit.virial_slope.off(_VIRIAL_SLOPE_TOLERANCE),
        "is_physical": facts.is_physical,
        "level_of_theory_is_known": facts.functional is not None and facts.encut_ev is not None,
        "encut_over_enmax": facts.encut_ev / facts.enmax_ev if facts.encut_ev and facts.enmax_ev else np.nan,
        "temperature_deviations": _temperature_deviations(checks, facts, start=start),
        "drift_mev_per_atom_per_ps": _drift_mev_per_atom_per_ps(checks, facts),
        "msd_over_limit": _over_limit(facts.displacement),
        "bragg_share_over_limit": _over_limit(facts.first_peak),
        "virial_energy_correlation": _virial_energy_correlation(checks, facts),
    }


def _steps_over_stride(checks: Columns) -> Floats:
    """(n_frames,): ionic steps since the last frame, in units of the run's usual stride."""
    steps = checks["ionic_step"].astype(np.float64)
    gaps = np.diff(steps, prepend=np.nan)
    forward = gaps[gaps > 0]  # a restart appended to the same file counts from the beginning again
    usual = np.median(forward) if len(forward) else 1.0
    return np.where(gaps > 0, gaps / usual, 1.0)


def _energy_kind_gap_ev(checks: Columns, ismear: int | None) -> Floats:
    """(n_frames,): how far the three energies are from the relation that the smearing gives them.

    E(sigma -> 0) = ((N + 1) F + E) / (N + 2) with order N of Methfessel and Paxton, 0 for Gaussian and Fermi smearing
    (Phys. Rev. B 40, 3616 (1989)); NaN for tetrahedra and where one of them is unknown.
    """
    free, sigma0, without = (checks[name] for name in ("energy_ev", "energy_sigma0_ev", "energy_without_entropy_ev"))
    if ismear is None or ismear < -1:
        return np.full(len(free), np.nan)
    order = max(ismear, 0)
    return np.abs(sigma0 - ((order + 1) * free + without) / (order + 2))


def _pressures_gpa(checks: Columns) -> Floats:
    """(n_frames,): of the stress alone."""
    pressures: Floats = checks["virial_trace_ev"] / (3 * checks["volume_angstrom3"]) * GPA_PER_EV_PER_ANGSTROM3
    return pressures


def _where_told(bad: np.ndarray, mismatch: Mismatch, factor: float) -> Floats:
    """(n_frames,): values of outliers; 0 of the others, NaN where nothing can be told."""
    return np.where(np.isnan(mismatch.values), np.nan, np.where(bad, mismatch.values * factor, 0.0))


def _deviations(values: Floats) -> Floats:
    """(n_frames,): from the median, in robust standard deviations; NaN for few frames or constant values."""
    known = values[np.isfinite(values)]
    if len(known) < _FEWEST_FOR_MEDIAN:
        return np.full(len(values), np.nan)
    median = float(np.median(known))
    spread = 1.4826 * float(np.median(np.abs(known - median)))
    return (values - median) / spread if spread > 0 else np.full(len(values), np.nan)


def _equilibration(checks: Columns, facts: RunFacts) -> Equilibration:
    """Of the energy, temperature and pressure of its sound frames."""
    sound = (checks["n_faults"] == 0) & (checks["label_source"] != "vasp_mlff")
    names = ("energy_ev", "temperature_k", "virial_trace_ev")
    series = [np.where(sound, checks[name], np.nan) for name in names]
    return equilibration_of_run(checks["time_fs"], series, goes_on=facts.goes_on)


def _temperature_deviations(checks: Columns, facts: RunFacts, *, start: int) -> float:
    target = facts.temperature_target_k
    if not target or facts.ensemble not in ("nvt", "npt") or _length_fs(checks) < _SHORTEST_FOR_MEANS_FS:
        return np.nan
    return temperature_offset(checks["temperature_k"][start:], target, n_atoms=facts.n_atoms).z


def _drift_mev_per_atom_per_ps(checks: Columns, facts: RunFacts) -> float:
    """0 where it is within three errors; NaN where that cannot be told."""
    if not _length_fs(checks) >= _SHORTEST_FOR_MEANS_FS:
        return np.nan
    segment = checks["segment"]
    found = drift(checks["conserved_energy_ev"], checks["time_fs"], n_atoms=facts.n_atoms, segment=segment)
    value, error = found.mev_per_atom_per_ps, found.error_mev_per_atom_per_ps
    if np.isnan(error):
        return np.nan
    return value if abs(value) > 3 * error else 0.0


def _length_fs(checks: Columns) -> float:
    """0 without a time axis."""
    time_fs = checks["time_fs"][np.isfinite(checks["time_fs"])]
    return float(np.ptp(time_fs)) if len(time_fs) else 0.0


def _over_limit(found: Displacement | FirstPeak | None) -> float:
    return np.nan if found is None else found.over_limit


def _virial_energy_correlation(checks: Columns, facts: RunFacts) -> float:
    volumes = checks["volume_angstrom3"]
    if not facts.is_metallic or not len(volumes) or np.ptp(volumes) > _CONSTANT_VOLUME * volumes[0]:
        return np.nan
    found = energy_virial_correlation(checks["energy_ev"], checks["virial_trace_ev"])
    return found.value if found.n_independent >= _FEWEST_INDEPENDENT else np.nan


def _known(value: object) -> float | None:
    return float(value) if isinstance(value, float) and np.isfinite(value) else None
