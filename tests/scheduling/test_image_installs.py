"""The images' own steps in plain folders: what the Dockerfiles run is run here, and used as a pod would use it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from operators.toy_melt import ToyMeltRequest, generate
from tests.scheduling.conftest import ROOT
from tests.scheduling.test_images import COMPUTING

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

NOBODY = 50000
Use = Callable[..., str]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as in the images, from what `.dockerignore` lets in."""
    source = tmp_path_factory.mktemp("source")
    for name in (line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    subprocess.run(["deploy/install/wheel.sh", sys.executable, source / "dist"], cwd=source, check=True)
    [built] = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module", params=["control", "runner"])
def image(request: pytest.FixtureRequest, wheel: Path) -> Iterator[tuple[str, Path, Use]]:
    """Role, folder, and a way to run a program in it: as user 50000 if we may, so that only scratch can be written.

    Where Python itself is out of everybody's reach, as one in root's home, programs run as us.
    """
    role, root = str(request.param), Path(tempfile.mkdtemp(prefix="meltlake-image-"))
    root.chmod(0o755)
    python = root / "opt" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", root / "opt"], check=True)
    script, words = ("control.sh", []) if role == "control" else ("runner.sh", [role])
    subprocess.run([f"deploy/install/{script}", python, wheel, *words], cwd=ROOT, check=True)
    scratch = root / "scratch"
    scratch.mkdir()
    may_be_nobody = os.getuid() == 0 and all(path.stat().st_mode & 0o001 for path in Path(sys.base_prefix).parents)
    somebody: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if may_be_nobody else {}
    if somebody:
        os.chown(scratch, NOBODY, NOBODY)
    home = {name: str(scratch / name.lower()) for name in ("MPLCONFIGDIR", "NUMBA_CACHE_DIR", "AIRFLOW_HOME")}
    environment = {"PATH": f"{root}/opt/bin:/usr/bin:/bin", "HOME": str(scratch), **home}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}

    def use(*words: str | Path, **variables: str) -> str:
        done = subprocess.run(
            words, cwd=scratch, env=environment | variables, check=False, capture_output=True, text=True, **somebody
        )
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]} {done.stderr[-3000:]}"
        return done.stdout

    try:
        yield role, root, use
    finally:
        shutil.rmtree(root)


def test_each_role_does_its_own_work_as_somebody_without_rights(image: tuple[str, Path, Use], tmp_path: Path) -> None:
    role, root, use = image
    melt = ToyMeltRequest(composition="Al50Cu50", n_atoms=32, n_frames=40, source_format="outcar")
    shutil.copytree(generate(tmp_path / "run", melt), root / "landing" / "run")
    (_parses if role == "control" else _computes)(root, use)
    size = sum(path.stat().st_size for path in (root / "opt").rglob("*") if path.is_file() and not path.is_symlink())
    print(f"{role}: {size / 1e9:.2f} GB installed")


def _parses(root: Path, use: Use) -> None:
    """What Airflow's containers do, with nothing that computes in them."""
    asked = ", ".join(repr(name) for name in sorted(COMPUTING))
    absent = f"""
from importlib.metadata import PackageNotFoundError, version
for name in ({asked}):
    try:
        raise SystemExit(f"{{name}} {{version(name)}} is here")
    except PackageNotFoundError:
        pass
import dags
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dags.__path__[0])
assert bag.import_errors == {{}} and len(bag.dags) == 5, bag.import_errors
from operators.scheduling import plans, ui
print(plans.ingest_commands())
"""
    said = use(root / "opt" / "bin" / "python", "-c", absent, MELTLAKE_LANDING=str(root / "landing"))
    assert said.splitlines()[-1] == str([["ingest", str(root / "landing" / "run")]])
    assert "airflow" in use("airflow", "providers", "list")
    use("airflow", "db", "migrate")
    [pools] = (root / "opt").rglob("operators/scheduling/deploy/pools.json")
    use("airflow", "pools", "import", pools)


def _computes(root: Path, use: Use) -> None:
    """From a file to a simulation, as pods do."""
    assert "airflow" not in use(root / "opt" / "bin" / "python", "-m", "pip", "list")
    use("meltlake", "ingest", root / "landing")
    made = json.loads(use("meltlake", "materialize", "--json"))
    potential = json.loads(
        use("meltlake", "train", made["training_set_id"], "--recipe", "DP-small", "--steps", "20", "--json")
    )
    line = ("meltlake", "simulate", potential["potential_id"], "--protocol", "nvt", "--composition", "Al50Cu50")
    simulated = json.loads(use(*line, "--temperature-k", "1200", "--steps", "20", "--json"))
    assert simulated["run_id"]
