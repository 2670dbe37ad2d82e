"""Displacements and velocity autocorrelations are those that LAMMPS computes, origin by origin."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from operators.physics.msd import mean_squared_displacement
from operators.physics.vacf import vacf_from_velocities
from schemas.frames import Floats
from tests.physics.lammps_oracle import run_lammps

N_AL, N_NI, N_FRAMES, EVERY = 40, 50, 25, 4
NUMBERS = np.repeat([13, 28], [N_AL, N_NI])
TIME_FS = np.arange(N_FRAMES) * float(EVERY)
CELLS = {
    "cubic": np.eye(3) * 12.0,
    "triclinic": np.array([[12.0, 0, 0], [3.0, 13.0, 0], [-2.0, 4.0, 14.0]]),
}
COMPUTED = [(kind, element) for element in ("Al", "Ni") for kind in ("msd", "vacf")]

_INPUT = f"""units metal
atom_style atomic
region box prism 0 {{0}} 0 {{1}} 0 {{2}} {{3}} {{4}} {{5}}
create_box 2 box
create_atoms 1 random {N_AL} 11 box overlap 1.9 maxtry 5000
create_atoms 2 random {N_NI} 12 box overlap 1.9 maxtry 5000
mass 1 26.9815385
mass 2 58.6934
group Al type 1
group Ni type 2
pair_style lj/cut 5.0
pair_coeff * * 0.05 2.2
minimize 0 1e-3 200 200
reset_timestep 0
velocity all create 6000 5 mom yes rot no
timestep 0.001
fix 1 all nve
dump d all custom {EVERY} atoms.txt x y z vx vy vz
dump_modify d sort id format float %.17g first yes
"""


@dataclass(frozen=True)
class Fluid:
    """A hot fluid of two elements, and what LAMMPS computes of it with every saved frame as the time origin."""

    positions: Floats
    velocities: Floats
    cells: Floats
    computed: dict[tuple[str, str], Floats]
    """(n_frames, n_frames): at a frame, from an origin; NaN before it."""

    def over_origins(self, kind: str, element: str, lag: int) -> float:
        """Mean over all time origins that have a frame so much later."""
        return float(np.diagonal(self.computed[kind, element], -lag).mean())


@pytest.fixture(scope="module", params=CELLS)
def fluid(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Fluid:
    folder, cell = tmp_path_factory.mktemp("fluid"), CELLS[request.param]
    edges = (cell[0, 0], cell[1, 1], cell[2, 2], cell[1, 0], cell[2, 0], cell[2, 1])
    atoms, computed = run_and_read(folder, _INPUT.format(*edges))
    return Fluid(atoms[:, :, :3], 1e-3 * atoms[:, :, 3:], np.broadcast_to(cell, (N_FRAMES, 3, 3)), computed)


def run_and_read(folder: Path, script: str) -> tuple[Floats, dict[tuple[str, str], Floats]]:
    """A compute takes the step that it is defined at as its origin: four more of them at every frame."""
    columns: list[str] = []
    for origin in range(N_FRAMES):
        script += "".join(f"compute {kind}{element}{origin} {element} {kind}\n" for kind, element in COMPUTED)
        columns += [f"c_{kind}{element}{origin}[4]" for kind, element in COMPUTED]
        script += f"thermo_style custom step {' '.join(columns)}\nthermo_modify format float %.17g\n"
        script += f"run {EVERY if origin < N_FRAMES - 1 else 0}\n"
    printed = run_lammps(folder, script).partition("c_msdAl0[4]")[2]
    tables = [line.split() for line in printed.splitlines() if line.strip()[:1].isdigit()]
    computed = {name: np.full((N_FRAMES, N_FRAMES), np.nan) for name in COMPUTED}
    for row in (row for row in tables if len(row) % len(COMPUTED) == 1):
        values = np.array(row[1:], dtype=float).reshape(-1, len(COMPUTED))
        for table, of_origins in zip(computed.values(), values.T, strict=True):
            table[int(row[0]) // EVERY, : len(of_origins)] = of_origins
    words = [line.split() for line in (folder / "atoms.txt").read_text().splitlines()]
    rows = [row for row in words if len(row) == 6 and row[0] != "ITEM:"]
    return np.array(rows, dtype=float).reshape(N_FRAMES, N_AL + N_NI, 6), computed


def test_displacements_are_those_of_lammps_over_every_time_origin(fluid: Fluid) -> None:
    longest = 12.0 * EVERY
    msd = mean_squared_displacement(
        NUMBERS, fluid.positions, cells=fluid.cells, time_fs=TIME_FS, longest_lag_fs=longest
    )
    for element in ("Al", "Ni"):
        expected = [fluid.over_origins("msd", element, lag) for lag in range(1, 13)]
        assert expected[-1] > 0.3
        np.testing.assert_allclose(msd.curve(element)[1:], expected, rtol=1e-6)


def test_velocity_autocorrelations_are_those_of_lammps_over_every_time_origin(fluid: Fluid) -> None:
    vacf = vacf_from_velocities(NUMBERS, fluid.velocities, time_fs=TIME_FS, longest_lag_fs=6.0 * EVERY)
    for slot, element in enumerate(("Al", "Ni")):
        expected = np.array([1e-6 * fluid.over_origins("vacf", element, lag) for lag in range(7)])
        found = vacf.vacf[slot] * vacf.square_velocity[slot]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * expected[0])
