"""Temperature, pressure, density and energy of a run, with errors from blocks. No equilibration is removed."""

from dataclasses import dataclass

import numpy as np

from operators.physics.blocks import mean_and_error
from operators.physics.cells import volumes_angstrom3
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
    """Means and standard errors; NaN for what the run does not say, and for errors below two blocks."""

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
    temperature, temperature_error = mean_and_error(temperatures_k(trajectory))
    pressure, pressure_error = mean_and_error(pressures_gpa(trajectory))
    density, density_error = mean_and_error(densities_g_per_cm3(trajectory))
    energy, energy_error = mean_and_error(trajectory.energy_ev / trajectory.n_atoms)
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


def temperatures_k(trajectory: Trajectory) -> Floats:
    """Temperature of each frame as the run states it, or else from its velocities.

    T = 2 E_kin / (3 (N - 1) k_B), the centre of mass being at rest.

    Returns
    -------
    Floats
        (n_frames,), K; NaN where neither is known.
    """
    velocities = trajectory.velocities_angstrom_per_fs
    if velocities is None or trajectory.n_atoms < 2:
        return trajectory.temperature_k
    masses = masses_amu(trajectory.atomic_numbers)
    at_rest = velocities - np.average(velocities, axis=1, weights=masses)[:, None]
    twice_kinetic = np.einsum("a,fax,fax->f", masses, at_rest, at_rest) * EV_PER_AMU_ANGSTROM2_PER_FS2
    from_velocities = twice_kinetic / (3 * (trajectory.n_atoms - 1) * BOLTZMANN_EV_PER_K)
    return np.where(np.isnan(trajectory.temperature_k), from_velocities, trajectory.temperature_k)


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
    virial = np.trace(trajectory.virial_ev, axis1=1, axis2=2) / 3
    pressures: Floats = (virial + kinetic) / volumes_angstrom3(trajectory.cell_angstrom) * GPA_PER_EV_PER_ANGSTROM3
    return pressures


def densities_g_per_cm3(trajectory: Trajectory) -> Floats:
    """Mass density of each frame: (n_frames,), g/cm^3."""
    mass = masses_amu(trajectory.atomic_numbers).sum()
    densities: Floats = mass / volumes_angstrom3(trajectory.cell_angstrom) * G_PER_CM3_PER_AMU_PER_ANGSTROM3
    return densities
