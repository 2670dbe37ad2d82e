"""A potential that was trained elsewhere: kept beside the lake with its checksum, simulated and compared like ours."""

import json
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import pytest

from lake.delta import Lake
from lake.warehouse import query
from operators.observe import observe_run
from operators.physics import toy_potential
from operators.potential_add import potential_add
from operators.potentials.committee import committees
from operators.potentials.model_file import file_sha256, model_file
from operators.propose import ProposalRequest, propose
from operators.publish import publish
from operators.simulate import simulate
from operators.status import stale
from schemas.errors import MeltlakeError
from schemas.settings import Settings
from schemas.simulation import SimulationRequest

TWIN = SimulationRequest(protocol="twin", composition="Al50Ni50", equilibration_fs=0.0)
ORIGIN = "Zhou, Johnson, Wadley, PRB 69, 144113 (2004), and a pair attraction"


@pytest.fixture
def settings(toy_lake, tmp_path) -> Settings:
    copytree(Path(toy_lake.lake).parent, tmp_path / "home")
    settings = Settings.from_mapping({}, lake=str(tmp_path / "home" / "lake"))
    lake = Lake(settings.lake)
    for name in lake.keys("potentials"):
        lake.remove("potentials", name)
    return settings


@pytest.fixture
def table(tmp_path) -> Path:
    table = tmp_path / "toy.eam.alloy"
    table.write_text(toy_potential.setfl())
    return table


def test_it_is_kept_with_its_checksum_elements_cutoff_and_origin(settings, table) -> None:
    sha256 = file_sha256(table)
    answer = potential_add(settings, table, name="MLK", origin=ORIGIN)
    table.unlink()
    [row] = Lake(settings.lake).rows("potentials", key=answer["potential_id"]).to_pylist()
    names = (
        "recipe",
        "trained_elsewhere",
        "backend",
        "type_map",
        "r_cut_angstrom",
        "sha256",
        "training_set_id",
        "seed",
    )
    expected = ["MLK", ORIGIN, "eam/alloy", ["Al", "Cu", "Ni"], 6.8, sha256, None, None]
    assert [row[name] for name in names] == expected
    assert file_sha256(model_file(settings, row)) == sha256


def test_the_same_file_is_found_and_may_be_called_otherwise(settings, table) -> None:
    first = potential_add(settings, table, name="MLK", origin=ORIGIN)
    assert potential_add(settings, table, name="MLK", origin=ORIGIN) == first | {"changed": False}
    renamed = potential_add(settings, table, name="toy potential", origin=ORIGIN)
    assert (renamed["potential_id"], renamed["changed"], renamed["recipe"]) == (
        first["potential_id"],
        True,
        "toy potential",
    )


def test_a_copy_that_was_damaged_is_made_again(settings, table) -> None:
    answer = potential_add(settings, table, name="MLK", origin=ORIGIN)
    Path(answer["path"]).write_text("nothing")
    with pytest.raises(MeltlakeError, match="missing or was changed") as gone:
        simulate(settings, answer["potential_id"], TWIN)
    assert gone.value.remedy == "Run `meltlake potential add` with the same file again."
    potential_add(settings, table, name="MLK", origin=ORIGIN)
    assert file_sha256(Path(answer["path"])) == answer["sha256"]


def test_its_simulations_are_observed_and_compared_with_aimd(settings, table) -> None:
    answer = potential_add(settings, table, name="MLK", origin=ORIGIN)
    twin = simulate(settings, answer["potential_id"], TWIN)
    for run_id in (twin["parent_run_id"], twin["run_id"]):
        observe_run(settings, run_id)
    rows = Lake(settings.lake).rows("agreement").to_pylist()
    assert {(row["run_id"], row["aimd_run_id"]) for row in rows} == {(twin["run_id"], twin["parent_run_id"])}
    assert {"rdf Al-Ni", "pressure_gpa"} <= {row["observable"] for row in rows}
    publish(settings)
    [row] = query(settings, f"select recipe from run_pairs where dnnp_run_id = '{twin['run_id']}' limit 1")
    assert row["recipe"] == "MLK"
    assert not [item for item in stale(settings) if answer["potential_id"] in item.command]


def test_what_only_a_training_set_tells_is_refused_in_a_sentence(settings, table) -> None:
    answer = potential_add(settings, table, name="MLK", origin=ORIGIN)
    request = ProposalRequest(potential_id=answer["potential_id"])
    with pytest.raises(MeltlakeError, match=r"was trained elsewhere .* which a proposal is made from"):
        propose(settings, request)
    with pytest.raises(MeltlakeError, match="The lake has no potential; what to compute next"):
        propose(settings, ProposalRequest())


def test_two_of_one_name_are_no_committee(settings, table, tmp_path) -> None:
    other = tmp_path / "other.eam.alloy"
    other.write_text(table.read_text().replace("\n", " \n", 1))
    for one in (table, other):
        potential_add(settings, one, name="MLK", origin=ORIGIN)
    rows = Lake(settings.lake).rows("potentials").to_pylist()
    assert (len(rows), committees(rows)) == (2, [])


@pytest.mark.parametrize(
    ("file", "wish", "told"),
    [
        ("none.pb", {}, "There is no file"),
        ("README.md", {}, r"needed a frozen model \(.pb, .pth\) or a table"),
        ("no.eam.alloy", {}, "needed a table of LAMMPS's `setfl` format"),
        ("toy.eam.alloy", {"name": "DP-2"}, "DP-2 is a recipe"),
        ("toy.eam.alloy", {"origin": " "}, "Where a potential comes from must be said"),
        ("toy.eam.alloy", {"name": ""}, "A potential needed a name"),
    ],
)
def test_bad_wishes_are_sentences(settings, table, file, wish, told) -> None:
    (table.parent / "README.md").write_text("no model")
    (table.parent / "no.eam.alloy").write_text("one line")
    with pytest.raises(MeltlakeError, match=told):
        potential_add(settings, table.parent / file, **{"name": "MLK", "origin": ORIGIN, **wish})
    assert Lake(settings.lake).keys("potentials") == []


def test_the_command_answers_in_json(settings, table) -> None:
    words = ["potential", "add", str(table), "--name", "MLK", "--origin", ORIGIN, "--lake", settings.lake, "--json"]
    done = subprocess.run([sys.executable, "-m", "operators.cli", *words], check=True, capture_output=True, text=True)
    answer = json.loads(done.stdout)
    assert (answer["recipe"], answer["type_map"], answer["changed"]) == ("MLK", ["Al", "Cu", "Ni"], True)
