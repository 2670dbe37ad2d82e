"""What VASP prints around the numbers that a reader takes, in its own amounts: most of an OUTCAR is this text.

`lake.writers` leaves it out, since a toy potential has no such numbers; here they are random, for the size alone.
"""

from dataclasses import dataclass

import numpy as np

from lake.writers.facts import RunFacts

_WRITER_TIMING = "      LOOP:  cpu time      0.0000: real time      0.0000\n"
_WRITER_STRESS = "  FORCE on cell =-STRESS"
_WRITER_POSITIONS = " POSITION     "
_WRITER_NWRITE = "   NWRITE =      1 "

_STEPS = ("POTLOK", "SETDIJ", "EDDIAG", "RMM-DIIS", "ORTHCH", "DOS", "CHARGE", "MIXING")
_ENERGY_PARTS = (
    "alpha Z        PSCENC", "Ewald energy   TEWEN ", "-Hartree energ DENC  ", "-exchange      EXHF  ",
    "-V(xc)+E(xc)   XCENC ", "PAW double counting  ", "entropy T*S    EENTRO", "eigenvalues    EBANDS",
    "atomic energy  EATOM ", "Solvation  Ediel_sol ",
)  # fmt: skip
_RULE = "-" * 95


@dataclass(frozen=True, slots=True)
class Surroundings:
    """One variant of the text around a frame, as NWRITE = 1 or 2 prints it."""

    electronic_step: str
    before_stress: str
    before_positions: str
    nwrite: int

    def around(self, piece: str) -> str:
        """One piece of `outcar_pieces`, the head or a frame, with this text where VASP has it."""
        return (
            piece.replace(_WRITER_TIMING, self.electronic_step)
            .replace(_WRITER_STRESS, f"{self.before_stress}{_WRITER_STRESS}")
            .replace(_WRITER_POSITIONS, f"{self.before_positions}{_WRITER_POSITIONS}")
            .replace(_WRITER_NWRITE, f"   NWRITE = {self.nwrite:6d} ")
        )


def surroundings(run: RunFacts, rng: np.random.Generator, *, nwrite: int) -> Surroundings:
    """A random variant; `nwrite` 1 or 2 as in INCAR."""
    electronic_step, potentials = _timings(rng) + _electrons(rng), _core_potentials(run, rng)
    if nwrite == 1:
        return Surroundings(f"{electronic_step}{_mixing(rng)}", potentials, "", nwrite)
    bands = _eigenvalues(run, rng) + _strengths(rng)
    return Surroundings(
        electronic_step=f"{electronic_step}{_broyden(rng)}{_mixing(rng)}{_energy_parts(rng)}",
        before_stress=f"{potentials}{bands}",
        before_positions=_force_parts(run, rng),
        nwrite=nwrite,
    )


def _timings(rng: np.random.Generator) -> str:
    seconds = rng.uniform(0, 9, len(_STEPS))
    steps = "".join(
        f"{name:>10s}:  cpu time    {s:6.4f}: real time    {s:6.4f}\n"
        for name, s in zip(_STEPS, seconds.tolist(), strict=True)
    )
    total = float(seconds.sum())
    return f"{steps}    {'-' * 44}\n      LOOP:  cpu time   {total:7.4f}: real time   {total:7.4f}\n"


def _electrons(rng: np.random.Generator) -> str:
    return (
        f"\n eigenvalue-minimisations  :{rng.integers(2000, 9000):6d}\n"
        f" number of electron    {rng.uniform(3000, 3001):12.7f} magnetization \n"
        f" augmentation part     {rng.normal(0, 200):12.7f} magnetization \n\n"
    )


def _broyden(rng: np.random.Generator) -> str:
    return (
        f" Broyden mixing:\n  rms(total) = {_fortran(rng.normal(), 5)}    rms(broyden)= {_fortran(rng.normal(), 5)}\n"
        f"  rms(prec ) = {_fortran(rng.normal(), 5)}\n  weight for this iteration     100.00\n\n"
    )


def _mixing(rng: np.random.Generator) -> str:
    return (
        " eigenvalues of (default mixing * dielectric matrix)\n"
        f"  average eigenvalue GAMMA= {rng.uniform(0.3, 2):8.4f}\n{_rows('%8.4f', 10, rng.uniform(0.3, 5, 12))}"
    )


def _energy_parts(rng: np.random.Generator) -> str:
    parts = "".join(
        f"  {name} = {value:18.8f}\n" for name, value in zip(_ENERGY_PARTS, rng.normal(0, 1e4, 10), strict=True)
    )
    return f"\n Free energy of the ion-electron system (eV)\n  {'-' * 51}\n{parts}  {'-' * 51}\n"


def _core_potentials(run: RunFacts, rng: np.random.Generator) -> str:
    values = rng.uniform(-90, -40, run.n_atoms)
    numbered = [f"{number:8d}{value:9.4f}" for number, value in enumerate(values, start=1)]
    rows = "\n".join("".join(numbered[start : start + 5]) for start in range(0, len(numbered), 5))
    return f" average (electrostatic) potential at core\n  the test charge radii are     0.7215  0.5201\n{rows}\n\n\n"


def _eigenvalues(run: RunFacts, rng: np.random.Generator) -> str:
    energies = np.sort(rng.uniform(-8, 12, run.n_bands))
    rows = "".join(
        f"{band:7d}{energy:14.4f}{2.0 if energy < 4 else 0.0:13.5f}\n" for band, energy in enumerate(energies, start=1)
    )
    return (
        " E-fermi :   4.0000     XC(G=0):  -9.0103     alpha+bet : -8.2602\n\n"
        " k-point     1 :       0.0000    0.0000    0.0000\n  band No.  band energies     occupation \n"
        f"{rows}\n\n{_RULE}\n\n\n"
    )


def _strengths(rng: np.random.Generator) -> str:
    titles = (
        " pseudopotential strength for first ion, spin component:           1\n",
        " total augmentation occupancy for first ion, spin component:           1\n",
    )
    return "".join(f"{title}{_rows('%7.3f', 18, rng.normal(0, 9, 18 * 18))}" for title in titles) + "\n\n"


def _force_parts(run: RunFacts, rng: np.random.Generator) -> str:
    """The table of twelve columns per atom, in Fortran's E format that leaves the zero out."""
    numbers = [_fortran(value, 3) for value in rng.normal(0, 30, 64)]
    chosen = rng.integers(0, len(numbers), (run.n_atoms, 4, 3))
    rows = "".join(
        f"    {'   '.join(' '.join(numbers[n] for n in three) for three in atom)}\n" for atom in chosen.tolist()
    )
    return f" FORCES acting on ions\n{' ' * 4}electron-ion (+dipol)\n {_RULE}\n{rows} {_RULE}\n\n\n"


def _rows(number: str, n_columns: int, values: np.ndarray) -> str:
    texts = [number % value for value in values.tolist()]
    return "".join(f"{''.join(texts[start : start + n_columns])}\n" for start in range(0, len(texts), n_columns))


def _fortran(value: float, digits: int) -> str:
    mantissa, exponent = f"{abs(value):.{digits - 1}E}".split("E")
    return f"{'-' if value < 0 else '0'}.{mantissa.replace('.', '')}E{int(exponent) + 1:+03d}"
