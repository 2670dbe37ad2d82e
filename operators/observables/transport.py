"""Rows of `transport`: diffusion of each element, viscosity of the melt, each with its window, error, or why it is not.

What they are taken from is `motion`'s and `stress`'s. A viscosity takes simulated time of one or more runs, so that it,
and what is corrected by it, is filled in by `with_viscosity` when the runs are known.
"""

from collections.abc import Mapping

import numpy as np

from operators.observables.findings import Row
from operators.observables.motion import LARGEST_STEP_OF_VELOCITIES_FS, LONGEST_LAG_FS
from operators.physics.diffusion import (
    Diffusion,
    Viscous,
    Window,
    edge_of_cube_angstrom,
    einstein_diffusion,
    green_kubo_diffusion,
    in_an_infinite_cell,
)
from operators.physics.msd import MeanSquaredDisplacement
from operators.physics.thermodynamics import mean_temperature_k
from operators.physics.vacf import VelocityAutocorrelation
from operators.physics.viscosity import Viscosity
from schemas.composition import element_counts
from schemas.frames import Trajectory
from schemas.rows import real, real_or_none


def transport_rows(
    frames: Trajectory,
    *,
    paths: MeanSquaredDisplacement | None,
    decay: VelocityAutocorrelation | None,
    reasons: Mapping[str, str],
) -> list[Row]:
    """One row per element, without viscosity.

    Parameters
    ----------
    frames
        The run.
    paths, decay
        Its displacements and velocity autocorrelation; None where there is none.
    reasons
        Why not, by the table that goes without.
    """
    einstein = {} if paths is None else {one.element: one for one in einstein_diffusion(paths)}
    integrals = {} if decay is None else {one.element: one for one in _green_kubo(decay)}
    averaged = frames.cell_angstrom[frames.averaged]
    common = {
        "temperature_k": mean_temperature_k(frames),
        "cell_edge_angstrom": edge_of_cube_angstrom(averaged.mean(axis=0)),
        "diffusion_n_blocks": None if paths is None else len(paths.block_msd_angstrom2),
        "estimator": None if decay is None else decay.estimator,
    }
    return [
        {"element": element}
        | common
        | _einstein_columns(einstein.get(element), reasons.get("msd"))
        | _green_kubo_columns(integrals.get(element), reasons.get("vacf"))
        for element in sorted(element_counts(frames.atomic_numbers))
    ]


def with_viscosity(row: Row, melt: Viscosity, *, duration_fs: float | None, n_runs: int) -> Row:
    """A row of `transport` with the viscosity of its melt, and the diffusion in an infinite cell.

    Parameters
    ----------
    row
        One of `transport_rows`.
    melt
        Its viscosity, or why there is none.
    duration_fs
        Simulated time that it was looked for in; None where there is no stress.
    n_runs
        Number of runs put together.
    """
    return (
        row
        | {
            "viscosity_mpa_s": melt.viscosity_mpa_s,
            "viscosity_error_mpa_s": melt.error_mpa_s,
            "viscosity_integrated_until_fs": melt.integrated_to_fs,
            "viscosity_needed_fs": melt.needed_fs,
            "viscosity_duration_fs": duration_fs,
            "viscosity_n_runs": n_runs,
            "viscosity_reason": melt.reason,
        }
        | _infinite_cell_columns(row, melt)
    )


def _green_kubo(decay: VelocityAutocorrelation) -> list[Diffusion]:
    step, longest = float(decay.lag_fs[1]), float(decay.lag_fs[-1])
    if step > LARGEST_STEP_OF_VELOCITIES_FS:
        window = Window(from_fs=0.0, until_fs=longest)
        reason = f"velocities every {LARGEST_STEP_OF_VELOCITIES_FS:.0f} fs were needed, found them every {step:g} fs"
        return [Diffusion(element=element, diffusion_angstrom2_per_ps=None, error_angstrom2_per_ps=None, window=window,
                          reason=reason) for element in decay.elements]  # fmt: skip
    # The last lag of a step that does not divide the longest one falls a little short of it.
    reaches = longest + step > LONGEST_LAG_FS * (1 + 1e-9)
    return green_kubo_diffusion(decay, until_fs=longest if reaches else LONGEST_LAG_FS)


def _einstein_columns(found: Diffusion | None, reason: str | None) -> Row:
    window = found.window if found and found.window.from_fs < found.window.until_fs else None
    return {
        "diffusion_angstrom2_per_ps": found and found.diffusion_angstrom2_per_ps,
        "diffusion_error_angstrom2_per_ps": found and found.error_angstrom2_per_ps,
        "fit_from_fs": window and window.from_fs,
        "fit_until_fs": window and window.until_fs,
        "diffusion_reason": found.reason if found else reason,
    }


def _green_kubo_columns(found: Diffusion | None, reason: str | None) -> Row:
    return {
        "diffusion_green_kubo_angstrom2_per_ps": found and found.diffusion_angstrom2_per_ps,
        "diffusion_green_kubo_error_angstrom2_per_ps": found and found.error_angstrom2_per_ps,
        "integrated_until_fs": found and found.window.until_fs,
        "diffusion_green_kubo_reason": found.reason if found else reason,
    }


def _infinite_cell_columns(row: Row, melt: Viscosity) -> Row:
    found = _in_an_infinite_cell(row, melt)
    coefficient, reason = (None, found) if isinstance(found, str) else (found, found.reason)
    return {
        "diffusion_infinite_cell_angstrom2_per_ps": coefficient and coefficient.diffusion_angstrom2_per_ps,
        "diffusion_infinite_cell_error_angstrom2_per_ps": coefficient and coefficient.error_angstrom2_per_ps,
        "diffusion_infinite_cell_reason": reason,
    }


def _in_an_infinite_cell(row: Row, melt: Viscosity) -> Diffusion | str:
    """The corrected coefficient, or why there is none."""
    own, edge = real_or_none(row, "diffusion_angstrom2_per_ps"), real_or_none(row, "cell_edge_angstrom")
    temperature = real_or_none(row, "temperature_k")
    if own is None:
        return "a diffusion coefficient was needed, found none"
    if melt.viscosity_mpa_s is None:
        return "a viscosity was needed, found none"
    if temperature is None or np.isnan(temperature):
        return "a temperature was needed, found none"
    if edge is None:
        return "a cube was needed, found a cell of other shape"
    found = Diffusion(
        element=str(row["element"]),
        diffusion_angstrom2_per_ps=own,
        error_angstrom2_per_ps=real_or_none(row, "diffusion_error_angstrom2_per_ps"),
        window=Window(from_fs=real(row, "fit_from_fs"), until_fs=real(row, "fit_until_fs")),
    )
    viscous = Viscous(temperature_k=temperature, viscosity_mpa_s=melt.viscosity_mpa_s, error_mpa_s=melt.error_mpa_s)
    return in_an_infinite_cell(found, edge * np.eye(3), viscous)
