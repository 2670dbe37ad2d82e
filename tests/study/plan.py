"""The stages of the study: command lines that a person could type, in the order in which they become possible.

What the campaign asks for is told by the lake, as for Airflow's plans. The rest is what a campaign does not say:
a potential without virials, committees of quick potentials, one of which never met Al beside Ni, densities at constant
pressure, and the truth run by the same protocols.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lake.delta import Lake
from operators.processes import program
from operators.stale.campaign_work import CampaignWork
from operators.stale.holdings import Holdings
from operators.stale.item import Stale
from operators.stale.runs import not_ingested, not_observed
from schemas.errors import MeltlakeError
from schemas.settings import Settings
from tests.study.commands import Typist
from tests.study.melts import BLIND, COMPOSITIONS, NEVER_MET, Size
from tests.study.truth import TRUTH, bring_truth

Commands = list[list[str]]

RECIPE = "with-virial"
WITHOUT_VIRIAL = "without-virial"
OF_COMMITTEES = "quick"
SEEDS = (1, 2, 3)
"""Of each committee: the one that knows Al beside Ni, and the blind one."""
_SEED_OF_TRUTH = 2
"""Other velocities than those that the potentials start with: a sample of its own."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Commands that do not wait for each other, the longest first, and what they were planned to cost together."""

    name: str
    planned_cpu_minutes: float


MELTS = Stage("melts", 1)
INGEST = Stage("ingest", 0.6)
FREEZE = Stage("training sets", 0.1)
TRAIN = Stage("train", 41)
SIMULATE = Stage("simulate", 39)
OBSERVE = Stage("observe", 3)
PUBLISH = Stage("publish", 1)
STAGES = (MELTS, INGEST, FREEZE, TRAIN, SIMULATE, OBSERVE, PUBLISH)


def settings_in(folder: Path) -> Settings:
    """The study's own lake, apart from any other."""
    folder = folder.absolute()
    return Settings.from_mapping({}, lake=str(folder / "lake"), landing=str(folder / "landing"))


def run(settings: Settings, size: Size, *, n_workers: int = 2) -> None:
    """Everything that is not there yet, from the melts to the report."""
    settings.home.mkdir(parents=True, exist_ok=True)
    (settings.home / "campaign.toml").write_text(size.campaign, encoding="utf-8")
    typist = Typist(settings.home, settings.environment, n_workers)
    for stage, commands in stages(settings, size):
        typist.type_all(stage.name, commands)


def stages(settings: Settings, size: Size) -> Iterator[tuple[Stage, Commands]]:
    """Each stage with what is still to be typed of it, read from the lake when its turn comes."""
    yield MELTS, _melts(settings, size)
    yield INGEST, _typed(not_ingested(Holdings(settings)))
    yield FREEZE, _blind_training_set()
    # Last, so that the report shows the roles that compositions have in it: those of the newest set.
    yield FREEZE, _typed(CampaignWork(settings).training_sets())
    bring_truth(settings)
    yield TRAIN, [*_trainings(settings), *_of_truth(size), *_typed(not_observed(Holdings(settings)))]
    yield SIMULATE, [*_simulations(settings, size), *_scores(settings)]
    yield OBSERVE, _typed(not_observed(Holdings(settings)))
    yield PUBLISH, _meltlake(["publish"])
    yield PUBLISH, _meltlake(["report"])


def training_set_ids(settings: Settings) -> tuple[str, str]:
    """Names of the campaign's training set and of the blind one.

    Raises
    ------
    MeltlakeError
        If one of them is not there.
    """
    newest = [one.newest for one in CampaignWork(settings).sets if one.newest is not None]
    rows = Lake(settings.lake).rows("training_sets").to_pylist()
    blind = [row["training_set_id"] for row in rows if row["compositions"] == sorted(BLIND)]
    if not (newest and blind):
        raise MeltlakeError(
            "The study's training sets are not there.", f"See why `materialize` failed: {settings.home / 'log.txt'}."
        )
    return str(newest[-1]["training_set_id"]), str(blind[-1])


def _melts(settings: Settings, size: Size) -> Commands:
    module = [sys.executable, "-m", "tests.study.melts", settings.landing]
    sizes = [str(size.n_atoms), str(size.n_frames)]
    landed = Lake(settings.lake).rows("raw_files", columns=["path"])["path"].to_pylist()
    return [
        [*module, composition, *sizes]
        for composition in reversed(COMPOSITIONS)
        if not any(f"synthetic-{composition}/" in path for path in landed)
    ]


def _blind_training_set() -> Commands:
    options = ["--compositions", *BLIND, "--hold-out", NEVER_MET, "--every-fs", "25.0"]
    return _meltlake(["materialize", *options])


def _trainings(settings: Settings) -> Commands:
    whole, blind = training_set_ids(settings)
    of_committees = [
        ["train", name, "--recipe", OF_COMMITTEES, "--seed", str(seed)] for name in (whole, blind) for seed in SEEDS
    ]
    return [
        *_typed(CampaignWork(settings).potentials()),
        *_meltlake(["train", whole, "--recipe", WITHOUT_VIRIAL], *of_committees),
    ]


def _of_truth(size: Size) -> Commands:
    twins = [
        ["simulate", TRUTH, "--protocol", "twin", "--composition", composition, "--seed", str(_SEED_OF_TRUTH)]
        for composition in COMPOSITIONS
    ]
    return [*_at_constant_pressure(TRUTH, size, seed=_SEED_OF_TRUTH), *_meltlake(*twins)]


def _simulations(settings: Settings, size: Size) -> Commands:
    rows = Lake(settings.lake).rows("potentials").to_pylist()
    compared = [row["potential_id"] for row in rows if row["recipe"] in (RECIPE, WITHOUT_VIRIAL)]
    npt = [words for name in compared for words in _at_constant_pressure(name, size)]
    return [*npt, *_typed(CampaignWork(settings).simulations())]


def _at_constant_pressure(potential_id: str, size: Size, *, seed: int = 1) -> Commands:
    options = ["--steps", str(size.n_npt_steps), "--seed", str(seed)]
    return _meltlake(
        *(["simulate", potential_id, "--protocol", "npt", "--composition", name, *options] for name in COMPOSITIONS)
    )


def _scores(settings: Settings) -> Commands:
    rows = Lake(settings.lake).rows("potentials").to_pylist()
    trained = [row["potential_id"] for row in rows if row["potential_id"] != TRUTH]
    return _meltlake(*(["observe", "--potential", name] for name in trained))


def _typed(items: Iterable[Stale]) -> Commands:
    return _meltlake(*(list(item.arguments) for item in items))


def _meltlake(*commands: list[str]) -> Commands:
    return [[program("meltlake"), *words] for words in commands]
