"""Which potential to choose: dominance, noise over seeds, agreement and speed, and how status tells it."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from scipy.stats import ttest_ind

from lake.delta import Lake
from lake.warehouse import query, session
from operators.campaign import campaign_of
from operators.choice import choice
from operators.report.choice import choice_section
from operators.report.page import Group
from operators.report.potentials import table_1_section
from operators.status_text import choice_text, due_text
from schemas.recipes import TABLE_1
from schemas.settings import Settings

JANUARY = datetime(2026, 1, 1)  # noqa: DTZ001 - as the lake stores times
QUANTITIES = ("rmse_energy_mev_per_atom", "rmse_force_mev_per_angstrom", "rmse_virial_mev_per_atom")


@pytest.fixture
def settings(tmp_path):
    settings = Settings.from_mapping({}, lake=str(tmp_path / "lake"))
    made = {"training_set_id": "set", "type_map": ["Al", "Cu", "Ni"], "synthetic": False}
    Lake(settings.lake).replace("training_sets", "set", [made])
    return settings


def add(settings, recipe, errors, *, seed=1, ns_per_day=None, hardware="one GPU", split="test", **columns):
    """A potential with its errors of energy, force and virial, and its speed."""
    lake, name = Lake(settings.lake), f"{recipe}.{seed}.{columns.get('recipe_id', '')}"
    row = {"potential_id": name, "recipe": recipe, "training_set_id": "set", "seed": seed, "n_steps": 400_000}
    lake.replace("potentials", name, [row | columns])
    rmse = {"potential_id": name, "composition": "all", "split": split}
    lake.replace("rmse", name, [rmse | dict(zip(QUANTITIES, errors, strict=True))])
    if ns_per_day is not None:
        timed = {"run_id": name, "potential_id": name, "protocol": "performance", "outcome": "finished"}
        timed |= {"ns_per_day": ns_per_day, "n_atoms": 4096, "hardware": hardware}
        lake.replace("performance", name, [timed])
    return name


def rows_of(settings, view="potential_choice", where="true"):
    return query(settings, f"from {view} where {where}")


def test_by_table_1_alone_13_of_14_are_pareto_optimal_and_dp_13_dominates_dp_14(settings):
    for recipe in TABLE_1:
        printed = recipe.paper
        errors = tuple(getattr(printed, name) for name in QUANTITIES)
        add(settings, recipe.name, errors, ns_per_day=printed.ns_per_day)
    rows = rows_of(settings)
    assert [row["candidate"] for row in rows if not row["pareto_optimal"]] == ["DP-14"]
    assert (len(rows), rows[-1]["dominated_by"]) == (14, ["DP-13"])
    by_rank = {name: row["candidate"] for row in rows for name in row if name.startswith("rank_") and row[name] == 1}
    assert by_rank == {"rank_energy": "DP-1", "rank_force": "DP-13", "rank_virial": "DP-13", "rank_speed": "DP-8"}
    assert {row["noise"] for row in rows} == {"one seed: noise unknown"}


def test_mean_and_spread_are_over_seeds(settings):
    for seed, force in enumerate((70.0, 72.0, 77.0), start=1):
        add(settings, "DP-2", (1.0, force, 6.0), seed=seed)
    [row] = rows_of(settings)
    assert (row["n_seeds"], row["noise"], row["rmse_force_mev_per_angstrom"]) == (3, "3 seeds", 73.0)
    assert row["spread_force_mev_per_angstrom"] == pytest.approx(13**0.5)
    assert row["typical_potential_id"] == "DP-2.2."


def test_a_difference_counts_when_it_is_larger_than_the_seeds_make_it(settings):
    for seed, shift in enumerate((-1.0, 0.0, 1.0), start=1):
        add(settings, "DP-2", (1.0, 70.0 + shift, 6.0), seed=seed)
        add(settings, "DP-4", (1.0, 72.0 + shift, 6.0), seed=seed)
        add(settings, "DP-6", (1.0, 73.0 + shift, 6.0), seed=seed)
    noise = 2.776 * (2 / 3) ** 0.5  # Student's t at 4 degrees of freedom, spread 1, three seeds each
    forces = rows_of(settings, "recipe_comparison", "quantity = 'force' and candidate = 'DP-2'")
    assert [(row["other"], row["verdict"]) for row in forces] == [("DP-4", "within seed noise"), ("DP-6", "smaller")]
    assert [row["noise"] for row in forces] == pytest.approx([noise, noise])
    alike = {row["candidate"]: row["within_noise_of"] for row in rows_of(settings)}
    assert alike == {"DP-2": ["DP-4"], "DP-4": ["DP-2", "DP-6"], "DP-6": ["DP-4"]}


def test_noise_of_one_seed_is_said_to_be_unknown(settings):
    add(settings, "DP-2", (1.0, 70.0, 6.0))
    add(settings, "DP-4", (1.0, 70.0, 6.0))
    [told] = {row["verdict"] for row in rows_of(settings, "recipe_comparison")}
    assert told == "one seed: noise unknown"
    assert all(row["within_noise_of"] == [] for row in rows_of(settings))


@pytest.mark.parametrize(
    ("other", "dominated"),
    [
        ({"ns_per_day": 0.2}, True),
        ({"ns_per_day": 0.4}, False),
        ({"ns_per_day": 0.2, "hardware": "another GPU"}, False),
        ({}, False),
    ],
)
def test_speed_is_compared_on_equal_hardware_only(settings, other, dominated):
    add(settings, "DP-2", (1.0, 70.0, 6.0), ns_per_day=0.3)
    add(settings, "DP-3", (1.1, 71.0, 6.1), **other)
    [row] = rows_of(settings, where="candidate = 'DP-3'")
    assert row["pareto_optimal"] is not dominated
    assert ("speed" in row["not_measured"]) == (not other)


def test_agreement_with_aimd_ranks_before_errors(settings):
    for recipe, force, zs in (("DP-2", 70.0, (1.0, 2.0, 9.0)), ("DP-13", 67.0, (2.0, 3.0, 9.5))):
        name = add(settings, recipe, (1.0, force, 6.0))
        verdicts = zip(zs, ("indistinguishable", "good", "undecided"), strict=True)
        rows = [{"run_id": name, "potential_id": name, "z": z, "verdict": verdict} for z, verdict in verdicts]
        Lake(settings.lake).replace("agreement", name, rows)
    first, second = rows_of(settings)
    assert (first["candidate"], first["rank_agreement"], first["rank_force"]) == ("DP-2", 1, 2)
    assert (first["n_curves"], first["n_curves_agree"], first["median_z"]) == (2, 2, 1.5)
    assert first["pareto_optimal"] is second["pareto_optimal"] is True


def simulate(settings, name, z_of_composition):
    """One curve for each composition that a potential was simulated at."""
    curves = [
        {"run_id": name, "potential_id": name, "composition": at, "observable": "rdf", "z": z, "verdict": "good"}
        for at, z in z_of_composition.items()
    ]
    Lake(settings.lake).replace("agreement", name, curves)


@pytest.mark.parametrize(("also_hard", "dominated", "ranks"), [(False, False, {1}), (True, True, {1, 2})])
def test_agreement_is_compared_at_equal_compositions_only(settings, also_hard, dominated, ranks):
    simulate(settings, add(settings, "DP-2", (1.0, 70.0, 6.0)), {"Al100": 1.0} | ({"Cu100": 4.0} if also_hard else {}))
    simulate(settings, add(settings, "DP-3", (1.1, 71.0, 6.1)), {"Al100": 2.0, "Cu100": 5.0})
    rows = {row["candidate"]: row for row in rows_of(settings)}
    assert rows["DP-3"]["simulated_compositions"] == ["Al100", "Cu100"]
    assert rows["DP-3"]["dominated_by"] == (["DP-2"] if dominated else [])
    assert {row["rank_agreement"] for row in rows.values()} == ranks


@pytest.mark.parametrize("n_seeds", [(2, 2), (6, 7), (16, 16)])
def test_the_noise_is_that_of_students_t_at_any_number_of_seeds(settings, n_seeds):
    for recipe, n in zip(("DP-2", "DP-4"), n_seeds, strict=True):
        for seed in range(n):
            add(settings, recipe, (1.0, 70.0 + seed % 2, 6.0), seed=seed)
    [row, _] = rows_of(settings, "recipe_comparison", "quantity = 'force'")
    means = [[70.0 + seed % 2 for seed in range(n)] for n in n_seeds]
    expected = ttest_ind(*means).confidence_interval(0.95)
    assert row["noise"] == pytest.approx((expected.high - expected.low) / 2, rel=3e-4)


def test_a_candidate_whose_weights_know_test_frames_neither_ranks_nor_dominates(settings):
    for seed, shift in enumerate((-1.0, 0.0, 1.0), start=1):
        add(settings, "DP-2", (1.0, 70.0 + shift, 6.0), seed=seed)
        add(settings, "DP-3", (0.9, 69.5 + shift, 5.0), seed=seed, init_from="parent", n_test_frames_known=seed - 1)
    first, seen = rows_of(settings)
    assert (first["candidate"], first["rank_force"], first["pareto_optimal"]) == ("DP-2", 1, True)
    assert (first["dominated_by"], first["within_noise_of"]) == ([], [])
    assert {name: seen[name] for name in seen if name.startswith("rank_") and seen[name] is not None} == {}
    assert (seen["n_test_frames_known"], seen["pareto_optimal"], seen["within_noise_of"]) == (2, False, [])
    assert "no rank in errors: it began with weights that know 2 frames" in choice_text(choice(settings))
    told = rows_of(settings, "recipe_comparison", "split = 'test'")
    assert {row["verdict"] for row in told} == {"trained on test frames"}


def test_table_1_marks_errors_on_frames_that_the_weights_know(settings):
    add(settings, "DP-2", (1.0, 70.0, 6.0))
    add(settings, "DP-3", (0.9, 69.5, 5.0), init_from="parent", n_test_frames_known=2)
    marks = {row["recipe"]: row["n_test_frames_known"] for row in rows_of(settings, "table_1", "n_seeds > 0")}
    assert marks == {"DP-2": 0, "DP-3": 2}
    with session(settings) as run:
        section = table_1_section(Group("Al-Cu-Ni", synthetic=False), lambda sql: run(sql).to_pylist())
    told = [row[-1] for row in section.grids[0].rows if row[0] in marks]
    assert told == ["set", "set, from potential parent, whose weights know 2 of the test frames"]


def test_of_a_recipe_that_was_changed_only_the_last_content_counts(settings):
    for seed in (1, 2):
        add(settings, "mine", (1.0, 90.0, 6.0), seed=seed, recipe_id="a", created_at=JANUARY)
    add(settings, "mine", (1.0, 70.0, 6.0), recipe_id="b", created_at=JANUARY + timedelta(days=31))
    [row] = rows_of(settings)
    assert (row["n_seeds"], row["rmse_force_mev_per_angstrom"]) == (1, 70.0)


def test_other_lengths_and_backends_are_candidates_of_their_own(settings):
    add(settings, "DP-2", (1.0, 70.0, 6.0))
    add(settings, "DP-2", (1.0, 80.0, 6.0), seed=2, n_steps=4000)
    add(settings, "DP-3", (1.0, 71.0, 6.0), backend="pytorch")
    assert {row["candidate"] for row in rows_of(settings)} == {"DP-2 400000 steps", "DP-2 4000 steps", "DP-3 pytorch"}


def test_status_tells_the_choice_briefly(settings):
    for seed, shift in enumerate((-1.0, 1.0), start=1):
        add(settings, "DP-2", (1.0, 70.0 + shift, 6.0), seed=seed)
    add(settings, "DP-14", (1.1, 79.0, 6.5))
    told = choice_text(choice(settings))
    assert "on training set set (Al-Cu-Ni):" in told
    assert "70.0 ± 1.4" in told
    assert "DP-14: dominated by DP-2; one seed: noise unknown" in told
    assert "DP-2: Pareto-optimal, agreement and speed unknown" in told


def test_status_chooses_on_the_training_set_that_was_asked_for_last(settings):
    lake = Lake(settings.lake)
    for version, name in enumerate(("set", "later"), start=1):
        made = {"training_set_id": name, "type_map": ["Al"], "synthetic": False, "lake_version": version}
        lake.replace("training_sets", name, [made | {"created_at": JANUARY + timedelta(days=version)}])
        add(settings, "DP-2", (1.0, 70.0, 6.0), seed=version, training_set_id=name)
    assert {row["training_set_id"] for row in choice(settings)} == {"later"}
    for version, name in enumerate(("set", "later", "set"), start=1):
        asked = {"training_set_id": name, "lake_version": version, "created_at": JANUARY}
        lake.replace("training_set_requests", f"at{version}", [asked])
    assert {row["training_set_id"] for row in choice(settings)} == {"set"}


def test_of_many_things_of_a_kind_status_shows_the_first_few_with_whole_commands():
    long = " ".join(f"run{number:03}" for number in range(40))
    items = [{"what": f"set {n}", "why": "x", "command": f"meltlake materialize --runs {long}"} for n in range(7)]
    told = due_text(items)
    assert told.count(long) == 5
    assert "and 2 more to materialize" in told


def test_what_docs_tell_of_sweeps_can_be_typed(settings):
    told = (Path(__file__).parents[1] / "docs" / "sweeps.md").read_text()
    add(settings, "DP-2", (1.0, 70.0, 6.0))
    queries = re.findall(r"```sql\n(.*?)```", told, re.DOTALL)
    answers = [query(settings, sql) for sql in queries]
    assert (len(queries), len(answers[0])) == (6, 1)
    [campaign] = re.findall(r"```toml\n(.*?)```", told, re.DOTALL)
    settings.home.joinpath("campaign.toml").write_text(campaign)
    wanted = campaign_of(settings)
    assert len(wanted.recipes) * len(wanted.seeds) == 42


def test_report_ranks_the_potentials(settings):
    add(settings, "DP-2", (1.0, 70.0, 6.0), ns_per_day=0.3)
    add(settings, "DP-14", (1.1, 79.0, 6.5), ns_per_day=0.1)
    with session(settings) as run:
        section = choice_section(Group("Al-Cu-Ni", synthetic=False), lambda sql: run(sql).to_pylist())
    [grid] = section.grids
    assert [row[:3] for row in grid.rows] == [
        ["DP-2", "Pareto-optimal, agreement unknown; one seed: noise unknown", "70.0"],
        ["DP-14", "dominated by DP-2; one seed: noise unknown", "79.0"],
    ]
