"""Every recipe of Table 1 trained for a few steps, frozen, compressed, tested and simulated; DP-small trained whole.

Nothing about accuracy follows from the few steps: the page shows that each recipe works from input to simulation, and
that every form of its potential says the same. What was trained is found when the same folder is named again.
"""

import json
import os
import re
import resource
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from lake.readers.lammps import read_card
from lake.warehouse import query
from operators.hardware import hardware
from operators.ingest import ingest
from operators.materialize import materialize
from operators.observe import observe_potential
from operators.potentials.deepmd_training import LOG
from operators.simulate import simulate
from operators.toy_melt import ToyMeltRequest, generate
from operators.train import train
from schemas.recipes import TABLE_1, Recipe, recipe_named
from schemas.settings import Settings
from schemas.simulation import SimulationRequest
from schemas.training import TrainingSetRequest

N_STEPS = 20
N_ATOMS, N_FRAMES = 108, 24
COMPOSITION = "Al33Cu33Ni33"
SMALL_ATOMS, SMALL_FRAMES = 120, 200
SMALL_COMPOSITIONS = ("Al60Cu20Ni20", "Al20Cu60Ni20", "Al20Cu20Ni60", "Al33Cu33Ni33")
HELD_OUT = "Al50Cu25Ni25"
CAMPAIGN = """\
[recipe.DP-small-without-virial]
based_on = "DP-small"
loss_prefactors = {start_virial = 0.0, limit_virial = 0.0}
"""
PARAMETERS = {
    "DP-1": (46800, 925923), "DP-2": (46800, 925923), "DP-3": (58050, 925923), "DP-4": (46800, 128103),
    "DP-5": (46800, 1100163), "DP-6": (2160, 465123), "DP-7": (17280, 261363), "DP-8": (2160, 20103),
    "DP-9": (46800, 781923), "DP-10": (46800, 1069923), "DP-11": (46800, 925923), "DP-12": (46800, 925923),
    "DP-13": (66960, 1041123), "DP-14": (146880, 1271523),
}  # fmt: skip
"""Numbers to learn in the nine embedding nets and the three fitting nets, worked out from the layers by hand."""

_TRAINED = re.compile(r"average training time: (\S+) s/batch")
_EMBEDDING, _FITTING = ("filter_type",), ("layer_", "final_layer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What became of one recipe."""

    recipe: Recipe
    parameters: tuple[int, int]
    seconds_per_step: float
    compressed: bool
    differences: dict[str, float]
    """Of frozen and compressed model from the checkpoint: eV/atom and eV/A."""
    n_tested: int
    lammps: tuple[float, float]
    """Largest difference of LAMMPS from DeepPot over two frames, one MD step apart: eV/atom and eV/A."""

    @property
    def cells(self) -> tuple[str, ...]:
        frozen, compressed = (
            f"{self.differences[f'{of}energy_ev_per_atom']:.0e} / {self.differences[f'{of}force_ev_per_angstrom']:.0e}"
            for of in ("freezing_", "")
        )
        return (
            self.recipe.name,
            *(f"{found:,}" + ("" if found == printed else " **not** " + f"{printed:,}")
              for found, printed in zip(self.parameters, PARAMETERS[self.recipe.name], strict=True)),
            f"{self.seconds_per_step:.2f}",
            frozen,
            compressed + ("" if self.compressed else " (not used)"),
            str(self.n_tested),
            f"{self.lammps[0]:.0e} / {self.lammps[1]:.0e}",
        )  # fmt: skip


def settings_in(folder: Path, name: str) -> Settings:
    return Settings.from_mapping({}, lake=str(folder / name / "lake"), landing=str(folder / name / "landing"))


def training_set(settings: Settings, melts: Iterable[ToyMeltRequest], request: TrainingSetRequest) -> str:
    """Toy melts, ingested and frozen into a training set; found where they are there."""
    landing = Path(settings.landing)
    for melt in melts:
        if not (landing / melt.composition).exists():
            generate(landing / melt.composition, melt)
    ingest(settings, [str(landing)])
    return str(materialize(settings, request)["training_set_id"])


def check_table_1(folder: Path, recipes: Sequence[Recipe] = TABLE_1) -> list[Checked]:
    """Each recipe through all steps, a few training steps long."""
    settings = settings_in(folder, "table-1")
    melt = ToyMeltRequest(composition=COMPOSITION, n_atoms=N_ATOMS, n_frames=N_FRAMES, source_format="outcar")
    # So few frames are close in time whatever the split; nothing is learnt from them here.
    frozen = training_set(settings, [melt], TrainingSetRequest(split="random"))
    return [check(settings, frozen, recipe) for recipe in recipes]


def check(settings: Settings, training_set_id: str, recipe: Recipe) -> Checked:
    made = train(settings, training_set_id, recipe=recipe.model_copy(update={"n_steps": N_STEPS}))
    potential_id = str(made["potential_id"])
    folder = settings.artifacts / "potentials" / potential_id
    tested = observe_potential(settings, potential_id)
    assert tested
    [rmse] = query(
        settings,
        f"""select n_frames, rmse_force_mev_per_angstrom as error from rmse
        where potential_id = '{potential_id}' and composition = 'all' and split = 'test'""",
    )
    assert np.isfinite(float(str(rmse["error"])))
    return Checked(
        recipe=recipe,
        parameters=parameters(folder),
        seconds_per_step=float(_TRAINED.findall((folder / LOG).read_text(errors="replace"))[-1]),
        compressed=bool(made["compressed"]),
        differences=json.loads((folder / "compression.json").read_text()),
        n_tested=int(str(rmse["n_frames"])),
        lammps=lammps_and_deep_pot(settings, potential_id),
    )


def parameters(folder: Path) -> tuple[int, int]:
    """Numbers that the embedding nets and the fitting nets of a potential have learnt, counted in its checkpoint."""
    import tensorflow as tf

    shapes = tf.train.load_checkpoint(str(folder / f"model.ckpt-{N_STEPS}")).get_variable_to_shape_map()
    learnt = {name: int(np.prod(shape)) for name, shape in shapes.items() if "/Adam" not in name}
    embedding, fitting = (
        sum(size for name, size in learnt.items() if name.startswith(net)) for net in (_EMBEDDING, _FITTING)
    )
    return embedding, fitting


def lammps_and_deep_pot(settings: Settings, potential_id: str) -> tuple[float, float]:
    """The frame that a simulation starts from: energies and forces of LAMMPS beside those of DeepPot.

    A potential after so few steps of training is stopped there, as it should be: it does not know the melt.
    """
    one_step = {"n_steps": 1, "equilibration_fs": 0.0, "sample_fs": 1.0, "time_step_fs": 1.0}
    request = SimulationRequest(protocol="twin", composition=COMPOSITION, **one_step)  # type: ignore[arg-type]
    run_id = str(simulate(settings, potential_id, request)["run_id"])
    test = read_card(settings.artifacts / "simulations" / run_id).start_test
    assert test is not None
    assert test.energy_difference_mev_per_atom is not None
    assert test.force_difference_mev_per_angstrom is not None
    return test.energy_difference_mev_per_atom / 1000, test.force_difference_mev_per_angstrom / 1000


def train_small(folder: Path, name: str, *, n_steps: int | None = None) -> dict[str, float]:
    """DP-small, or its twin without virials, on the demo's toy melts: errors on the test split, and CPU seconds.

    Parameters
    ----------
    folder
        Where the lake is, or is to be.
    name
        `DP-small` or `DP-small-without-virial`.
    n_steps
        Instead of the recipe's own.
    """
    from operators.campaign import campaign_of

    settings = settings_in(folder, "small")
    settings.home.mkdir(parents=True, exist_ok=True)
    (settings.home / "campaign.toml").write_text(CAMPAIGN)
    melts = [
        ToyMeltRequest(composition=of, n_atoms=SMALL_ATOMS, n_frames=SMALL_FRAMES, seed=seed, source_format="outcar")
        for seed, of in enumerate((*SMALL_COMPOSITIONS, HELD_OUT), start=1)
    ]
    frozen = training_set(settings, melts, TrainingSetRequest(hold_out=(HELD_OUT,)))
    recipe = recipe_named(name, campaign_of(settings).all_recipes)
    spent, began = settings.home / f"{name}.cpu", _cpu_seconds()
    before = float(spent.read_text()) if spent.exists() else 0.0
    try:
        made = train(settings, frozen, recipe=recipe.model_copy(update={} if n_steps is None else {"n_steps": n_steps}))
    finally:  # a training that was cut short costs what it cost, too
        spent.write_text(str(before + _cpu_seconds() - began))
    observe_potential(settings, str(made["potential_id"]))
    [row] = query(
        settings,
        f"""select rmse_energy_mev_per_atom as energy, rmse_force_mev_per_angstrom as force,
        rmse_virial_mev_per_atom as virial, n_frames from rmse
        where potential_id = '{made["potential_id"]}' and composition = 'all' and split = 'test'""",
    )
    return {**{key: float(str(value)) for key, value in row.items()}, "cpu_seconds": float(spent.read_text())}


def _cpu_seconds() -> float:
    """Of this process and of all that it started and that have ended."""
    usages = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def write_page(path: Path, folder: Path) -> None:
    """All of it, as a page."""
    checked = check_table_1(folder)
    small = {name: train_small(folder, name) for name in ("DP-small", "DP-small-without-virial")}
    virial, without = (found["virial"] for found in small.values())
    path.write_text(
        _PAGE.format(
            where=f"{datetime.now(UTC).date()}, {hardware()}, {os.cpu_count()} cores, one thread, TensorFlow",
            n_right=sum(one.parameters == PARAMETERS[one.recipe.name] for one in checked),
            n_checked=len(checked),
            rows="".join(f"| {' | '.join(one.cells)} |\n" for one in checked),
            n_tested=small["DP-small"]["n_frames"],
            times=without / virial,
            small="".join(_small_row(name, found) for name, found in small.items()),
        ),
        encoding="utf-8",
    )


def _small_row(name: str, found: dict[str, float]) -> str:
    return f"| {name} | {' | '.join(f'{found[key]:.1f}' for key in ('energy', 'force', 'virial', 'cpu_seconds'))} |\n"


_PAGE = f"""# Table 1, checked

`make bench BENCH=recipes`, {{where}}.

## Every recipe from input to simulation

Each of the fourteen recipes is trained for {N_STEPS} steps on frames of a toy melt ({COMPOSITION}, {N_ATOMS} atoms),
frozen, compressed, tested, and taken to LAMMPS. Parameters are counted in the checkpoint; {{n_right}} of
{{n_checked}} recipes have the numbers that follow from their layers. The three differences are the largest of energy
(eV/atom) and force (eV/Å): of the frozen and of the compressed model from the checkpoint, of LAMMPS from DeepPot with
the same file. Seconds per step are those of a machine that did other work, too: compare, do not quote.

| recipe | embedding nets | fitting nets | s/step | frozen | compressed | frames tested | LAMMPS |
|---|---|---|---|---|---|---|---|
{{rows}}
## DP-small on a laptop, and what virials are worth

Four toy melts of {SMALL_ATOMS} atoms, {SMALL_FRAMES} frames each, split in blocks; errors on {{n_tested:.0f}} frames of
the test split (meV/atom, meV/Å, meV/atom). The CPU seconds are those of `meltlake train` with all its programs. The
second recipe is the first with virial prefactors of 0: its virial error is {{times:.0f}} times that of the first, while
energies and forces are alike. The paper's DP-1 and DP-2 differ by 24 times.

| recipe | energy | force | virial | CPU seconds |
|---|---|---|---|---|
{{small}}"""
