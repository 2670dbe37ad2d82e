"""The study's verdicts on rows written by hand; and, in three quarters of an hour, the study itself."""

import sys
import tomllib

import duckdb
import pyarrow as pa
import pytest

from lake.warehouse import session
from operators.campaign import Campaign
from schemas.composition import parse_composition
from schemas.tables import TABLES
from tests.study.claims import claims
from tests.study.commands import Typist, costs
from tests.study.melts import BLIND, COMPOSITIONS, HELD_OUT, NEVER_MET, REHEARSAL, TRAINED, WHOLE, curves
from tests.study.plan import OF_COMMITTEES, RECIPE, WITHOUT_VIRIAL, run, settings_in
from tests.study.truth import TRUTH

RECIPES = (TRUTH, RECIPE, WITHOUT_VIRIAL)
DENSITY = {TRUTH: 5.0, RECIPE: 5.02, WITHOUT_VIRIAL: 5.2}
TWIN, NPT = "twin", "npt"


class Rows(dict):
    """Rows of a study that went well, by table."""

    def __init__(self):
        super().__init__({name: [] for name in TABLES})
        for recipe in RECIPES:
            self["potentials"] += [{"potential_id": recipe, "recipe": recipe, "training_set_id": "all", "seed": 1}]
            for composition in COMPOSITIONS:
                for protocol in (TWIN, NPT):
                    self._add_simulation(recipe, composition, protocol)
        self["rmse"] = [self._errors(RECIPE, 100.0, 5.0), self._errors(WITHOUT_VIRIAL, 101.0, 100.0)]
        self["training_sets"] = [
            {"training_set_id": "all", "compositions": sorted(TRAINED)},
            {"training_set_id": "blind", "compositions": sorted(BLIND)},
        ]
        self["committees"] = [
            *(self._disagreement("all", *part) for part in (("all", "test", 20.0), (NEVER_MET, "test", 22.0))),
            *(self._disagreement("all", name, "held_out", 30.0) for name in HELD_OUT),
            *(self._disagreement("blind", *part) for part in (("all", "test", 20.0), (NEVER_MET, "held_out", 200.0))),
        ]

    def _add_simulation(self, recipe, composition, protocol):
        run_id = f"{recipe} {composition} {protocol}"
        about = {"run_id": run_id, "composition": composition, "potential_id": recipe}
        self["runs"].append(about | {"protocol": protocol})
        self["performance"].append(about | {"protocol": protocol, "outcome": "finished"})
        density = {"density_g_per_cm3": DENSITY[recipe], "density_error_g_per_cm3": 0.005}
        self["thermodynamics"].append({"run_id": run_id, "composition": composition} | density)
        if protocol == TWIN:
            compared = {"l1_percent": 2.0, "floor_percent": 2.0, "z": 1.0, "verdict": "indistinguishable"}
            self["agreement"] += [about | {"observable": name} | compared for name in curves(composition)]
            self._add_curves(run_id, composition, height=1.0 if recipe == TRUTH else 1.02)

    def _add_curves(self, run_id, composition, *, height):
        for name in curves(composition):
            kind, _, of = name.partition(" ")
            about = {"run_id": run_id, "composition": composition}
            if kind == "rdf":
                self["rdf"] += [about | {"pair": of, "r_angstrom": r, "g": height} for r in (1.4, 2.5, 3.0)]
            else:
                self["vacf"] += [about | {"element": of, "lag_fs": lag, "vacf": height} for lag in (0.0, 5.0, 700.0)]

    @staticmethod
    def _errors(potential_id, force, virial):
        errors = {"rmse_force_mev_per_angstrom": force, "rmse_virial_mev_per_atom": virial}
        return {"potential_id": potential_id, "composition": "all", "split": "test"} | errors

    @staticmethod
    def _disagreement(learnt, composition, split, deviation):
        about = {
            "committee_id": learnt,
            "training_set_id": learnt,
            "recipe": OF_COMMITTEES,
            "potential_ids": ["1", "2", "3"],
        }
        forces = {"deviation_force_mev_per_angstrom": deviation, "error_force_mev_per_angstrom": 1.5 * deviation}
        return about | {"composition": composition, "split": split} | forces

    def one(self, table, **wanted):
        """The only row with these values."""
        [row] = [row for row in self[table] if all(row[name] == value for name, value in wanted.items())]
        return row

    def broken(self):
        """Claims that do not hold."""
        with duckdb.connect() as connection:
            for name, rows in self.items():
                schema = TABLES[name].arrow_schema
                complete = [dict.fromkeys(schema.names) | row for row in rows]
                connection.register("rows", pa.Table.from_pylist(complete, schema))
                connection.execute(f"create table {name} as select * from rows")
            found = claims(lambda sql: connection.sql(sql).to_arrow_table())
        assert len(found) == 16
        return [claim.claim for claim in found if not claim.holds]


@pytest.fixture
def rows():
    return Rows()


def twin(composition, recipe=RECIPE):
    return {"run_id": f"{recipe} {composition} {TWIN}"}


def test_a_study_that_went_well_holds_every_claim(rows):
    assert rows.broken() == []


def test_a_curve_without_a_verdict_does_not_pass(rows):
    rows.one("agreement", observable="vacf Ni", **twin("Al50Cu25Ni25"))["verdict"] = "undecided"
    assert rows.broken() == ["VACFs of held-out melts beside AIMD", "VACFs of held-out melts beside truth"]


def test_a_curve_far_from_aimd_does_not_pass_however_near_the_truth(rows):
    rows.one("agreement", observable="rdf Al-Al", **twin("Al100"))["l1_percent"] = 6.1
    assert rows.broken() == ["Partial RDFs of trained melts beside AIMD"]


def test_a_curve_far_from_the_truth_does_not_pass_however_near_aimd(rows):
    for row in rows["rdf"]:
        if row["run_id"] == f"{RECIPE} Al100 {TWIN}" and row["r_angstrom"] == 2.5:
            row["g"] = 1.5
    assert rows.broken() == ["Partial RDFs of trained melts beside truth"]


def test_a_twin_that_is_not_there_is_no_agreement(rows):
    rows.one("performance", **twin("Cu50Ni50"))["outcome"] = "unphysical: atoms were lost"
    assert [claim for claim in rows.broken() if "trained" not in claim] == []
    assert len(rows.broken()) == 4


def test_a_floor_that_the_truth_itself_misses_is_told(rows):
    rows.one("agreement", observable="rdf Al-Al", **twin("Al100", TRUTH))["l1_percent"] = 7.0
    assert rows.broken() == ["The floor is honest: the truth's twins beside AIMD"]


@pytest.mark.parametrize("changed", [{"density_g_per_cm3": 5.06}, {"density_error_g_per_cm3": None}])
def test_a_density_that_is_off_or_has_no_error_does_not_pass(rows, changed):
    rows.one("thermodynamics", run_id=f"{RECIPE} Al100 {NPT}").update(changed)
    assert rows.broken() == ["Density at zero pressure, trained with virials, beside the truth"]


def test_a_density_without_virials_must_be_visibly_worse(rows):
    for composition in COMPOSITIONS:
        rows.one("thermodynamics", run_id=f"{WITHOUT_VIRIAL} {composition} {NPT}")["density_g_per_cm3"] = 4.97
    assert rows.broken() == ["Density, trained without virials: visibly worse"]


def test_a_volume_that_a_guard_stopped_is_worse_without_virials_and_a_failure_with_them(rows):
    stopped = "unphysical: the volume went more than 15% away from that of the start frame at step 900"
    rows.one("performance", run_id=f"{WITHOUT_VIRIAL} Al100 {NPT}")["outcome"] = stopped
    assert rows.broken() == []
    rows.one("performance", run_id=f"{RECIPE} Al100 {NPT}")["outcome"] = stopped
    assert rows.broken() == ["Density at zero pressure, trained with virials, beside the truth"]


def test_a_committee_must_disagree_where_it_knows_nothing_and_only_there(rows):
    rows.one("committees", committee_id="blind", split="held_out")["deviation_force_mev_per_angstrom"] = 50.0
    assert rows.broken() == [f"Never met Al beside Ni: {NEVER_MET} is flagged"]
    rows.one("committees", committee_id="all", composition=HELD_OUT[0])["deviation_force_mev_per_angstrom"] = 90.0
    assert "The control on held-out melts: not flagged" in rows.broken()


def test_a_committee_of_too_few_seeds_says_nothing(rows):
    for row in rows["committees"]:
        row["potential_ids"] = ["1", "2"]
    assert len(rows.broken()) == 3


def test_the_campaign_is_one_that_meltlake_reads_and_a_rehearsal_is_shorter():
    whole, short = (Campaign.model_validate(tomllib.loads(size.campaign)) for size in (WHOLE, REHEARSAL))
    assert {RECIPE, WITHOUT_VIRIAL, OF_COMMITTEES} <= set(whole.all_recipes)
    assert set(whole.hold_out) == set(HELD_OUT)
    assert {short.all_recipes[name].n_steps for name in (RECIPE, WITHOUT_VIRIAL, OF_COMMITTEES)} == {
        REHEARSAL.n_training_steps
    }


def test_blind_potentials_know_every_element_and_never_al_beside_ni():
    learnt = [parse_composition(name).keys() for name in BLIND]
    assert set().union(*learnt) == {"Al", "Cu", "Ni"}
    assert not any({"Al", "Ni"} <= elements for elements in learnt)


def test_commands_run_side_by_side_and_one_that_cannot_yet_is_typed_again(tmp_path):
    mark = tmp_path / "mark"
    later = f"from pathlib import Path; import sys; mark = Path({str(mark)!r})\n"
    later += "there = mark.exists(); mark.touch(); sys.exit(0 if there else 75)"
    Typist(tmp_path, {}).type_all("stage", [[sys.executable, "-c", text] for text in (later, "raise SystemExit(65)")])
    assert sorted(one.exit_code for one in costs(tmp_path)) == [0, 65, 75]


@pytest.mark.physical_validation
@pytest.mark.timeout(7200)
def test_potentials_of_a_melt_whose_truth_is_known_say_the_truth(tmp_path):
    settings = settings_in(tmp_path)
    run(settings, WHOLE)
    with session(settings) as query:
        found = claims(query)
    assert [claim.row for claim in found if not claim.holds] == []
    page = (settings.home / "report" / "index.html").read_text(encoding="utf-8")
    assert "synthetic" in page
