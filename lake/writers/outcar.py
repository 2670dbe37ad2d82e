"""OUTCAR as VASP lays it out with NWRITE = 1, for synthetic runs. Which numbers go into it is the caller's business.

The layout was taken from public output files of VASP 5.4.4 and 6.4.2. What a toy potential has no numbers for
(eigenvalues, the parts of the stress, timings) is left out or written as zero, never made up.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from lake.writers.facts import SYNTHETIC, Floats, FrameFacts, RunFacts
from schemas.units import EV_PER_ANGSTROM3_PER_KBAR

FORCE_TABLE = ("TOTAL-FORCE (eV/Angst)", "total drift:")
"""Text that opens and closes a force table."""

_RULE = "-" * 104
_PAUSE = f"\n\n{_RULE}\n\n\n"
_ATOM_ROW = " %12.5f %12.5f %12.5f    %13.6f %13.6f %13.6f\n"
_CELL_ROW = "   %13.9f%13.9f%13.9f   %13.9f%13.9f%13.9f\n"
_VECTOR_ROW = " %12.8f %12.8f %12.8f\n"
_STRESS_ROWS = (
    "Alpha Z", "Ewald  ", "Hartree", "E(xc)  ", "Local  ", "n-local", "augment", "Kinetic", "Fock   ",
)  # fmt: skip


def write_outcar(path: Path, run: RunFacts, frames: Iterable[FrameFacts]) -> None:
    """Write a whole OUTCAR, one frame in memory at a time."""
    with path.open("w", encoding="ascii") as file:
        file.writelines(outcar_pieces(run, frames))


def outcar_pieces(run: RunFacts, frames: Iterable[FrameFacts]) -> Iterator[str]:
    """The text in pieces: the head, one piece per frame, the end.

    Raises
    ------
    ValueError
        If there is no frame: VASP writes the first frame's cell and positions into the head.
    """
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        raise ValueError("outcar_pieces: needed at least one frame, found none")
    yield _head(run, first)
    for step, frame in enumerate(chain([first], remaining), start=1):
        yield _ionic_step(run, frame, step)
    yield _end()


def _head(run: RunFacts, first: FrameFacts) -> str:
    incar = "".join(f"   {tag} = {value}\n" for tag, value in run.incar.items())
    potcars = "".join(f" POTCAR:    {species.potcar_title}\n" for species in run.species)
    return (
        f" vasp.{run.version} {SYNTHETIC}: written by meltlake, not by VASP\n"
        "  \n running    1 mpi-ranks, on    1 nodes\n"
        f"{_PAUSE} INCAR:\n{incar}\n{potcars}{_potcar_summaries(run)}{_dimensions(run)}"
        f" SYSTEM =  {run.title:<40s}\n POSCAR =  {run.title:<40s}\n\n"
        f"{_start_parameters(run)}{_PAUSE}{_cell(run, first)}\n{_initial_positions(first)}{_PAUSE}"
    )


def _potcar_summaries(run: RunFacts) -> str:
    return "".join(
        f" POTCAR:    {species.potcar_title}\n"
        f"   VRHFIN ={species.symbol}: {SYNTHETIC}\n"
        "   LEXCH  = PE\n\n"
        f"   TITEL  = {species.potcar_title}\n"
        f"   POMASS = {species.mass_amu:8.3f}; ZVAL   = {species.valence:8.3f}    mass and valenz\n\n"
        for species in run.species
    )


def _dimensions(run: RunFacts) -> str:
    counts = "".join(f"{species.count:6d}" for species in run.species)
    return (
        f"{_PAUSE}Automatic generation of k-mesh.\n generate k-points for:    1    1    1\n"
        f"{_PAUSE} Dimension of arrays:\n"
        "   k-points           NKPTS =      1   k-points in BZ     NKDIM =      1"
        f"   number of bands    NBANDS={run.n_bands:7d}\n"
        f"   number of dos      NEDOS =    301   number of ions     NIONS ={run.n_atoms:7d}\n"
        f"   ions per type =            {counts}\n\n"
    )


def _start_parameters(run: RunFacts) -> str:
    masses = "".join(f"{species.mass_amu:6.2f}" for species in run.species)
    valences = "".join(f"{species.valence:7.2f}" for species in run.species)
    return (
        " Startparameter for this run:\n"
        "   NWRITE =      1    write-flag & timer\n"
        "   PREC   = normal    normal or accurate (medium, high low for compatibility)\n"
        "   ISPIN  =      1    spin polarized calculation?\n"
        "   LNONCOLLINEAR =      F non collinear calculations\n"
        "   LSORBIT =      F    spin-orbit coupling\n"
        " Electronic Relaxation 1\n"
        f"   ENCUT  = {run.encut_ev:6.1f} eV\n"
        f"   NELM   = {run.nelm:6d};   NELMIN=  2; NELMDL=  0     # of ELM steps \n"
        f"   EDIFF  = {_fortran(run.ediff_ev, 1)}   stopping-criterion for ELM\n"
        " Ionic relaxation\n"
        f"   NSW    = {run.n_ionic_steps:6d}    number of steps for IOM\n"
        "   NBLOCK =      1;   KBLOCK =      1    inner block; outer block \n"
        "   IBRION =      0    ionic relax: 0-MD 1-quasi-New 2-CG\n"
        "   ISIF   =      2    stress and relaxation\n"
        "   ISYM   =      0    0-nonsym 1-usesym 2-fastsym\n\n"
        f"   POTIM  = {run.time_step_fs:6.4f}    time-step for ionic-motion\n"
        f"   TEBEG  = {run.temperature_k:6.1f};   TEEND  = {run.temperature_k:5.1f} temperature during run\n"
        "   SMASS  =   1.00    Nose mass-parameter (am)\n"
        "   PSTRESS=    0.0 pullay stress\n\n"
        f"  Mass of Ions in am\n   POMASS = {masses}\n"
        f"  Ionic Valenz\n   ZVAL   = {valences}\n"
        f"   NELECT = {run.n_electrons:12.4f}    total number of electrons\n\n"
        " DOS related values:\n"
        f"   ISMEAR = {run.ismear:5d};   SIGMA  = {run.sigma_ev:6.2f}"
        "  broadening in eV -4-tet -1-fermi 0-gaus\n\n"
        " Exchange correlation treatment:\n"
        "   GGA     =    --    GGA type\n"
        "   LEXCH   =     8    internal setting for exchange type\n\n"
        " molecular dynamics for ions\n   using nose mass (canonical ensemble)\n"
    )


def _initial_positions(first: FrameFacts) -> str:
    return (
        " k-points in reciprocal lattice and weights: automatic\n"
        "   0.00000000  0.00000000  0.00000000       1.000\n \n"
        " position of ions in fractional coordinates (direct lattice) \n"
        f"{_table(_VECTOR_ROW, first.fractional_positions)} \n"
        " position of ions in cartesian coordinates  (Angst):\n"
        f"{_table(_VECTOR_ROW, first.positions_angstrom)}"
    )


def _ionic_step(run: RunFacts, frame: FrameFacts, step: int) -> str:
    if run.release < (6, 2) or frame.scf_converged(run.ediff_ev):
        verdict = f"{'-' * 24} aborting loop because EDIFF is reached {'-' * 40}"
    else:
        verdict = f"{'-' * 24} aborting loop EDIFF was not reached (unconverged)  {'-' * 28}"
    return (
        f"{_electronic_steps(frame, step)}{verdict}\n\n\n"
        f"{_stress(frame)}\n VOLUME and BASIS-vectors are now :\n {'-' * 77}\n{_cell(run, frame)}\n\n"
        f"{_atoms(frame)}{_PAUSE}"
        f"  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)\n  {'-' * 51}\n"
        f"  free  energy   TOTEN  = {frame.energy_ev:18.8f} eV\n\n"
        f"  energy  without entropy={frame.energy_without_entropy_ev:18.8f}"
        f"  energy(sigma->0) ={frame.energy_sigma0_ev:18.8f}\n \n"
        f"{_PAUSE}{_thermostat(frame)}"
        f"     LOOP+:  cpu time      0.0000: real time      0.0000\n\n\n"
    )


def _electronic_steps(frame: FrameFacts, step: int) -> str:
    offsets = frame.scf_offsets_ev()
    energies = frame.energy_ev + offsets
    changes = np.diff(offsets, prepend=offsets[0] + frame.energy_ev)
    entropy = frame.energy_without_entropy_ev - frame.energy_ev
    bar = "-" * 39
    return "".join(
        f"{bar} Iteration {step:6d}({scf_step:4d})  {bar}\n\n\n"
        "      LOOP:  cpu time      0.0000: real time      0.0000\n\n"
        f" total energy-change (2. order) :{_fortran(change, 7):>14s}  ({_fortran(change, 7):>14s})\n\n"
        f"  free energy = {_fortran(energy, 12):>20s}"
        f"  energy without entropy= {_fortran(energy + entropy, 12):>20s}\n"
        f"{_PAUSE}\n"
        for scf_step, (energy, change) in enumerate(zip(energies, changes, strict=True), start=1)
    )


def _stress(frame: FrameFacts) -> str:
    in_kbar = frame.stress_kbar[[0, 1, 2, 0, 1, 2], [0, 1, 2, 1, 2, 0]]
    kbar_to_ev = EV_PER_ANGSTROM3_PER_KBAR * frame.volume_angstrom3
    external = float(np.trace(frame.stress_kbar)) / 3
    kinetic = 2 / 3 * frame.kinetic_energy_ev / kbar_to_ev
    with_kinetic = in_kbar + kinetic * np.array([1, 1, 1, 0, 0, 0])
    parts = "".join(f"  {name}{'     0.00000' * 6}\n" for name in _STRESS_ROWS)
    return (
        "  FORCE on cell =-STRESS in cart. coord.  units (eV):\n"
        "  Direction    XX          YY          ZZ          XY          YZ          ZX\n"
        f"  {'-' * 86}\n{parts}  {'-' * 85}\n"
        f"  Total  {_row('%12.5f', in_kbar * kbar_to_ev)}\n"
        f"  in kB  {_row('%12.5f', in_kbar)}\n"
        f"  external pressure = {external:11.2f} kB  Pullay stress = {0:11.2f} kB\n\n"
        f"  kinetic pressure (ideal gas correction) = {kinetic:9.2f} kB\n"
        f"  total pressure  = {external + kinetic:9.2f} kB\n"
        f"  Total+kin.{_row('%12.3f', with_kinetic)[2:]}\n"
    )


def _cell(run: RunFacts, frame: FrameFacts) -> str:
    rows = np.hstack([frame.cell_angstrom, frame.reciprocal_cell_per_angstrom])
    lengths = np.hstack([np.linalg.norm(rows[:, :3], axis=1), np.linalg.norm(rows[:, 3:], axis=1)])
    return (
        f"  energy-cutoff  : {run.encut_ev:11.2f}\n  volume of cell : {frame.volume_angstrom3:11.2f}\n"
        "      direct lattice vectors                 reciprocal lattice vectors\n"
        f"{_table(_CELL_ROW, rows)}\n  length of vectors\n{_table(_CELL_ROW, lengths[np.newaxis])}"
    )


def _atoms(frame: FrameFacts) -> str:
    rows = np.hstack([frame.positions_angstrom, frame.forces_ev_per_angstrom])
    drift = frame.forces_ev_per_angstrom.sum(axis=0)
    return (
        f" POSITION                                       TOTAL-FORCE (eV/Angst)\n {'-' * 83}\n"
        f"{_table(_ATOM_ROW, rows)} {'-' * 83}\n"
        f"    total drift:                          {_row('%14.6f', drift)}\n"
    )


def _thermostat(frame: FrameFacts) -> str:
    return (
        f"  ENERGY OF THE ELECTRON-ION-THERMOSTAT SYSTEM (eV)\n  {'-' * 51}\n"
        f"% ion-electron   TOTEN  = {frame.energy_ev:16.6f}  see above\n"
        f"  kinetic energy EKIN   = {frame.kinetic_energy_ev:16.6f}\n"
        f"  kin. lattice  EKIN_LAT= {0:16.6f}  (temperature {frame.temperature_k:7.2f} K)\n"
        f"  nose potential ES     = {frame.thermostat_energy_ev:16.6f}\n"
        f"  nose kinetic   EPS    = {0:16.6f}\n  {'-' * 51}\n"
        f"  total energy   ETOTAL = {frame.conserved_energy_ev:16.6f} eV\n\n"
    )


def _end() -> str:
    return (
        "  \n General timing and accounting informations for this job:\n"
        f" {'=' * 56}\n  \n"
        f"                  Total CPU time used (sec): {0:12.3f}\n"
        f"                         Elapsed time (sec): {0:12.3f}\n"
    )


def _table(row_format: str, values: Floats) -> str:
    # One formatting operation for the whole table: ten times quicker than row by row.
    return (row_format * len(values)) % tuple(values.ravel().tolist())


def _row(number_format: str, values: Floats) -> str:
    return (number_format * len(values)) % tuple(values.tolist())


def _fortran(value: float, digits: int) -> str:
    """A number as Fortran's E format writes it, with its first digit after the point: 0.1E-05."""
    mantissa, exponent = f"{abs(value):.{digits - 1}E}".split("E")
    shifted = int(exponent) + 1 if value else 0
    return f"{'-' if value < 0 else ''}0.{mantissa.replace('.', '')}E{shifted:+03d}"
