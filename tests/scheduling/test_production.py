"""Production's parts on one machine: lake and landing zone in a bucket, PostgreSQL, LocalExecutor, deferred pods.

And those who listen: a StatsD server for metrics, OpenLineage for what read and wrote what.
"""

import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lake.object_store import file_system
from lake.warehouse import query
from operators.demo_progress import Progress
from operators.scheduling.leftovers import ask_for_signal_at_launchers_death
from operators.scheduling.stack import EmbeddedStack, free_port
from operators.stale import stale
from operators.toy_melt import ToyMeltRequest, generate
from schemas.settings import Settings
from tests.object_store import make_bucket, s3_server, use_store
from tests.scheduling.statsd import StatsdServer

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

CAMPAIGN = 'recipes = ["DP-small"]\nsteps = 50\n'
DAGS = ("ingest", "observe", "train", "simulate", "report")
NASTY = "{{ 7 * 7 }} $(AWS_SECRET_ACCESS_KEY) --workers"


def _programs() -> Path | None:
    """Folder of PostgreSQL's server programs; Debian keeps them off the path."""
    found = shutil.which("initdb")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return Path(found).resolve().parent if found else installed[-1].parent if installed else None


def _not_root() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    name = next(name for name in ("postgres", "nobody") if name in {entry.pw_name for entry in pwd.getpwall()})
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}


@contextmanager
def postgresql() -> Iterator[str]:
    """Address of an empty database of a server of our own."""
    programs, somebody = _programs(), _not_root()
    if programs is None:
        pytest.skip("needs PostgreSQL's server programs (Debian: postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="meltlake-postgresql-"))
    password, port = secrets.token_hex(16), free_port(0)
    (folder / "password").write_text(password)
    if somebody:
        for path in (folder, folder / "password"):
            shutil.chown(path, somebody["user"], somebody["group"])
    quiet: dict[str, Any] = {**somebody, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
    make = [programs / "initdb", "-D", folder / "data", "-U", "airflow", "-A", "scram-sha-256"]
    subprocess.run([*make, f"--pwfile={folder / 'password'}"], check=True, **quiet)
    options = ["-c", "listen_addresses=127.0.0.1", "-c", f"port={port}", "-c", f"unix_socket_directories={folder}"]
    command = [programs / "postgres", "-D", folder / "data", *options]
    server = subprocess.Popen(command, **quiet, preexec_fn=_end_with_us)  # noqa: PLW1509 - one call, no lock
    try:
        ask = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
        for _ in range(100):
            if subprocess.run(ask, check=False, **quiet).returncode == 0:
                break
            time.sleep(0.2)
        yield f"postgresql+psycopg2://airflow:{password}@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # without waiting for who is connected
        server.wait(30)
        shutil.rmtree(folder)


def _end_with_us() -> None:
    ask_for_signal_at_launchers_death(signal.SIGINT)


class Site:
    """A bucket, a database, a home folder, and Airflow on top of them."""

    def __init__(self, home: Path, database: str, statsd: StatsdServer) -> None:
        places = {"MELTLAKE_LAKE": "s3://melts/lake", "MELTLAKE_LANDING": "s3://melts/landing"}
        self.settings = Settings.from_mapping(places | {"MELTLAKE_HOME": str(home)})
        self.statsd = statsd
        self._lineage = home / "lineage" / "event"
        self._lineage.parent.mkdir()
        self._database = database
        self._raw = home / "raw"
        (home / "campaign.toml").write_text(CAMPAIGN)

    def airflow(self) -> EmbeddedStack:
        """As deploy/values.yaml has it: another database, and pods that tasks wait for without a worker."""
        chosen = {"DATABASE__SQL_ALCHEMY_CONN": self._database, "OPERATORS__DEFAULT_DEFERRABLE": "True"}
        lineage = {"OPENLINEAGE__TRANSPORT": json.dumps({"type": "file", "log_file_path": str(self._lineage)})}
        return EmbeddedStack(self.settings, port=0, airflow=chosen | lineage | self.statsd.environment)

    def lineage(self) -> Iterator[tuple[str, str, set[str], set[str]]]:
        """Of every event of a task: its kind, the task, and the addresses that it reads and writes."""
        for path in self._lineage.parent.iterdir():
            event = json.loads(path.read_text())
            sides = [{f"{one['namespace']}/{one['name']}" for one in event[side]} for side in ("inputs", "outputs")]
            yield event["eventType"], event["job"]["name"], sides[0], sides[1]

    def upload(self, composition: str, address: str, *, ready: bool = True) -> datetime:
        """Put a short synthetic run there; returns when the last file of it was."""
        request = ToyMeltRequest(composition=composition, n_atoms=32, n_frames=80, source_format="outcar")
        outcar = generate(self._raw / composition, request) / "OUTCAR"
        for name, content in (("OUTCAR", outcar.read_bytes()), ("READY", b"")):
            if name == "OUTCAR" or ready:
                with file_system(address).open_output_stream(f"{address.removeprefix('s3://')}/{name}") as stream:
                    stream.write(content)
        return datetime.now(UTC)

    def finish(self, stack: EmbeddedStack) -> None:
        """Wait until nothing is due and nothing is running."""
        Progress(stack.api, is_due=lambda: any(stale(self.settings))).follow()

    def column(self, sql: str) -> list[Any]:
        return [next(iter(row.values())) for row in query(self.settings, sql)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        pytest.MonkeyPatch.context() as patch,
        s3_server() as server,
        postgresql() as database,
        StatsdServer() as statsd,
    ):
        use_store(patch, server)
        make_bucket(server, "melts")
        yield Site(tmp_path_factory.mktemp("home"), database, statsd)


def _runs(stack: EmbeddedStack, dag: str) -> list[dict[str, Any]]:
    return list(stack.api(f"dags/{dag}/dagRuns?order_by=start_date&limit=100")["dag_runs"])


def _wait_for_run(stack: EmbeddedStack, dag: str, n_runs: int) -> dict[str, Any]:
    deadline = time.monotonic() + 600  # one run of a DAG at a time: it may have to wait for the one before
    while len(found := [run for run in _runs(stack, dag) if run["start_date"]]) < n_runs:
        assert time.monotonic() < deadline, f"{dag} did not start"
        time.sleep(0.5)
    return found[-1]


def _push(stack: EmbeddedStack, entry: str) -> None:
    [asset] = [one for one in stack.api("assets?name_pattern=landing")["assets"] if one["name"] == "landing"]
    stack.api("assets/events", {"asset_id": asset["id"], "extra": {"payload": {"entries": [entry]}}}, method="POST")


def test_what_lands_in_a_bucket_becomes_a_potential_its_simulation_and_a_report(site: Site) -> None:
    with site.airflow() as stack:
        landed = site.upload("Al50Cu50", f"{site.settings.landing}/first")
        first = _wait_for_run(stack, "ingest", 1)
        site.finish(stack)
        states = {run["dag_run_id"]: run["state"] for dag in DAGS for run in _runs(stack, dag)}
    waited_s = (datetime.fromisoformat(first["start_date"]) - landed).total_seconds()
    print(f"landing to running DAG: {waited_s:.1f} s")
    assert waited_s < 10
    assert len(states) >= len(DAGS)
    assert set(states.values()) == {"success"}
    assert site.column("select composition from runs order by origin") == ["Al50Cu50", "Al50Cu50"]  # AIMD, and its twin
    assert len(site.column("select potential_id from potentials")) == 1
    assert (site.settings.home / "report" / "index.html").exists()
    assert list(stale(site.settings)) == []


def test_metrics_of_airflow_and_ours_were_told(site: Site) -> None:
    heard = site.statsd.heard
    assert heard["airflow.meltlake.landing.landed"] == "1|c"
    for verb in ("ingest", "observe", "train", "simulate", "publish", "report"):
        assert heard[f"airflow.meltlake.pods.ended.{verb}.0"] == "1|c"
        assert float(heard[f"airflow.meltlake.pods.ran.{verb}"].removesuffix("|ms")) > 0
    assert {name for name in heard if name.startswith("airflow.meltlake.pods.ended.") and name[-2:] != ".0"} == set()
    assert "airflow.dagrun.duration.success.train" in heard


def test_openlineage_was_told_what_read_and_wrote_what(site: Site) -> None:
    told = {job: (reads, writes) for kind, job, reads, writes in site.lineage() if kind == "COMPLETE"}
    lake = site.settings.lake
    assert f"{lake}/frames" in told["ingest.ingest"][1]
    assert f"{lake}/frames" in told["train.materialize"][0]
    assert f"{lake}/potentials" in told["train.train"][1]
    assert f"{lake}/potentials" in told["simulate.simulate"][0]
    assert f"file/{site.settings.warehouse}" in told["report.publish"][1]


def test_a_restart_forgets_nothing_and_repeats_nothing(site: Site) -> None:
    site.upload("Cu100", f"{site.settings.landing}/{NASTY}")
    site.upload("Al100", "s3://melts/elsewhere/pushed", ready=False)
    with site.airflow() as stack:
        before = len(_runs(stack, "ingest"))
        told = _wait_for_run(stack, "ingest", before + 1)
        events = stack.api(f"dags/ingest/dagRuns/{told['dag_run_id']}/upstreamAssetEvents")["asset_events"]
        _push(stack, "s3://melts/elsewhere/pushed")
        _wait_for_run(stack, "ingest", before + 2)
        while any(run["state"] != "success" for run in _runs(stack, "ingest")):
            assert not any(run["state"] == "failed" for run in _runs(stack, "ingest"))
            time.sleep(1)
    assert [event["extra"]["payload"]["entries"] for event in events] == [[NASTY]]
    sources = site.column("select source_uri from runs where origin = 'aimd'")
    assert len(sources) == len(set(sources))
    assert {"s3://melts/elsewhere/pushed/OUTCAR", f"{site.settings.landing}/{NASTY}/OUTCAR"} <= set(sources)
    assert site.column("select count(*) from task_failures where verb = 'ingest'") == [0]
