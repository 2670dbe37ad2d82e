"""The Lennard-Jones liquid near its triple point, from a run of LAMMPS through every observable: its values are known.

rho* = 0.8442, T* = 0.722: Verlet, Phys. Rev. 165, 201 (1968), for its structure; Meier, Laesecke and Kabelac, J. Chem.
Phys. 121, 3671 and 9526 (2004), for viscosity (about 3.3) and diffusion (about 0.034). Potential cut at 2.5 sigma.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from operators.physics.diffusion import Viscous, Window, einstein_diffusion, in_an_infinite_cell
from operators.physics.first_shell import first_shells
from operators.physics.msd import mean_squared_displacement
from operators.physics.rdf import partial_rdf
from operators.physics.structure_factor import partial_structure_factors
from operators.physics.viscosity import Viscosity, stress_autocorrelation, viscosity
from schemas.elements import masses_amu
from schemas.frames import Floats
from schemas.units import (
    BOLTZMANN_EV_PER_K,
    EV_PER_AMU_ANGSTROM2_PER_FS2,
    FS_PER_PS,
    MPA_S_PER_EV_PS_PER_ANGSTROM3,
)
from tests.physics.lammps_oracle import run_lammps

pytestmark = [pytest.mark.slow, pytest.mark.physical_validation]

SIGMA, EPSILON = 3.405, 119.8 * BOLTZMANN_EV_PER_K  # argon
ARGON = np.full(256, 18)
EDGE = (256 / 0.8442) ** (1 / 3) * SIGMA
TIME_PS = SIGMA * np.sqrt(masses_amu(ARGON)[0] * EV_PER_AMU_ANGSTROM2_PER_FS2 / EPSILON) / FS_PER_PS
STEP_FS, EVERY = 10.0, 10

_INPUT = f"""units metal
atom_style atomic
lattice fcc {EDGE / 4:.12f}
region box block 0 4 0 4 0 4
create_box 1 box
create_atoms 1 box
mass 1 {masses_amu(ARGON)[0]}
pair_style lj/cut {2.5 * SIGMA}
pair_coeff 1 1 {EPSILON:.12g} {SIGMA}
velocity all create 260 7 mom yes rot no dist gaussian
timestep {STEP_FS / FS_PER_PS}
fix 1 all nvt temp 260 260 0.5
run 2000
fix 1 all nvt temp {0.722 * 119.8} {0.722 * 119.8} 0.5
run 6000
reset_timestep 0
variable t equal temp
fix f all ave/time 1 1 1 v_t c_thermo_press[*] file pressure.txt format " %.10g"
dump d all custom {EVERY} atoms.txt x y z
dump_modify d sort id format float %.8g
run 30000
"""


@dataclass(frozen=True)
class Liquid:
    positions: Floats
    cells: Floats
    temperature_k: float
    viscosity: Viscosity


@pytest.fixture(scope="module")
def liquid(tmp_path_factory: pytest.TempPathFactory) -> Liquid:
    folder = tmp_path_factory.mktemp("argon")
    run_lammps(folder, _INPUT)
    rows = np.loadtxt(folder / "pressure.txt")
    pressures = np.empty((len(rows), 3, 3))
    for column, (a, b) in enumerate([(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)], start=2):
        pressures[:, a, b] = pressures[:, b, a] = rows[:, column] * 1e-4
    temperature = float(rows[:, 1].mean())
    time = np.arange(len(rows)) * STEP_FS
    stress = stress_autocorrelation(pressures, time_fs=time, volume_angstrom3=EDGE**3, temperature_k=temperature)
    positions = _dumped(folder / "atoms.txt")
    cells = np.broadcast_to(np.eye(3) * EDGE, (len(positions), 3, 3))
    return Liquid(positions, cells, temperature, viscosity(stress))


def _dumped(path: Path) -> Floats:
    lines = path.read_text().splitlines()
    heads = range(0, len(lines), 256 + 9)
    return np.array([[line.split() for line in lines[head + 9 : head + 265]] for head in heads], dtype=float)


def test_liquid_argon_has_its_first_shell(liquid: Liquid) -> None:
    rdf = partial_rdf(
        ARGON, liquid.positions[::5], cells=liquid.cells[::5], r_max_angstrom=11.0, n_bins=220, n_blocks=8
    )
    [shell] = first_shells(rdf, counts={"Ar": 256}, volume_angstrom3=EDGE**3)
    assert liquid.temperature_k == pytest.approx(0.722 * 119.8, rel=0.02)
    assert shell.order.first_peak_angstrom / SIGMA == pytest.approx(1.085, abs=0.01)
    assert shell.order.first_peak_height == pytest.approx(3.04, abs=0.08)
    assert shell.order.coordination == pytest.approx(12.5, abs=0.4)
    assert shell.coordination_error < 0.1


def test_liquid_argon_scatters_as_it_does_near_freezing(liquid: Liquid) -> None:
    found = partial_structure_factors(
        ARGON, liquid.positions[::10], cells=liquid.cells[::10], q_max_per_angstrom=3.0, shell_per_angstrom=0.05
    )
    highest = int(np.argmax(found.number_number))
    assert found.number_number[highest] == pytest.approx(2.7, abs=0.2)
    assert found.q_per_angstrom[highest] * SIGMA == pytest.approx(6.85, abs=0.15)
    assert found.number_number[0] < 0.12  # hardly compressible


def test_liquid_argon_flows_as_it_should(liquid: Liquid) -> None:
    viscosity_unit = EPSILON / SIGMA**3 * TIME_PS * MPA_S_PER_EV_PS_PER_ANGSTROM3
    found = liquid.viscosity
    assert found.reason is None
    assert found.error_mpa_s is not None
    assert found.error_mpa_s / viscosity_unit < 0.6
    assert found.viscosity_mpa_s == pytest.approx(3.3 * viscosity_unit, abs=3.0 * found.error_mpa_s)


def test_liquid_argon_diffuses_as_it_should_in_an_infinite_cell(liquid: Liquid) -> None:
    time = np.arange(len(liquid.positions)) * STEP_FS * EVERY
    msd = mean_squared_displacement(
        ARGON, liquid.positions, cells=liquid.cells, time_fs=time, longest_lag_fs=15_000.0, n_blocks=8
    )
    [in_cell] = einstein_diffusion(msd, Window(from_fs=4000.0, until_fs=15_000.0))
    assert liquid.viscosity.viscosity_mpa_s is not None
    melt = Viscous(temperature_k=liquid.temperature_k, viscosity_mpa_s=liquid.viscosity.viscosity_mpa_s)
    infinite = in_an_infinite_cell(in_cell, np.eye(3) * EDGE, melt)
    unit = SIGMA**2 / TIME_PS
    assert in_cell.diffusion_angstrom2_per_ps == pytest.approx(0.030 * unit, rel=0.1)
    assert infinite.diffusion_angstrom2_per_ps == pytest.approx(0.0345 * unit, rel=0.1)
