"""Enthalpy of a melt, and what mixing its elements gives. Densities and pressures are in `thermodynamics`.

    H = E + 3/2 (N - 1) k_B T + p V,   dH_mix = H(melt) - sum_a x_a H(a)

per atom, all liquid, at one temperature and pressure. E is the free energy of the electrons, as everywhere here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from operators.physics.cells import volumes_angstrom3
from operators.physics.thermodynamics import mean_over_run, temperatures_k
from schemas.composition import element_counts
from schemas.errors import MeltlakeError
from schemas.frames import Floats, Trajectory
from schemas.units import BOLTZMANN_EV_PER_K, GPA_PER_EV_PER_ANGSTROM3

MOST_APART_SHARE = 0.01
"""Of the temperature: 17 K at 1673 K."""

MOST_APART_GPA = 0.01
"""Times 15 angstrom^3 of an atom: 1 meV."""

_HEAT_CAPACITY_EV_PER_K = 4 * BOLTZMANN_EV_PER_K
"""Of an atom of a metallic melt at constant pressure, about; it turns what temperatures differ by into an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enthalpy:
    """Mean enthalpy of a run; errors are NaN where it is too short to tell."""

    counts: Mapping[str, int]
    """Atoms of each element."""
    temperature_k: float
    pressure_gpa: float
    """At which it was taken, not the mean of the run's own."""
    enthalpy_ev_per_atom: float
    error_ev_per_atom: float

    @property
    def concentrations(self) -> dict[str, float]:
        total = sum(self.counts.values())
        return {element: count / total for element, count in self.counts.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class MixingEnthalpy:
    """Enthalpy of mixing; negative where unlike atoms attract."""

    enthalpy_ev_per_atom: float
    error_ev_per_atom: float
    """Of all runs together, and what their temperatures differ by; NaN where a run has none."""
    temperature_k: float


def enthalpies_ev_per_atom(trajectory: Trajectory, *, pressure_gpa: float) -> Floats:
    """Enthalpy of each frame.

    Parameters
    ----------
    trajectory
        The run.
    pressure_gpa
        What the barostat holds, or the mean pressure of a run at constant volume.

    Returns
    -------
    Floats
        (n_frames,), eV; NaN where energy or temperature is unknown.
    """
    kinetic = 1.5 * (trajectory.n_atoms - 1) * BOLTZMANN_EV_PER_K * temperatures_k(trajectory)
    work = pressure_gpa / GPA_PER_EV_PER_ANGSTROM3 * volumes_angstrom3(trajectory.cell_angstrom)
    enthalpies: Floats = (trajectory.energy_ev + kinetic + work) / trajectory.n_atoms
    return enthalpies


def enthalpy(trajectory: Trajectory, *, pressure_gpa: float) -> Enthalpy:
    """Mean enthalpy over the averaged frames of a run; see `enthalpies_ev_per_atom`.

    Raises
    ------
    MeltlakeError
        If no averaged frame has energy and temperature.
    """
    with np.errstate(all="ignore"):  # a rejected frame may have a cell without a volume
        series = enthalpies_ev_per_atom(trajectory, pressure_gpa=pressure_gpa)
        mean, error = mean_over_run(trajectory, series)
    if np.isnan(mean):
        raise MeltlakeError(
            f"Enthalpy of run {trajectory.run_id}: needed accepted frames with energy and temperature, found none.",
            "Use a molecular dynamics run whose files tell its temperature.",
        )
    return Enthalpy(
        counts=element_counts(trajectory.atomic_numbers),
        temperature_k=mean_over_run(trajectory, temperatures_k(trajectory))[0],
        pressure_gpa=pressure_gpa,
        enthalpy_ev_per_atom=mean,
        error_ev_per_atom=error,
    )


def enthalpy_of_mixing(melt: Enthalpy, pure: Mapping[str, Enthalpy]) -> MixingEnthalpy:
    """Enthalpy of mixing of a melt against its pure elements, of the same potential or level of theory.

    Parameters
    ----------
    melt
        Of the mixture.
    pure
        Of each element's own melt.

    Raises
    ------
    MeltlakeError
        If an element's melt is missing or not pure, or their temperatures or pressures differ.
    """
    ends = [_end_member(melt, element, pure) for element in melt.concentrations]
    shares = np.array(list(melt.concentrations.values()))
    apart_k = np.array([end.temperature_k - melt.temperature_k for end in ends])
    errors = np.array([end.error_ev_per_atom for end in ends])
    squares = (shares * errors) ** 2 + (shares * _HEAT_CAPACITY_EV_PER_K * apart_k) ** 2
    return MixingEnthalpy(
        enthalpy_ev_per_atom=melt.enthalpy_ev_per_atom - float(shares @ [end.enthalpy_ev_per_atom for end in ends]),
        error_ev_per_atom=float(np.sqrt(melt.error_ev_per_atom**2 + squares.sum())),
        temperature_k=melt.temperature_k,
    )


def _end_member(melt: Enthalpy, element: str, pure: Mapping[str, Enthalpy]) -> Enthalpy:
    """Of the pure element; refused where it cannot be compared with."""
    end = pure.get(element)
    where = f"Enthalpy of mixing of {'-'.join(melt.counts)}"
    if end is None or set(end.counts) != {element}:
        found = "none" if end is None else f"one of {'-'.join(end.counts)}"
        raise MeltlakeError(
            f"{where}: needed the enthalpy of pure {element}, found {found}.",
            f"Simulate pure {element} with the same potential, at the same temperature.",
        )
    if abs(end.temperature_k - melt.temperature_k) > MOST_APART_SHARE * melt.temperature_k:
        raise MeltlakeError(
            f"{where}: needed one temperature, found {melt.temperature_k:.0f} K and, of {element}, "
            f"{end.temperature_k:.0f} K.",
            "Simulate all of them at one temperature; undercooled melts serve as well.",
        )
    if abs(end.pressure_gpa - melt.pressure_gpa) > MOST_APART_GPA:
        raise MeltlakeError(
            f"{where}: needed one pressure, found {melt.pressure_gpa:g} GPa and, of {element}, "
            f"{end.pressure_gpa:g} GPa.",
            "Simulate all of them at one pressure.",
        )
    return end
