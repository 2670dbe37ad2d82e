"""What a StatsD server hears of our pods and of the landing zone, beside Airflow's own metrics."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from airflow.observability.metrics import stats_utils
from airflow.observability.stats import initialize as in_triggerer
from airflow.sdk.observability.metrics import stats_utils as stats_utils_of_tasks
from airflow.sdk.observability.stats import initialize as in_tasks

from operators.scheduling.landing import LandingTrigger
from operators.scheduling.retries import BusyNow
from operators.scheduling.runner import RunnerOperator
from tests.scheduling.conftest import PodClient
from tests.scheduling.statsd import StatsdServer


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[StatsdServer]:
    with StatsdServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(f"AIRFLOW__{name}", value)
        _initialize()
        yield server
        monkeypatch.undo()
        _initialize()


def _initialize() -> None:
    """As Airflow's triggerer and its task runner begin."""
    of_both: list[tuple[ModuleType, object]] = [(stats_utils, in_triggerer), (stats_utils_of_tasks, in_tasks)]
    for utils, initialize in of_both:
        initialize(factory=utils.get_stats_factory(), export_legacy_names=True)  # type: ignore[operator]


@pytest.mark.parametrize(("code", "ends_by"), [(0, None), (75, BusyNow)])
def test_a_pod_tells_how_it_ended_how_long_it_waited_and_ran(
    connected: PodClient, statsd: StatsdServer, code: int, ends_by: type[Exception] | None
) -> None:
    operator = RunnerOperator(task_id="sleeps", cmds=["sh", "-c"], arguments=[f"sleep 1; exit {code}"])
    pod = operator.build_pod_request_obj(dry_run=True)
    operator.arguments = ["train", "2272c04e3166"]
    operator.pod_manager.create_pod(pod)
    connected.wait(pod.metadata.name, "Failed", "Succeeded")
    with pytest.raises(ends_by) if ends_by else contextlib.nullcontext():
        operator.cleanup(pod, operator.pod_manager.read_pod(pod))
    assert statsd.wait(f"airflow.meltlake.pods.ended.train.{code}") == "1|c"
    ran_ms, kind = statsd.wait("airflow.meltlake.pods.ran.train").split("|")
    waited_ms = float(statsd.wait("airflow.meltlake.pods.waited.train").removesuffix("|ms"))
    assert kind == "ms"
    assert 1000 <= float(ran_ms) < 60_000
    assert 0 <= waited_ms < 60_000


def test_the_landing_zone_tells_how_full_it_is_and_what_landed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statsd: StatsdServer
) -> None:
    monkeypatch.setenv("MELTLAKE_LANDING", str(tmp_path))
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "OUTCAR").touch()
        (tmp_path / name / "READY").touch()
    asyncio.run(asyncio.wait_for(_first_event(), 20))
    assert statsd.wait("airflow.meltlake.landing.entries") == "2|g"
    assert statsd.wait("airflow.meltlake.landing.landed") == "2|c"
    assert statsd.wait("airflow.meltlake.landing.look").endswith("|ms")


async def _first_event() -> None:
    await anext(aiter(LandingTrigger().run()))
