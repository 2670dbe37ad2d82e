"""Which composition to compute next: ranked with reasons, with a start frame and inputs that VASP can be given."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from structlog.testing import capture_logs

from lake.delta import Lake
from operators.materialize import materialize
from operators.physics.pairs import shortest_distances
from operators.proposals.knowledge import knowledge
from operators.proposals.ranking import candidates, ranked
from operators.proposals.start import LEAST_OVER_LIMIT, aimd_start, predicted_volume_per_atom_angstrom3
from operators.proposals.texts import propose_text
from operators.propose import CARD, ProposalRequest, propose
from schemas.composition import composition, half_l1_at_percent
from schemas.errors import MeltlakeError
from schemas.gate.limits import shortest_trainable_pairs_angstrom
from schemas.settings import Settings
from schemas.training import TrainingSetRequest
from tests.training.conftest import LakeMaker
from tests.training.shaken import melt

SPACING = {"Al": 2.7, "Cu": 2.4, "Ni": 2.35}
TAUGHT = ({"Al": 64}, {"Cu": 64}, {"Ni": 64}, {"Al": 38, "Cu": 13, "Ni": 13})
COARSE = ProposalRequest(step_at_percent=20)
SETTINGS = {
    "functional": "PBE", "encut_ev": 300.0, "ismear": 1, "sigma_ev": 0.1, "ispin": 1, "k_points": "1x1x1",
    "time_step_fs": 2.0, "temperature_target_k": 1700.0, "ensemble": "nvt",
}  # fmt: skip


def volume_of(counts):
    """Of an atom; additive."""
    return sum(n * SPACING[element] ** 3 for element, n in counts.items()) / 64


def add(melts, counts, n_frames=12, seed=0, **changes):
    name = composition(counts)
    frames = melt(counts, n_frames, seed=seed, spacing=volume_of(counts) ** (1 / 3))
    frames = [frame | {"scf_steps": 11 + frame["frame"] % 3} for frame in frames]
    return melts.add(name.lower(), counts, frames, **{**SETTINGS, **changes})


def add_potential(melts, training_set_id, seed=1, **columns):
    row = {"potential_id": f"p{seed}", "recipe": "DP-2", "training_set_id": training_set_id, "seed": seed}
    row |= {"n_steps": 100, "backend": "tensorflow", "r_cut_angstrom": 5.0, "sha256": f"sha{seed}"}
    melts.lake.replace("potentials", f"p{seed}", [row | columns])


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Pure Al, Cu, Ni and an alloy trained on, another held out, and a potential with one seed."""
    settings = Settings.from_mapping({}, lake=str(tmp_path_factory.mktemp("propose") / "lake"))
    melts = LakeMaker(settings)
    for seed, counts in enumerate((*TAUGHT, {"Al": 13, "Cu": 13, "Ni": 38})):
        add(melts, counts, seed=seed)
    made = materialize(settings, TrainingSetRequest(hold_out=("Al20Cu20Ni59",)))
    add_potential(melts, made["training_set_id"])
    return settings


@pytest.fixture
def committee(home, tmp_path):
    """The same lake with a second seed, and frames on which both were judged."""
    settings = Settings.from_mapping({}, lake=str(tmp_path / "lake"))
    subprocess.run(["cp", "-r", home.lake, settings.lake], check=True)
    melts = LakeMaker(settings)
    [made] = melts.lake.keys("training_sets")
    add_potential(melts, made, seed=2)
    return melts


def judge(melts, deviations):
    """Frames of the committee: the largest deviation of the force on an atom by composition, the same in each."""
    [committee] = {one.committee_id for one in [knowledge(melts.settings, melts.lake, "p1").committee]}
    rows = [
        {"composition": name, "split": "test", "run_id": name.lower(), "frame": frame,
         "max_deviation_force_mev_per_angstrom": deviation}
        for name, deviation in deviations.items() for frame in (0, 1)
    ]  # fmt: skip
    melts.lake.replace("committee_frames", committee, [{"committee_id": committee} | row for row in rows])
    row = {"committee_id": committee, "potential_ids": ["p1", "p2"], "composition": "all", "split": "test"}
    melts.lake.replace("committees", committee, [row])


def test_the_first_proposal_is_far_from_training_and_not_covered(home):
    answer = propose(home, COARSE)
    best, *rest = answer["proposals"]
    assert (best["rank"], best["score"], answer["stop"], len(rest)) == (1, 1.0, False, 4)
    assert best["distance_at_percent"] == 40.0
    assert best["coverage_frac"] < 0.1
    assert [row["score"] for row in rest] == sorted((row["score"] for row in rest), reverse=True)
    assert best["nearest_composition"] in best["reason"]
    assert answer["score_is"] == "(1 - coverage) x distance: the potential has no committee"
    assert answer["verdict"].startswith(f"Compute {best['composition']} next: 40 at.% from ")


def test_proposals_of_a_batch_are_apart(home):
    names = [row["composition"] for row in propose(home, replace(COARSE, n_wanted=3))["proposals"]]
    assert min(half_l1_at_percent(a, b) for a in names for b in names if a != b) >= 20.0


def test_what_is_trained_on_is_never_proposed_and_what_is_computed_is_to_be_trained_on(home):
    answer = propose(home, replace(COARSE, n_wanted=50))
    rows = {row["composition"]: row for row in answer["proposals"]}
    assert not {"Al100", "Cu100", "Ni100", "Al60Cu20Ni20"} & set(rows)
    assert "Al20Cu20Ni60" not in rows, "nearly the same is computed"
    computed = rows["Al20Cu20Ni59"]
    assert computed["action"] == "train"
    assert "computed already (1 run, 12 accepted frames): train on it" in computed["reason"]
    assert {row["action"] for name, row in rows.items() if name != "Al20Cu20Ni59"} == {"compute"}


def test_the_committee_decides_between_compositions_alike_otherwise(committee):
    judge(committee, {"Al100": 20.0, "Cu100": 20.0, "Ni100": 400.0})
    answer = propose(committee.settings, COARSE)
    assert answer["score_is"] == "committee deviation x (1 - coverage) x distance"
    assert answer["n_seeds"] == 2
    found = {one.composition: one for one in candidates(knowledge(committee.settings, committee.lake, "p1"),
             step_at_percent=20, trust_mev_per_angstrom=100)}  # fmt: skip
    assert found["Cu20Ni80"].deviation_mev_per_angstrom > 300
    assert found["Al80Cu20"].deviation_mev_per_angstrom < 60
    assert "Ni" in answer["proposals"][0]["composition"]
    assert "forces of 2 seeds are expected to differ (from 3 judged melts) by up to" in answer["proposals"][0]["reason"]


def test_what_the_committee_said_in_a_simulation_counts_where_nothing_was_computed(committee):
    judge(committee, {"Al100": 20.0})
    for run_id, outcome, deviation in (("good", "finished", 700.0), ("bad", "unphysical: lost atoms", 9999.0)):
        committee.lake.replace("performance", run_id, [{"run_id": run_id, "potential_id": "p2", "outcome": outcome}])
        row = {"run_id": run_id, "composition": "Cu40Ni60", "max_deviation_force_mev_per_angstrom": deviation}
        committee.lake.replace("model_deviations", run_id, [row])
    known = knowledge(committee.settings, committee.lake, "p1")
    assert known.deviations_mev_per_angstrom == {"Al100": 20.0, "Cu40Ni60": 700.0}


def test_frames_that_are_there_are_named_with_it(committee):
    judge(committee, {"Al100": 20.0, "Ni100": 400.0})
    answer = propose(committee.settings, COARSE)
    assert answer["untrained_frames"][0]["run_id"] == "ni100"
    assert "run ni100 frame 0: Ni100, test, 400 meV/angstrom" in propose_text(answer)


def test_when_all_is_covered_it_says_stop(melts, settings):
    for n_cu in (0, 16, 32, 48, 64):
        counts = {element: n for element, n in (("Al", 64 - n_cu), ("Cu", n_cu)) if n}
        add(melts, counts, seed=n_cu)
    made = materialize(settings, TrainingSetRequest())
    add_potential(melts, made["training_set_id"])
    answer = propose(settings, ProposalRequest(step_at_percent=25))
    assert (answer["stop"], answer["proposals"], answer["n_covered"]) == (True, [], answer["n_candidates"])
    assert answer["verdict"].startswith("Stop: ")
    assert "no committee tells: train a further seed" in answer["verdict"]
    assert propose(settings, ProposalRequest(step_at_percent=25), out=settings.home / "next")["path"] is None
    assert not (settings.home / "next").exists()


def test_it_does_not_say_stop_where_a_covered_melt_is_disputed(melts, settings):
    for n_cu in (0, 16, 32, 48, 64):
        counts = {element: n for element, n in (("Al", 64 - n_cu), ("Cu", n_cu)) if n}
        add(melts, counts, seed=n_cu)
    made = materialize(settings, TrainingSetRequest())
    for seed in (1, 2):
        add_potential(melts, made["training_set_id"], seed=seed)
    judge(melts, {"Al50Cu50": 900.0})
    answer = propose(settings, ProposalRequest(step_at_percent=12.5))
    assert (answer["stop"], answer["n_covered"]) == (False, 0)
    assert answer["verdict"].startswith("Compute ")
    judge(melts, {"Al50Cu50": 90.0})
    answer = propose(settings, ProposalRequest(step_at_percent=12.5))
    assert answer["stop"] is (answer["n_covered"] == answer["n_candidates"])


def test_what_is_fully_covered_and_disputed_is_still_ranked(home):
    known = knowledge(home, Lake(home.lake), None)
    [first, *_] = candidates(known, step_at_percent=50, trust_mev_per_angstrom=100)
    disputed = replace(first, coverage_frac=1.0, deviation_mev_per_angstrom=900.0, is_covered=False)
    assert [one.candidate for one in ranked(known, [disputed], n_wanted=3)] == [disputed]


def test_frames_on_which_the_committee_gave_no_number_are_told_and_not_counted(committee):
    judge(committee, {"Al100": 20.0, "Ni100": None, "Cu100": float("inf")})
    with capture_logs() as lines:
        answer = propose(committee.settings, COARSE)
    assert "frames on which a potential of the committee gave no number: 2 of Cu100, 2 of Ni100" in str(lines)
    known = knowledge(committee.settings, committee.lake, "p1")
    assert known.deviations_mev_per_angstrom == {"Al100": 20.0}
    assert "run al100 frame 0" in propose_text(answer)
    json.dumps(answer, allow_nan=False)


@pytest.fixture(scope="module")
def folder(home, tmp_path_factory):
    out = tmp_path_factory.mktemp("proposals") / "next"
    propose(home, replace(COARSE, temperature_k=1650.0), out=out)
    return out


def card(folder):
    return json.loads((folder / CARD).read_text())


def test_the_poscar_has_the_composition_the_volume_and_no_close_pair(folder):
    atoms = ase.io.read(folder / "POSCAR")
    told = card(folder)["start"]
    symbols, n_of = np.unique(atoms.get_chemical_symbols(), return_counts=True)
    found = dict(zip(symbols.tolist(), n_of.tolist(), strict=True))
    assert half_l1_at_percent(composition(found), told["composition"]) <= 1.0
    assert len(atoms) == told["n_atoms"] == 64
    assert atoms.get_volume() / 64 == pytest.approx(volume_of(found), rel=0.01)
    limits = shortest_trainable_pairs_angstrom(np.unique(atoms.numbers))
    distances = shortest_distances(atoms.numbers, atoms.positions[None], cells=atoms.cell.array[None], limits=limits)
    assert distances[1][0] >= LEAST_OVER_LIMIT - 1e-6
    assert distances[1][0] == pytest.approx(told["min_distance_over_limit"], rel=1e-6)
    assert atoms.get_chemical_symbols() == sorted(atoms.get_chemical_symbols())


def test_the_incar_has_what_the_lake_knows_and_asks_for_the_rest(folder):
    text = (folder / "INCAR").read_text()
    tags = dict(re.findall(r"^(\w+) = (\S+)", text, re.MULTILINE))
    assert {
        "GGA": "PE",
        "ENCUT": "300",
        "ISMEAR": "1",
        "SIGMA": "0.1",
        "ISPIN": "1",
        "POTIM": "2",
    }.items() <= tags.items()
    assert {"IBRION": "0", "ISIF": "2", "NSW": "12", "TEBEG": "1650", "TEEND": "1650"}.items() <= tags.items()
    for unknown in ("EDIFF", "NELM", "SMASS", "LREAL", "PREC", "MDALGO"):
        assert re.search(rf"^# {unknown} = \?", text, re.MULTILINE)
        assert unknown not in tags


def test_kpoints_and_readme_say_where_they_come_from(folder):
    lines = (folder / "KPOINTS").read_text().splitlines()
    assert lines[1:] == ["0", "Gamma", "1 1 1", "0 0 0"]
    told, answer = (folder / "README.md").read_text(), card(folder)
    assert answer["start"]["run_id"] in lines[0]
    assert f"Why: {next(row['reason'] for row in answer['proposals'] if row['action'] == 'compute')}" in told
    assert "12 ionic steps of 64 atoms" in told
    assert "about 12 electronic steps each as there: 144 in all" in told
    assert "synthetic" in told
    assert "Al: PAW_PBE Al 04Jan2001" in told or "PAW_PBE" in told


def test_what_is_not_known_of_the_run_is_asked_for(melts, settings):
    for seed, counts in enumerate(({"Al": 64}, {"Cu": 64})):
        unknown = dict.fromkeys(("functional", "encut_ev", "temperature_target_k", "time_step_fs"))
        add(melts, counts, seed=seed, **unknown, k_points="4 in list")
    made = materialize(settings, TrainingSetRequest())
    add_potential(melts, made["training_set_id"])
    out = settings.home / "next"
    propose(settings, COARSE, out=out)
    text = (out / "INCAR").read_text()
    for name in ("GGA", "ENCUT", "TEBEG", "POTIM"):
        assert re.search(rf"^# {name} = \?", text, re.MULTILINE)
    assert "4 in list; the centre of the zone is a placeholder" in (out / "KPOINTS").read_text()


def test_volumes_are_foretold_from_the_neighbours(home):
    known = knowledge(home, Lake(home.lake), None)
    for name in ("Al50Cu50", "Al20Ni80", "Al25Cu25Ni50"):
        counts = {e: 0.64 * share for e, share in zip(*parts(name), strict=True)}
        assert predicted_volume_per_atom_angstrom3(known, name) == pytest.approx(volume_of(counts), rel=0.01)


def parts(name):
    found = re.findall(r"([A-Z][a-z]?)(\d+)", name)
    return [element for element, _ in found], [float(share) for _, share in found]


def test_a_finished_simulation_of_the_composition_is_taken_as_the_start(committee):
    best = propose(committee.settings, COARSE)["proposals"][0]["composition"]
    elements, shares = parts(best)
    counts = {element: round(0.64 * share) for element, share in zip(elements, shares, strict=True)}
    counts[elements[0]] += 64 - sum(counts.values())
    frames = [row | {"accepted": False, "label_source": "none", "rejection_reasons": ["energy_present"]}
              for row in melt(counts, 4, seed=3)]  # fmt: skip
    row = {"origin": "dnnp", "potential_id": "p2", "protocol": "nvt", "composition": best}
    committee.add("sim", counts, frames, **row)
    committee.lake.replace("performance", "sim", [{"run_id": "sim", "outcome": "finished", "potential_id": "p2"}])
    out = committee.settings.home / "next"
    start = propose(committee.settings, COARSE, out=out)["start"]
    assert (start["run_id"], start["frame"], start["composition"]) == ("sim", 3, best)
    assert start["n_exchanged"] <= 2


def simulate_by_hand(melts, run_id, counts, **changes):
    """What a finished simulation of the committee leaves in the lake."""
    frames = [row | {"accepted": False, "label_source": "none", "rejection_reasons": ["energy_present"]}
              for row in melt(counts, 4, seed=3)]  # fmt: skip
    melts.add(run_id, counts, frames, **{"origin": "dnnp", "potential_id": "p2", "protocol": "nvt", **changes})
    melts.lake.replace("performance", run_id, [{"run_id": run_id, "outcome": "finished", "potential_id": "p2"}])


def test_a_simulation_is_known_by_its_atoms_where_whole_atoms_change_the_label(committee):
    simulate_by_hand(committee, "sim", {"Al": 45, "Cu": 13, "Ni": 6})
    assert committee.lake.rows("runs", key="sim").to_pylist()[0]["composition"] == "Al70Cu20Ni9"
    known = knowledge(committee.settings, committee.lake, "p1")
    assert aimd_start(committee.lake, known, "Al70Cu20Ni10").run_id == "sim"


def test_a_simulation_at_another_temperature_or_pressure_is_no_start(committee):
    counts = {"Al": 32, "Cu": 32}
    simulate_by_hand(committee, "cold", counts, temperature_target_k=300.0)
    simulate_by_hand(committee, "dense", counts, temperature_target_k=1700.0, pressure_target_gpa=20.0)
    known = knowledge(committee.settings, committee.lake, "p1")
    assert aimd_start(committee.lake, known, "Al50Cu50").run_id not in {"cold", "dense"}
    simulate_by_hand(committee, "warm", counts, temperature_target_k=1600.0)
    assert aimd_start(committee.lake, known, "Al50Cu50").run_id == "warm"
    assert aimd_start(committee.lake, known, "Al50Cu50", temperature_k=310.0).run_id == "cold"


def test_the_run_nearest_in_temperature_stands_for_its_composition_and_a_melt_before_a_crystal(committee):
    frames = melt({"Ni": 64}, 40, seed=2, spacing=2.2)
    committee.add("crystal", {"Ni": 64}, frames, **{**SETTINGS, "temperature_target_k": 300.0})
    lake, first = committee.lake, {}
    for wanted_k in (300.0, 1700.0, None):
        known = knowledge(committee.settings, lake, "p1", temperature_k=wanted_k)
        first[wanted_k] = known.melts["Ni100"].runs[0]["run_id"]
    assert first == {300.0: "crystal", 1700.0: "ni100", None: "crystal"}
    row = {"expectation": "melt_diffuses", "scope": "run", "success": False}
    lake.replace("expectation_results", "crystal", [row])
    known = knowledge(committee.settings, lake, "p1")
    assert known.melts["Ni100"].runs[0]["run_id"] == "ni100"
    assert known.melts["Ni100"].volume_per_atom_angstrom3 == pytest.approx(SPACING["Ni"] ** 3)


def test_a_volume_beyond_the_computed_melts_is_bounded_and_said_to_be_a_guess(melts, settings):
    for counts, volume in (({"Al": 64}, 18.0), ({"Al": 61, "Cu": 3}, 18.6)):
        frames = melt(counts, 12, seed=len(counts), spacing=volume ** (1 / 3))
        melts.add(composition(counts).lower(), counts, frames, **SETTINGS)
    made = materialize(settings, TrainingSetRequest())
    add_potential(melts, made["training_set_id"])
    known = knowledge(settings, melts.lake, "p1")
    assert predicted_volume_per_atom_angstrom3(known, "Al60Cu40") == pytest.approx(16.3, rel=0.03)
    assert predicted_volume_per_atom_angstrom3(known, "Cu100") == pytest.approx(12.8, rel=0.05)
    start = propose(settings, COARSE, out=settings.home / "next")["start"]
    assert start["volume_is_guessed"]
    assert "which is a guess: no mixture of the computed melts" in (settings.home / "next" / "README.md").read_text()


def test_melts_at_another_pressure_foretell_no_volume(committee):
    for name, gpa in (("al100", 0.4), ("cu100", 0.2), ("ni100", 60.0)):
        committee.lake.replace("thermodynamics", name, [{"run_id": name, "pressure_gpa": gpa}])
    known = knowledge(committee.settings, committee.lake, "p1")
    near, expected = predicted_volume_per_atom_angstrom3(known, "Al20Ni80"), 13.0 * 0.8 + 19.7 * 0.2
    assert near == pytest.approx(expected, rel=0.05)
    dense = replace(known.melts["Ni100"], volume_per_atom_angstrom3=8.0)
    known = replace(known, melts={**known.melts, "Ni100": dense})
    assert predicted_volume_per_atom_angstrom3(known, "Al80Ni20") == pytest.approx(18.4, rel=0.05)


def test_a_folder_is_replaced_on_request_and_only_one_of_ours(home, tmp_path):
    out, few = tmp_path / "next", ProposalRequest(step_at_percent=50)
    propose(home, few, out=out)
    with pytest.raises(MeltlakeError, match="exists"):
        propose(home, few, out=out)
    assert propose(home, few, out=out, overwrite=True)["path"] == str(out)
    (tmp_path / "mine").mkdir()
    with pytest.raises(MeltlakeError, match=f"found no {CARD} in it"):
        propose(home, few, out=tmp_path / "mine", overwrite=True)


def test_bad_wishes_are_sentences(home, settings):
    for request, told in (
        (ProposalRequest(potential_id="nobody"), "There is no potential 'nobody'"),
        (ProposalRequest(step_at_percent=7), "a step that divides 100 at.%, found 7"),
        (ProposalRequest(temperature_k=-5.0), "temperature must be more than 0, found -5"),
    ):
        with pytest.raises(MeltlakeError, match=told):
            propose(home, request)
    with pytest.raises(MeltlakeError, match="The lake has no potential; what to compute next"):
        propose(settings, COARSE)


def test_the_command_prints_one_json_object_or_sentences(home, tmp_path):
    words = [sys.executable, "-m", "operators.cli", "propose", "--lake", home.lake, "--step", "20", "--number", "2"]
    words += ["--out", str(tmp_path / "next")]
    done = subprocess.run([*words, "--json"], check=True, capture_output=True, text=True)
    answer = json.loads(done.stdout)
    assert [row["rank"] for row in answer["proposals"]] == [1, 2]
    assert propose_text(answer).splitlines()[0] == answer["verdict"]
    assert f"README.md of {answer['start']['composition']} are in" in propose_text(answer)
    assert {path.name for path in (tmp_path / "next").iterdir()} == {"POSCAR", "INCAR", "KPOINTS", "README.md", CARD}
    assert Path(tmp_path / "next" / "POSCAR").read_text().startswith(answer["proposals"][0]["composition"])
