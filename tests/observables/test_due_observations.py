"""Runs are observed again when they could tell more, or other things: by one rule for people and for Airflow."""

from pathlib import Path

import numpy as np
import pytest

from lake.delta import Lake
from lake.gate import RuleGate
from lake.warehouse import query
from operators.campaign import campaign_of
from operators.ingest import ingest
from operators.observables.partners import partners
from operators.observe import observe_run
from operators.runs.storing import rewrite_run
from operators.scheduling import plans
from operators.stale import stale
from operators.toy_melt import ToyMeltRequest, generate
from schemas.frames import Floats
from schemas.settings import Settings
from tests.observables.made_runs import Motion, put, rows_of

NUMBERS, EDGE, N_FRAMES = [13] * 20 + [28] * 20, 12.0, 160
FORCE = ["max_force_ev_per_angstrom"]
SIMULATED = {"origin": "dnnp", "potential_id": "p", "protocol": "nvt", "parent_run_id": "other"}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MELTLAKE_LAKE", str(tmp_path / "lake"))
    return Settings(lake=str(tmp_path / "lake"))


def gas(seed: int, edge: float = EDGE) -> Floats:
    return np.random.default_rng(seed).uniform(0, edge, (N_FRAMES, len(NUMBERS), 3))


def melt(settings: Settings, run_id: str, *, seed: int, edge: float = EDGE, **columns: object) -> None:
    put(settings, run_id, Motion(numbers=NUMBERS, positions=gas(seed, edge), edge=edge), seed, **columns)


def due(settings: Settings) -> dict[str, str]:
    """Why, by run; the same runs for people and for Airflow."""
    told = {item.arguments[2]: item.why for item in stale(settings) if item.arguments[:2] == ["observe", "--run"]}
    compositions = plans.changed_compositions(None)
    planned = [command for label in compositions for command in plans.observe_commands(label)]
    planned += plans.observe_simulations_commands()
    assert sorted(run_id for command in planned for run_id in command[2:-1]) == sorted(told)
    return told


def test_an_aimd_run_that_comes_after_the_simulation_is_compared_with_it(settings: Settings) -> None:
    put(settings, "other", Motion(numbers=[13] * 40, positions=gas(1), edge=EDGE))
    melt(settings, "simulated", seed=2, **SIMULATED)
    for run_id in ("other", "simulated"):
        observe_run(settings, run_id)
    assert due(settings) == {}
    for run_id in ("late", "later"):
        melt(settings, run_id, seed=len(run_id))
        assert list(due(settings)) == [run_id]
        observe_run(settings, run_id)
        assert due(settings) == {"simulated": f"run {run_id} can be compared with it now"}
        assert plans.compare_commands("Al50Ni50") == [["observe", "--run", "simulated", "--due"]]
        observe_run(settings, "simulated")
        assert {row["aimd_run_id"] for row in rows_of(settings, "agreement", "simulated")} >= {run_id}
        assert due(settings) == {}


def test_an_aimd_run_that_nobody_has_observed_is_told(settings: Settings) -> None:
    melt(settings, "aimd", seed=1)
    melt(settings, "simulated", seed=2, **SIMULATED)
    told = " ".join(map(str, observe_run(settings, "simulated")["skipped"]))  # type: ignore[arg-type]
    assert "an AIMD run of it that was observed" in told
    assert "and aimd not observed" in told


def test_a_pair_of_which_nothing_can_be_compared_is_looked_at_once(settings: Settings) -> None:
    """A cell of an angstrom has no radial distribution function, and two frames have no motion."""
    for run_id, columns in (("aimd", {}), ("simulated", SIMULATED)):
        nothing = Motion(numbers=[13], positions=np.zeros((2, 1, 3)), edge=1.0, step_fs=10.0)
        put(settings, run_id, nothing, **columns)
        observe_run(settings, run_id)
    [row] = rows_of(settings, "agreement", "simulated")
    assert (row["aimd_run_id"], row["observable"], row["verdict"]) == ("aimd", "none", "undecided")
    assert row["reason"]
    assert due(settings) == {}


def test_one_partner_that_cannot_be_compared_takes_no_other_with_it(settings: Settings) -> None:
    melt(settings, "simulated", seed=2, **SIMULATED)
    for run_id in ("a", "b"):
        melt(settings, run_id, seed=ord(run_id))
        observe_run(settings, run_id)
    Lake(settings.lake).remove("frames", "a")
    told = " ".join(map(str, observe_run(settings, "simulated")["skipped"]))  # type: ignore[arg-type]
    assert "no frames of run a" in told
    rows = rows_of(settings, "agreement", "simulated")
    assert [row["observable"] for row in rows if row["aimd_run_id"] == "a"] == ["none"]
    assert {"rdf Al-Ni", "pressure_gpa"} & {row["observable"] for row in rows if row["aimd_run_id"] == "b"}


@pytest.mark.parametrize(("larger", "is_judged"), [(0.0, True), (0.003, True), (0.02, False)])
def test_melts_at_other_densities_are_not_the_potentials_fault(
    settings: Settings, larger: float, is_judged: bool
) -> None:
    melt(settings, "aimd", seed=1)
    observe_run(settings, "aimd")
    melt(settings, "simulated", seed=2, edge=EDGE * (1 + larger / 3), **SIMULATED)
    observe_run(settings, "simulated")
    curves = [row for row in rows_of(settings, "agreement", "simulated") if str(row["observable"]).startswith("rdf")]
    assert len(curves) == 12
    assert {row["sample_ratio"] for row in curves} == {1.0}
    assert {row["verdict"] != "undecided" for row in curves} == {is_judged}
    if not is_judged:
        assert {row["reason"] for row in curves} == {
            "the simulated melt was given a density that is off by -1.97 %, above 0.5 %"
        }


def test_a_run_that_is_judged_otherwise_is_observed_again(settings: Settings, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    generate(raw, ToyMeltRequest(composition="Al50Cu50", n_atoms=32, n_frames=20, source_format="outcar"))
    ingest(settings, [str(raw)])
    [run] = Lake(settings.lake).rows("runs").to_pylist()
    run_id = run["run_id"]
    observe_run(settings, run_id)
    assert due(settings) == {}
    forces = [batch.column(0).to_numpy() for batch in Lake(settings.lake).frame_batches(run_id, FORCE)]
    middle = float(np.median(np.concatenate(forces)))
    (settings.home / "campaign.toml").write_text(f"[gate.forces_bounded]\nmaximum = {middle}\n")
    rewrite_run(Lake(settings.lake), run, RuleGate(campaign_of(settings).rules))
    assert due(settings) == {run_id: "other frames of it are averaged over than when it was observed"}
    observe_run(settings, run_id)
    assert due(settings) == {}


def test_what_observe_compares_is_what_the_views_pair(settings: Settings) -> None:
    lake = Lake(settings.lake)
    aimd = {"near": 1000.0, "warm": 1030.0, "hot": 1200.0, "unknown": None}
    own = {"child": "near", "exchanged": "other", "orphan": "gone"}
    common = {"composition": "Al50Ni50", "synthetic": False, "n_atoms": 512, "n_frames": 9}
    lake.replace("runs", "other", [common | {"run_id": "other", "origin": "aimd", "composition": "Al100"}])
    for run_id, kelvin in aimd.items() | dict.fromkeys(own, 1000.0).items():
        row = common | {"run_id": run_id, "origin": "aimd"}
        if run_id in own:
            row |= {"origin": "dnnp", "protocol": "nvt", "parent_run_id": own[run_id]}
        lake.replace("runs", run_id, [row])
        lake.replace("thermodynamics", run_id, [{"run_id": run_id, "temperature_k": kelvin}])
    runs = {row["run_id"]: row for row in lake.rows("runs").to_pylist()}
    sql = "select dnnp_run_id, aimd_run_id from run_pairs where at_one_temperature order by all"
    paired = [(row["dnnp_run_id"], row["aimd_run_id"]) for row in query(settings, sql)]
    told = {run_id: partners(runs[run_id], runs, own_k=1000.0, known_k=aimd) for run_id in own}
    assert paired == sorted((run_id, one["run_id"]) for run_id, found in told.items() for one in found)
    assert len(paired) == 1 + 2 + 2
