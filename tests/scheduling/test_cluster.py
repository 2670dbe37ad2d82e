"""The whole path on whatever cluster a kubeconfig names: Airflow here, pods there, one folder that both see.

    MELTLAKE_K8S_KUBECONFIG=~/.kube/config MELTLAKE_K8S_HOME=/meltlake \
    AIRFLOW__MELTLAKE__RUNNER_IMAGE=registry.lab/meltlake-runner:0.1.0 pytest -m k8s

`docs/scheduling.md` says how to get there with kind and with k3s. The second test gives the first one a stand-in.
"""

import json
import os
from pathlib import Path

import pytest
import yaml

from lake.warehouse import query
from operators.demo_progress import Progress
from operators.scheduling.airflow_environment import deploy_folder
from operators.scheduling.pod_devices import Devices
from operators.scheduling.pods import PodApi
from operators.scheduling.stack import EmbeddedStack
from operators.stale import stale
from operators.toy_melt import ToyMeltRequest, generate
from schemas.settings import Settings

CAMPAIGN = 'recipes = ["DP-small"]\nprotocols = ["twin"]\nsteps = 500\n'
KUBECONFIG = "MELTLAKE_K8S_KUBECONFIG"
HOME = "MELTLAKE_K8S_HOME"
TEMPLATES = "MELTLAKE_K8S_POD_TEMPLATES"

pytestmark = pytest.mark.timeout(3600)


def _templates_without_gpus(folder: Path) -> Path:
    """The lab's templates for a cluster that has no GPU, as one on a laptop."""
    for path in (deploy_folder() / "pods").iterdir():
        (folder / path.name).write_text(path.read_text())
    resources = yaml.safe_load((folder / "resources.yaml").read_text())
    for verb in ("train", "simulate"):
        small = {"requests": {"cpu": "500m", "memory": "2Gi"}, "limits": {"memory": "8Gi", "nvidia.com/gpu": 0}}
        resources[verb] = small
    resources.pop("train DP-small")
    (folder / "resources.yaml").write_text(json.dumps(resources))
    return folder


def _whole_path(home: Path, kubeconfig: Path, templates: Path) -> None:
    (home / "campaign.toml").write_text(CAMPAIGN)
    settings = Settings.from_mapping({}, lake=str(home / "lake"), landing=str(home / "landing"))
    request = ToyMeltRequest(composition="Al50Cu50", n_atoms=64, n_frames=60, seed=1)
    generate(Path(settings.landing) / "one", request)
    airflow = {"OPERATORS__DEFAULT_DEFERRABLE": "True", "MELTLAKE__POD_TEMPLATES": str(templates)}
    with EmbeddedStack(settings, port=0, kubeconfig=kubeconfig, airflow=airflow) as stack:
        Progress(stack.api, is_due=lambda: any(stale(settings))).follow()
    counts = query(settings, "select origin, count(*) n from runs group by 1 order by 1")
    assert counts == [{"origin": "aimd", "n": 1}, {"origin": "dnnp", "n": 1}]
    assert query(settings, "select count(*) n from potentials") == [{"n": 1}]
    assert (home / "report" / "index.html").exists()


@pytest.mark.k8s
def test_whole_path_on_a_cluster(tmp_path: Path) -> None:
    if KUBECONFIG not in os.environ:
        pytest.skip(f"{KUBECONFIG} names no cluster")
    templates = Path(os.environ[TEMPLATES]) if TEMPLATES in os.environ else _templates_without_gpus(tmp_path)
    _whole_path(Path(os.environ.get(HOME, "/meltlake")), Path(os.environ[KUBECONFIG]).expanduser(), templates)


@pytest.mark.long
def test_whole_path_on_a_stand_in_for_a_cluster(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path / "home"
    home.mkdir()
    places = {"MELTLAKE_LAKE": str(home / "lake"), "MELTLAKE_LANDING": str(home / "landing")}
    environment = {**os.environ, **places, "MELTLAKE_WAREHOUSE": str(home / "warehouse.duckdb")}
    devices = Devices(("one",), real=False)
    with PodApi(tmp_path_factory.mktemp("node") / "pods", devices=devices, environment=environment) as cluster:
        cluster.write_kubeconfig(tmp_path / "kubeconfig")
        templates = _templates_without_gpus(tmp_path_factory.mktemp("templates"))
        _whole_path(home, tmp_path / "kubeconfig", templates)
