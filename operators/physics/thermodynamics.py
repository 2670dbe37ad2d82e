"""Temperature, pressure, density and energy of a run, over its averaged frames. No equilibration is removed."""

from dataclasses import dataclass

import numpy as np

from operators.physics.blocks import independent_blocks, is_long_enough
from operators.physics.cells import volumes_angstrom3
from operators.physics.correlation import mean_and_error, n_independent
from operators.physics.motion import at_rest
from operators.physics.vectors import in_batches
from schemas.elements import masses_amu
from schemas.frames import Floats, Trajectory
from schemas.units import (
    BOLTZMANN_EV_PER_K,
    EV_PER_AMU_ANGSTROM2_PER_FS2,
    G_PER_CM3_PER_AMU_PER_ANGSTROM3,
    GPA_PER_EV_PER_ANGSTROM3,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thermodynamics:
    """Means and standard errors; NaN for what the run does not say, and for errors that it is too short to tell."""

    temperature_k: float
    temperature_error_k: float
    pressure_gpa: float
    pressure_error_gpa: float
    density_g_per_cm3: float
    density_error_g_per_cm3: float
    energy_ev_per_atom: float
    energy_error_ev_per_atom: float


def thermodynamics(trajectory: Trajectory) -> Thermodynamics:
    """Temperature, pressure, density and free energy per atom of a run."""
    with np.errstate(all="ignore"):  # a rejected frame may have a cell without a volume
        temperature, temperature_error = mean_over_run(trajectory, temperatures_k(trajectory))
        pressure, pressure_error = mean_over_run(trajectory, pressures_gpa(trajectory))
        density, density_error = mean_over_run(trajectory, densities_g_per_cm3(trajectory))
        energy, energy_error = mean_over_run(trajectory, trajectory.energy_ev / trajectory.n_atoms)
    return Thermodynamics(
        temperature_k=temperature,
        temperature_error_k=temperature_error,
        pressure_gpa=pressure,
        pressure_error_gpa=pressure_error,
        density_g_per_cm3=density,
        density_error_g_per_cm3=density_error,
        energy_ev_per_atom=energy,
        energy_error_ev_per_atom=energy_error,
    )


def n_independent_blocks(trajectory: Trajectory) -> int:
    """Into how many blocks the run may be cut for the errors of its curves, by the slower of energy and temperature.

    0 where the run has no time axis, or is too short for an error.
    """
    series = (trajectory.energy_ev, temperatures_k(trajectory))
    known = [n_independent(np.where(trajectory.averaged, values, np.nan)) for values in series]
    known = [number for number in known if not np.isnan(number)]
    return independent_blocks(min(known, default=np.nan), duration_fs=trajectory.averaged_fs)


def mean_temperature_k(trajectory: Trajectory) -> float:
    """Mean over the averaged frames; NaN where the run does not tell it."""
    return mean_over_run(trajectory, temperatures_k(trajectory))[0]


def canonical_spread_k(temperature_k: float, *, n_atoms: int) -> float:
    """Standard deviation of the temperature of one frame in the canonical ensemble: T sqrt(2 / 3N)."""
    return temperature_k * float(np.sqrt(2 / (3 * n_atoms)))


def mean_over_run(trajectory: Trajectory, series: Floats) -> tuple[float, float]:
    """Mean over the averaged frames and its standard error; NaN for what the run does not say or is too short to tell.

    Parameters
    ----------
    trajectory
        The run.
    series
        (n_frames,), any unit.
    """
    mean, error = mean_and_error(np.where(trajectory.averaged, series, np.nan))
    # What is constant has no error. Of the rest, too short a run shows a part of its fluctuations, a relaxation none.
    return mean, error if error == 0 or is_long_enough(trajectory.averaged_fs) else np.nan


def temperatures_k(trajectory: Trajectory) -> Floats:
    """Temperature of each frame as the run states it, or else from its velocities.

    T = 2 E_kin / (3 (N - 1) k_B), the centre of mass being at rest.

    Returns
    -------
    Floats
        (n_frames,), K; NaN where neither is known.
    """
    velocities, unknown = trajectory.velocities_angstrom_per_fs, np.isnan(trajectory.temperature_k)
    if velocities is None or trajectory.n_atoms < 2 or not unknown.any():
        return trajectory.temperature_k
    masses = masses_amu(trajectory.atomic_numbers)
    twice_kinetic = np.empty(trajectory.n_frames)
    for frames, batch in in_batches(velocities):
        resting = at_rest(batch, masses)
        twice_kinetic[frames] = np.einsum("a,fax,fax->f", masses, resting, resting, optimize=True)
    per_kelvin = 3 * (trajectory.n_atoms - 1) * BOLTZMANN_EV_PER_K
    return np.where(unknown, twice_kinetic * EV_PER_AMU_ANGSTROM2_PER_FS2 / per_kelvin, trajectory.temperature_k)


def pressures_gpa(trajectory: Trajectory) -> Floats:
    """Pressure of each frame: a third of the virial's trace, and the ions' kinetic part (N - 1) k_B T, over the volume.

    VASP's `total pressure` is the same sum. Ions of a run without a time axis are at rest.

    Returns
    -------
    Floats
        (n_frames,), GPa; NaN where the stress, or the temperature of a moving frame, is unknown.
    """
    at_rest = np.isnan(trajectory.time_fs)
    temperatures = np.where(at_rest, 0.0, temperatures_k(trajectory))
    kinetic = (trajectory.n_atoms - 1) * BOLTZMANN_EV_PER_K * temperatures
    virial_part = trajectory.virial_trace_ev / 3
    pressures: Floats = (virial_part + kinetic) / volumes_angstrom3(trajectory.cell_angstrom) * GPA_PER_EV_PER_ANGSTROM3
    return pressures


def densities_g_per_cm3(trajectory: Trajectory) -> Floats:
    """Mass density of each frame: (n_frames,), g/cm^3."""
    mass = masses_amu(trajectory.atomic_numbers).sum()
    densities: Floats = mass / volumes_angstrom3(trajectory.cell_angstrom) * G_PER_CM3_PER_AMU_PER_ANGSTROM3
    return densities
