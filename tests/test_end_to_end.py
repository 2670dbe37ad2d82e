"""The whole path under the real Airflow: scheduler, triggerer, Kubernetes operator and loopback pod API."""

import time
from collections import Counter

import psutil
import pytest

from lake.delta import Lake
from lake.warehouse import published_versions, query
from operators.demo_progress import Progress
from operators.scheduling.stack import EmbeddedStack
from operators.stale import stale
from operators.toy_melt import ToyMeltRequest, generate
from schemas.settings import Settings

CAMPAIGN = 'recipes = ["DP-small"]\nhold_out = ["Al50Cu25Ni25"]\nprotocols = ["twin"]\nsteps = 1500\n'


def land(settings, name, *, composition, seed, source_format="outcar"):
    request = ToyMeltRequest(composition=composition, n_atoms=64, n_frames=60, seed=seed, source_format=source_format)
    generate(settings.home / "landing" / name, request)


def observed(stack):
    """Composition and state of every run of the DAG `observe`."""
    runs = stack.api("dags/observe/dagRuns?limit=100")["dag_runs"]
    return sorted((run["partition_key"], run["state"]) for run in runs)


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(1)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    (home / "campaign.toml").write_text(CAMPAIGN)
    return Settings.from_mapping({}, lake=str(home / "lake"), landing=str(home / "landing"))


@pytest.mark.timeout(900)  # a busy machine takes twice the five minutes of a quiet one
def test_what_lands_becomes_frames_potentials_simulations_and_a_report(settings):
    land(settings, "train", composition="Al50Cu50", seed=1)
    land(settings, "held-out", composition="Al50Cu25Ni25", seed=2, source_format="vasprun")
    land(settings, "ternary", composition="Al25Cu25Ni50", seed=3)
    (settings.home / "landing" / "broken").mkdir()
    (settings.home / "landing" / "broken" / "OUTCAR").write_bytes(b"")

    with EmbeddedStack(settings, port=0) as stack:
        Progress(stack.api, is_due=lambda: any(stale(settings))).follow()
        first = observed(stack)
        check_results(settings)
        land(settings, "again", composition="Al50Cu50", seed=4)
        wait_until(
            lambda: len(observed(stack)) > len(first) and all(state == "success" for _, state in observed(stack)), 120
        )
        later = observed(stack)

    # A composition that waits for its first observation is announced again when another ingest ends meanwhile.
    assert set(first) == {("Al25Cu25Ni50", "success"), ("Al50Cu25Ni25", "success"), ("Al50Cu50", "success")}
    observed_again = Counter(later) - Counter(first)
    assert set(observed_again) == {("Al50Cu50", "success")}, "a new run re-observes its own composition only"
    mine = str(settings.home)
    assert not [
        p.info["cmdline"] for p in psutil.process_iter(["cmdline"]) if mine in " ".join(p.info["cmdline"] or [])
    ]


def check_results(settings):
    counts = query(settings, "select origin, count(*) n, bool_and(synthetic) synthetic from runs group by 1 order by 1")
    assert counts == [{"origin": o, "n": 3, "synthetic": True} for o in ("aimd", "dnnp")]
    splits = query(settings, "select distinct split from rmse order by 1")
    assert [row["split"] for row in splits] == ["held_out", "test", "train"]
    [failure] = query(settings, "select subject, cause from task_failures")
    assert failure["subject"].endswith("broken/OUTCAR")
    assert published_versions(settings)["runs"] == Lake(settings.lake).version("runs")
    assert "Al-Cu-Ni" in (settings.home / "report" / "index.html").read_text()
