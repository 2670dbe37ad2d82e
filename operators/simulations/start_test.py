"""The start frame before a simulation may go on: LAMMPS, the potential itself and DFT must tell the same of it.

A wrong type map, another model under the potential's name or a plugin that does not fit the model show here for sure,
and at once. How atoms lie is looked at by `guards`.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lake.lammps_data import rotation
from lake.readers.lammps import DUMP_COLUMNS, dumped_atoms
from lake.readers.lammps_tables import tensors
from operators.physics.cells import volumes_angstrom3
from operators.simulations.lammps_input import START_FRAME
from operators.simulations.own_labels import own_labels
from operators.simulations.pair_style import PairStyle
from operators.simulations.start_frame import Start
from schemas.frames import Floats
from schemas.simulation import SimulationCard, StartTest
from schemas.units import BAR_PER_GPA, GPA_PER_EV_PER_ANGSTROM3, MEV_PER_EV


@dataclass(frozen=True, slots=True)
class Tolerances:
    """How far LAMMPS and the potential itself may differ."""

    energy_mev_per_atom: float
    force_mev_per_angstrom: float
    pressure_gpa: float


TOLERANCES = {"float64": Tolerances(1e-3, 1e-2, 1e-4), "float32": Tolerances(1.0, 10.0, 5e-2)}
"""By the precision of the model: a hundred times what sums in another order change."""

_FORCES_OF_REST_EV_PER_ANGSTROM = 0.05
"""Root mean square of a crystal at rest: nothing to tell a good potential from a bad one by."""
_TIMES_THE_KNOWN_RMSE = 5.0
"""Frames and compositions differ by less in how hard they are to a potential that learnt them."""
_LEAST_ERROR_OF_ANOTHER_MODEL = 0.3
"""Over the size of DFT's forces: potentials that hold a melt together stay below."""
_FORCES = slice(DUMP_COLUMNS.split().index("fx"), None)
_DISAGREE = "LAMMPS and the potential itself disagree"
_TABLE = "a table is read by LAMMPS only"
"""Why LAMMPS is compared with nothing but DFT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Of a frame as LAMMPS has it turned."""

    energy_ev_per_atom: float
    forces_ev_per_angstrom: Floats
    """(n_atoms, 3)."""
    pressure_gpa: Floats
    """(3, 3), without its kinetic part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What was found of the start frame so far."""

    test: StartTest
    fault: str | None = None
    """Why nothing can be simulated so; None when it can."""
    own: Labels | None = None
    """What the potential itself says; None of a table."""


def judged_before(folder: Path, card: SimulationCard, start: Start, pair: PairStyle) -> Judged:
    """The potential itself, before LAMMPS is started.

    Raises
    ------
    ProgramFailed
        If the model file cannot be read.
    """
    if pair.model is None:
        return Judged(test=StartTest(note=_TABLE))
    parent = start.parent_frame
    positions = np.stack([start.positions_angstrom, parent.positions_angstrom])
    cells = np.stack([start.cell_angstrom, parent.cell_angstrom])
    both = np.stack([start.atomic_numbers, parent.atomic_numbers])
    found = own_labels(folder, pair.model, both, (positions, cells))
    test = beside_dft(found.forces_ev_per_angstrom[1], parent.forces_ev_per_angstrom)
    if found.type_map != card.type_map:
        return Judged(
            test=test,
            fault=f"the type map is wrong: the lake has {', '.join(card.type_map)} for this potential, its model file "
            f"{', '.join(found.type_map)}",
        )
    turn = rotation(start.cell_angstrom)
    volume = float(volumes_angstrom3(start.cell_angstrom[None])[0])
    own = Labels(
        energy_ev_per_atom=float(found.energy_ev[0]) / len(start.atomic_numbers),
        forces_ev_per_angstrom=found.forces_ev_per_angstrom[0] @ turn,
        pressure_gpa=turn.T @ found.virial_ev[0] @ turn / volume * GPA_PER_EV_PER_ANGSTROM3,
    )
    if not (np.isfinite(own.energy_ev_per_atom) and np.isfinite(own.forces_ev_per_angstrom).all()):
        return Judged(test=test, fault="energy or forces of the start frame are not a number")
    return Judged(test=test, own=own)


def judged_in_lammps(
    folder: Path, start: Start, pair: PairStyle, *, before: Judged, numbers: tuple[float, ...]
) -> Judged:
    """LAMMPS beside what was found before it was started, and then what DFT says of that.

    Parameters
    ----------
    folder
        Where LAMMPS left the start frame.
    start
        The same frame as it was given.
    pair
        The potential.
    before
        Of `judged_before`.
    numbers
        Energy, eV, and six components of the virial pressure, bar, as LAMMPS printed them.
    """
    atoms = dumped_atoms(folder / START_FRAME)
    if atoms is None:
        return Judged(test=before.test, fault="a position or force of the start frame is not a number in LAMMPS")
    lammps = Labels(
        energy_ev_per_atom=numbers[0] / len(atoms),
        forces_ev_per_angstrom=atoms[:, _FORCES],
        pressure_gpa=tensors(np.array([numbers[1:]]))[0] / BAR_PER_GPA,
    )
    if before.own is not None:
        found = _compared(lammps, before.own, before.test, TOLERANCES[pair.precision])
    else:
        forces = lammps.forces_ev_per_angstrom[: len(start.atomic_numbers)] @ rotation(start.cell_angstrom).T
        dft = None if start.is_exchanged else start.parent_frame.forces_ev_per_angstrom
        found = Judged(test=beside_dft(forces, dft).model_copy(update={"note": _TABLE}))
    return replace(found, fault=found.fault or fault_of_forces(found.test, pair, start.origin.parent_run_id))


def beside_dft(forces: Floats, dft: Floats | None) -> StartTest:
    """How far forces are from DFT's; nothing where those tell nothing.

    Parameters
    ----------
    forces, dft
        (n_atoms, 3), eV/Angstrom.
    """
    if dft is None or not (np.isfinite(dft).all() and np.isfinite(forces).all()):
        return StartTest()
    size, rmse = (float(np.sqrt(np.mean(values**2))) for values in (dft, forces - dft))
    tells = size > _FORCES_OF_REST_EV_PER_ANGSTROM
    return StartTest(force_rmse_ev_per_angstrom=rmse, force_error_frac=rmse / size if tells else None)


def fault_of_forces(test: StartTest, pair: PairStyle, run_id: str) -> str | None:
    """Why a potential with such forces on a frame of that run is not what it should be; None if it may be."""
    if test.force_error_frac is not None and test.force_error_frac >= 1:
        return (
            f"the potential does not know this melt: on the start frame its forces are off from DFT's by "
            f"{test.force_error_frac:.2f} times their size, and 1 would be no forces at all; it is untrained, was "
            "trained on other elements, or is another model"
        )
    rmse, known = test.force_rmse_ev_per_angstrom, pair.force_rmse_ev_per_angstrom
    if rmse is None or known is None or run_id not in pair.trained_on:
        return None
    # A run goes on after it was trained on, hotter perhaps: a few percent off are no other model.
    error_frac = test.force_error_frac or rmse / _FORCES_OF_REST_EV_PER_ANGSTROM
    if error_frac < _LEAST_ERROR_OF_ANOTHER_MODEL or rmse <= _TIMES_THE_KNOWN_RMSE * known:
        return None
    return (
        f"this is not the potential that was trained: it learnt from run {run_id}, and on a frame of that its forces "
        f"are off by {rmse:.3g} eV/Angstrom, where they were off by {known:.3g} at the end of its training; another "
        "model lies under its name, or its elements are mixed up"
    )


def is_of_programs(outcome: str) -> bool:
    """Whether LAMMPS and the potential itself did not agree: with other versions of both they may."""
    return _DISAGREE in outcome


def _compared(lammps: Labels, own: Labels, test: StartTest, allowed: Tolerances) -> Judged:
    copies = len(lammps.forces_ev_per_angstrom) // len(own.forces_ev_per_angstrom)
    expected = np.tile(own.forces_ev_per_angstrom, (copies, 1))
    found = {
        "energy_difference_mev_per_atom": abs(lammps.energy_ev_per_atom - own.energy_ev_per_atom) * MEV_PER_EV,
        "force_difference_mev_per_angstrom": _largest(lammps.forces_ev_per_angstrom - expected) * MEV_PER_EV,
        "pressure_difference_gpa": _largest(lammps.pressure_gpa - own.pressure_gpa),
    }
    limits = (allowed.energy_mev_per_atom, allowed.force_mev_per_angstrom, allowed.pressure_gpa)
    # Written so that what is not a number agrees with nothing.
    agrees = all(difference <= limit for difference, limit in zip(found.values(), limits, strict=True))
    energy, force, pressure = found.values()
    return Judged(
        test=test.model_copy(update=found),
        own=own,
        fault=None
        if agrees
        else f"{_DISAGREE} on the start frame, by {energy:.3g} meV/atom, {force:.3g} "
        f"meV/Angstrom and {pressure:.3g} GPa: the types of atoms are mapped to other elements (a wrong type map), or "
        "the plugin does not fit the model",
    )


def _largest(differences: Floats) -> float:
    return float(np.abs(differences).max())
