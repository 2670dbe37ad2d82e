import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lake.delta import Lake
from lake.known_runs import remember_file
from lake.warehouse import publish
from operators.campaign import Campaign, campaign_of
from operators.potentials.groups import groups_of, largest_systems
from operators.potentials.identity import name_of_potential
from operators.scheduling import plans
from operators.stale.holdings import Holdings
from operators.stale.runs import not_ingested
from schemas.errors import MeltlakeError
from schemas.recipes import recipe_named
from schemas.tables import OBSERVABLES_VERSION
from tests.scheduling.lake_rows import LATE, freeze, ingest, run, trained


def test_largest_systems_are_those_within_no_other() -> None:
    systems = map(frozenset, (["Al"], ["Al", "Cu"], ["Al", "Ni"], ["Al", "Cu", "Ni"], ["Al", "Zr"]))
    assert [sorted(system) for system in largest_systems(systems)] == [["Al", "Cu", "Ni"], ["Al", "Zr"]]


def test_pure_element_trains_with_every_larger_system() -> None:
    groups = groups_of([run("Al100", "Al"), run("Al50Cu50", "Al-Cu"), run("Al50Zr50", "Al-Zr")])
    assert [sorted(group.compositions) for group in groups] == [["Al100", "Al50Cu50"], ["Al100", "Al50Zr50"]]


@pytest.mark.parametrize("change", [{"level_of_theory": "PBEsol"}, {"synthetic": True}])
def test_energies_that_cannot_be_compared_never_train_together(change: dict[str, Any]) -> None:
    groups = groups_of([run("Al100", "Al"), run("Al50Cu50", "Al-Cu", **change)])
    assert sorted(sorted(group.compositions) for group in groups) == [["Al100"], ["Al50Cu50"]]


def test_every_group_is_frozen_once_and_held_out_compositions_are_told(lake: Lake, tmp_path: Path) -> None:
    ingest(lake, run("Al100", "Al"), run("Al50Ni50", "Al-Ni"), run("Zr100", "Zr", n_accepted=0))
    (tmp_path / "campaign.toml").write_text('hold_out = ["Al100"]')
    expected = ["materialize", "--compositions", "Al50Ni50", "--hold-out", "Al100"]
    assert plans.materialize_commands() == [expected]
    (tmp_path / "campaign.toml").write_text('hold_out = ["Al100"]\nsplit = "random"\ntest_fraction = 0.2')
    assert plans.materialize_commands() == [[*expected, "--split", "random", "--test-fraction", "0.2"]]


def test_choices_of_a_training_set_reach_its_command_and_make_another_set_wanted(lake: Lake, tmp_path: Path) -> None:
    ingest(lake, run("Al100", "Al"))
    freeze(lake, "usual", type_map=["Al"], compositions=["Al100"], runs=["al100"])
    assert [command[1] for command in plans.train_commands()] == ["usual"]
    (tmp_path / "campaign.toml").write_text('every_fs = 25.0\nrelaxation = "drop"\nbalance = "compositions"')
    [command] = plans.materialize_commands()
    for option in (["--every-fs", "25.0"], ["--relaxation", "drop"], ["--balance", "compositions"]):
        assert command[command.index(option[0]) : command.index(option[0]) + 2] == option
    with pytest.raises(MeltlakeError, match="no training set that was made of them"):
        plans.train_commands()


def test_a_held_out_composition_may_be_spelt_in_any_order(lake: Lake, tmp_path: Path) -> None:
    ingest(lake, run("Al100", "Al"), run("Al50Ni50", "Al-Ni"))
    (tmp_path / "campaign.toml").write_text('hold_out = ["Ni50Al50"]')
    assert plans.materialize_commands() == [["materialize", "--compositions", "Al100", "--hold-out", "Al50Ni50"]]
    (tmp_path / "campaign.toml").write_text('hold_out = ["Al50Xx50"]')
    with pytest.raises(MeltlakeError, match=r"campaign\.toml: 'Xx' is not an element"):
        plans.materialize_commands()
    (tmp_path / "campaign.toml").write_bytes("# 6 \u00c5".encode("latin-1"))
    with pytest.raises(MeltlakeError, match=r"campaign\.toml: .*utf-8"):
        plans.materialize_commands()


def test_composition_with_two_levels_of_theory_is_named_by_its_runs(lake: Lake) -> None:
    ingest(lake, run("Al100", "Al"), run("Al100", "Al", level_of_theory="PBEsol"))
    assert [command[-2:] for command in plans.materialize_commands()] == [
        ["--runs", "al100"],
        ["--runs", "al100pbesol"],
    ]


def test_newest_training_set_of_each_group_is_trained(lake: Lake, tmp_path: Path) -> None:
    ingest(lake, run("Al100", "Al"))
    freeze(lake, "old", type_map=["Al"], compositions=["Al100"], runs=["al100"])
    freeze(lake, "new", type_map=["Al"], compositions=["Al100"], runs=["al100"], lake_version=2)
    freeze(lake, "other", type_map=["Cu"], compositions=["Cu100"], lake_version=3)
    (tmp_path / "campaign.toml").write_text('recipes = ["DP-1", "DP-2"]\nsteps = 50')
    planned = [command[1:4] for command in plans.train_commands()]
    assert planned == [["new", "--recipe", "DP-1"], ["new", "--recipe", "DP-2"]]
    assert plans.train_commands()[0][-2:] == ["--steps", "50"]


def test_a_labs_own_recipe_and_backend_are_planned_as_any_other(lake: Lake, tmp_path: Path) -> None:
    ingest(lake, run("Al100", "Al"))
    freeze(lake, "new", type_map=["Al"], compositions=["Al100"], runs=["al100"])
    own = '[recipe.mine]\nbased_on = "DP-small"\nsampling = "evenly"'
    (tmp_path / "campaign.toml").write_text(f'recipes = ["mine"]\nbackend = "pytorch"\n{own}')
    assert plans.train_commands() == [["train", "new", "--recipe", "mine", "--seed", "1"]]
    recipe = campaign_of(plans.here()).all_recipes["mine"]
    assert name_of_potential(recipe, "new", 1, backend="pytorch") != name_of_potential(recipe, "new", 1)
    (tmp_path / "campaign.toml").write_text(f'recipes = ["min"]\n{own}')
    with pytest.raises(MeltlakeError, match=r"campaign\.toml: There is no recipe 'min'. Did you mean mine\?"):
        plans.train_commands()
    (tmp_path / "campaign.toml").write_text(own.replace("sampling", "sampler"))
    with pytest.raises(MeltlakeError, match=r"campaign\.toml: recipe mine: there is no key `sampler`"):
        plans.train_commands()


def test_missing_training_sets_are_an_error_and_no_silence(lake: Lake) -> None:
    assert plans.train_commands() == []
    ingest(lake, run("Al100", "Al"))
    with pytest.raises(MeltlakeError, match="no training set that was made of them"):
        plans.train_commands()


def test_potentials_are_simulated_at_held_out_compositions_too(lake: Lake, tmp_path: Path) -> None:
    ingest(lake, run("Al100", "Al"), run("Al50Ni50", "Al-Ni"))
    runs = ["al100", "al50ni50"]
    freeze(lake, "set", type_map=["Al", "Ni"], compositions=["Al50Ni50"], held_out=["Al100"], runs=runs)
    name = trained(lake, "set", recipe_named("DP-small"))
    (tmp_path / "campaign.toml").write_text('hold_out = ["Al100"]\nprotocols = ["twin", "npt"]\ntemperature_k = 1500')
    told = [command[3:] for command in plans.simulate_commands()]
    assert ["twin", "--composition", "Al100"] in told
    assert ["npt", "--composition", "Al50Ni50", "--temperature-k", "1500.0"] in told
    assert len(told) == 4
    assert plans.score_commands() == [["observe", "--potential", name]]


def test_a_person_is_asked_about_potentials_only_where_the_campaign_says_so(lake: Lake, tmp_path: Path) -> None:
    ingest(lake, run("Al100", "Al"))
    freeze(lake, "set", type_map=["Al"], compositions=["Al100"], runs=["al100"])
    name = trained(lake, "set", recipe_named("DP-small"))
    rmse = {"composition": "all", "n_frames": 5, "rmse_force_mev_per_angstrom": 41.26}
    lake.replace("rmse", name, [rmse | {"split": "test"}, rmse | {"split": "test", "composition": "Al100"}])
    assert plans.promotion_question() is None
    (tmp_path / "campaign.toml").write_text("approve = true")
    question = plans.promotion_question()
    assert question is not None
    assert question.potentials == [name]
    assert f"| {name} | DP-small | 1 |" in question.text
    assert "| set | 41.3 | - |" in question.text


def test_only_approved_potentials_are_simulated(lake: Lake) -> None:
    ingest(lake, run("Al100", "Al"))
    freeze(lake, "set", type_map=["Al"], compositions=["Al100"], runs=["al100"])
    name = trained(lake, "set", recipe_named("DP-small"))
    assert [command[1] for command in plans.simulate_commands([name])] == [name]
    assert plans.simulate_commands([]) == plans.simulate_commands(["another"]) == []
    assert len(plans.simulate_commands(None)) == 1


def test_compositions_change_when_runs_are_committed_or_unobserved(lake: Lake) -> None:
    ingest(lake, run("Al100", "Al"), run("Cu100", "Cu", ingested_at=LATE), run("Ni100", "Ni"))
    seen = {"composition": "x", "n_frames": 9, "observables_version": OBSERVABLES_VERSION}
    for run_id in ("al100", "cu100"):
        lake.replace("thermodynamics", run_id, [seen])
    assert plans.changed_compositions(datetime(2026, 5, 1, tzinfo=UTC)) == ["Cu100", "Ni100"]
    assert plans.changed_compositions(None) == ["Ni100"]
    assert plans.observe_commands("Ni100") == [["observe", "--run", "ni100", "--due"]]
    lake.replace("thermodynamics", "al100", [seen | {"observables_version": None}])
    assert plans.changed_compositions(None) == ["Al100", "Ni100"]


def test_runs_are_observed_again_by_a_condition_in_sql(lake: Lake) -> None:
    ingest(lake, run("Al100", "Al"), run("Cu100", "Cu"), run("Ni100", "Ni", origin="dnnp"))
    publish(plans.here())
    chosen = plans.chosen_commands("chemical_system in ('Cu', 'Ni') or composition like 'x%'")
    assert chosen == [["observe", "--run", "cu100", "ni100"]]
    with pytest.raises(MeltlakeError, match="needed one SELECT and found SELECT and DROP"):
        plans.chosen_commands("true); drop table runs; select (1")
    with pytest.raises(MeltlakeError, match="would leave the warehouse"):
        plans.chosen_commands("exists (from read_text('/etc/passwd'))")


def test_simulations_are_observed_apart_from_aimd_runs(lake: Lake) -> None:
    ingest(lake, run("Al100", "Al"), run("Cu100", "Cu", origin="dnnp", potential_id="p"))
    assert plans.observe_simulations_commands() == [["observe", "--run", "cu100", "--due"]]


def test_ingest_takes_what_is_named_and_what_the_lake_does_not_know(lake: Lake, tmp_path: Path) -> None:
    for name in ("known", "unknown", "named"):
        (tmp_path / "landing" / name).mkdir(parents=True)
        (tmp_path / "landing" / name / "OUTCAR").write_text("frames")
    for name in ("known", "named"):
        remember_file(lake, str(tmp_path / "landing" / name / "OUTCAR"), runs=[name], about={})
    expected = [str(tmp_path / "landing" / name) for name in ("named", "unknown")]
    assert plans.ingest_commands(["named"]) == [["ingest", *expected]]
    assert plans.ingest_commands(["/elsewhere/OUTCAR"]) == [["ingest", expected[1], "/elsewhere/OUTCAR"]]


def test_a_landing_zone_may_be_named_by_a_roundabout_way(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "landing" / "known").mkdir(parents=True)
    (tmp_path / "landing" / "known" / "OUTCAR").write_text("frames")
    remember_file(lake, str(tmp_path / "landing" / "known" / "OUTCAR"), runs=["known"], about={})
    monkeypatch.setenv("MELTLAKE_LANDING", str(tmp_path / "elsewhere" / ".." / "landing"))
    assert plans.ingest_commands() == []
    assert list(not_ingested(Holdings(plans.here()))) == []


def test_very_many_entries_share_pods(lake: Lake, tmp_path: Path) -> None:
    commands = plans.ingest_commands([f"{number:04}" for number in range(1000)])
    assert len(commands) <= 256
    assert sum(len(command) - 1 for command in commands) == 1000


def test_campaign_has_defaults_and_refuses_what_it_does_not_know(lake: Lake, tmp_path: Path) -> None:
    assert campaign_of(plans.here()) == Campaign()
    (tmp_path / "campaign.toml").write_text('recipe = "DP-2"')
    with pytest.raises(MeltlakeError, match=r"campaign\.toml.*recipe.*Known settings are: recipes"):
        campaign_of(plans.here())


def test_plans_need_no_airflow() -> None:
    code = "import sys, operators.scheduling.plans; print('airflow' in sys.modules, 'duckdb' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
