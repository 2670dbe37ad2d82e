"""Everything that one run tells by itself. What takes several runs is `together`'s."""

from lake.delta import Lake
from lake.frames import pressures_between_frames, trajectory, virials_ev
from operators.observables.agreement import agreement_rows
from operators.observables.differences import Melt
from operators.observables.environments import local_composition_rows, r_cuts_angstrom
from operators.observables.findings import Findings, Row
from operators.observables.motion import (
    displacements,
    in_equilibrium,
    msd_rows,
    spectrum,
    time_between_frames_fs,
    vacf_rows,
    velocity_autocorrelation,
    vibrational_density_rows,
)
from operators.observables.order import (
    neighbourhoods,
    radial_distribution,
    rdf_rows,
    short_range_order_rows,
    spread_frames,
    whole_frames,
)
from operators.observables.scattering import structure_factor_rows, structure_factors
from operators.observables.stress import stress_of, stress_rows
from operators.observables.thermodynamics import thermodynamics_row
from operators.observables.transport import transport_rows
from operators.physics.thermodynamics import n_independent_blocks
from schemas.frames import Floats, Trajectory
from schemas.pairing import COMPARED
from schemas.rows import real_or_none, text

OF_ONE_RUN = (
    "rdf",
    "structure_factor",
    "short_range_order",
    "local_composition",
    "vacf",
    "vibrational_density",
    "msd",
    "stress_autocorrelation",
    "agreement",
)
"""Tables with a run's own rows; those of `transport` and `thermodynamics` are only stored when it is finished."""


def look_at(lake: Lake, run: Row, found: Findings) -> None:
    """Add to what was found all that a run tells, and why it does not tell the rest.

    Parameters
    ----------
    lake
        Where its frames are.
    run
        Its row of `runs`.
    found
        With a list for every table of observables.
    """
    run_id = text(run, "run_id")
    if not run["n_frames"]:
        found.skipped.append(f"Run {run_id} has no frames.")
        return
    files = tuple(lake.log("frames").files(key=run_id))  # of one version, whoever writes in between
    frames = trajectory(lake, run_id, files=files)
    target_gpa = real_or_none(run, "pressure_target_gpa")
    # As the row of `runs` had it before frames were read: what is judged again meanwhile is observed again.
    seen = {"averaged_id": run["averaged_id"]}
    found.rows["thermodynamics"] = [seen | thermodynamics_row(frames, pressure_target_gpa=target_gpa)]
    if not frames.n_averaged:
        found.skipped.append(f"None of the {frames.n_frames} frames of run {run_id} is accepted.")
        return
    n_blocks = n_independent_blocks(frames)
    melt = _look_around(lake, run, frames, found=found, n_blocks=n_blocks)
    virials = virials_ev(lake, run_id, files=files)
    _follow(lake, in_equilibrium(frames), virials, found=found, n_blocks=n_blocks)
    if run["protocol"] in COMPARED:
        found.rows["agreement"] = agreement_rows(lake, run, melt, found)


def _look_around(lake: Lake, run: Row, frames: Trajectory, *, found: Findings, n_blocks: int) -> Melt:
    """What is next to what. Frames that no radial distribution function can be taken of tell nothing else of order."""
    whole = whole_frames(frames)
    curves = found.attempt(lambda: radial_distribution(frames, whole, n_blocks=n_blocks))
    if curves is None:
        return Melt(frames)
    found.rows["rdf"] = rdf_rows(curves)
    shells = found.attempt(lambda: neighbourhoods(curves, frames)) or []
    found.rows["short_range_order"] = short_range_order_rows(shells)
    few = spread_frames(frames, whole)
    if (factors := found.attempt(lambda: structure_factors(few, n_blocks=n_blocks))) is not None:
        found.rows["structure_factor"] = structure_factor_rows(factors, n_frames=len(few.cell_angstrom))
    cutoffs = r_cuts_angstrom(lake, run)
    environments = found.attempt(lambda: local_composition_rows(few, cutoffs, n_blocks=n_blocks))
    found.rows["local_composition"] = environments or []
    return Melt(frames, curves)


def _follow(lake: Lake, frames: Trajectory, virials: Floats, *, found: Findings, n_blocks: int) -> None:
    """How atoms move, in frames from where the run is equilibrated on; virials are those of all its frames."""
    decay = paths = None
    if found.attempt(lambda: time_between_frames_fs(frames), "vacf", "msd", "stress_autocorrelation"):
        decay = found.attempt(lambda: velocity_autocorrelation(frames, n_blocks=n_blocks), "vacf")
        paths = found.attempt(lambda: displacements(frames, n_blocks=n_blocks), "msd")
        between = pressures_between_frames(lake, frames.run_id)
        stress = found.attempt(
            lambda: stress_of(frames, virials[-frames.n_frames :], between=between), "stress_autocorrelation"
        )
        found.rows["stress_autocorrelation"] = [] if stress is None else stress_rows(stress)
    if decay is not None:
        found.rows["vacf"] = vacf_rows(decay)
        density = found.attempt(lambda: spectrum(decay))
        found.rows["vibrational_density"] = [] if density is None else vibrational_density_rows(density, decay)
    if paths is not None:
        found.rows["msd"] = msd_rows(paths)
    found.rows["transport"] = transport_rows(frames, paths=paths, decay=decay, reasons=found.reasons)
