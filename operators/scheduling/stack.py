"""The embedded stack: Airflow and the loopback pod API on this machine, started and stopped as one.

How Airflow is configured belongs in `airflow_environment`, what a pod does in `local_pods`.
"""

import fcntl
import json
import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import IO, Any, Self

from operators.log import log
from operators.scheduling.airflow_environment import LOOPBACK, airflow_environment, deploy_folder, prepare_home
from operators.scheduling.airflow_parts import AirflowParts
from operators.scheduling.leftovers import Guard, Ledger
from operators.scheduling.pods import PodApi
from schemas.errors import MeltlakeError
from schemas.settings import Settings

_USUAL_PORT = 8080
_START_S = 600.0
_PAUSES_S = (1, 2, 4, 8, 16)
"""While all parts of Airflow start at once on a busy machine, SQLite may stay locked for longer than it waits."""

_HEALTH = ("metadatabase", "scheduler", "dag_processor", "triggerer")


def _keep_quiet(_answer: dict[str, object]) -> None:
    """For who does not want to be told."""


def up(settings: Settings, *, port: int | None = None, tell: Callable[[dict[str, object]], None] = _keep_quiet) -> None:
    """Run the embedded stack until Ctrl-C, SIGTERM or SIGHUP, or until Airflow ends by itself.

    Parameters
    ----------
    settings
        Where the lake is.
    port
        Of the user interface; by default 8080, or a free one where that is taken.
    tell
        Gets, once, where things are: as soon as Airflow answers, or when it was stopped before.

    Raises
    ------
    MeltlakeError
        If the stack runs already, cannot start, or ends by itself.
    """
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: asked.set())
    with EmbeddedStack(settings, port=port, give_up=asked) as stack:
        landing = settings.environment["MELTLAKE_LANDING"]
        tell({"url": None if asked.is_set() else stack.url, "landing": landing, "pid": os.getpid()})
        if not asked.is_set():
            log.info("up", url=stack.url, landing=landing, stop="Ctrl-C")
        while stack.is_running and not asked.wait(1.0):
            pass
        if not asked.is_set():
            raise stack.failure("ended by itself")


class EmbeddedStack:
    """Airflow with its pods as local processes; a context manager.

    Parameters
    ----------
    settings
        Where the lake is; the stack keeps its own files in `airflow` beside it.
    port
        Of the user interface; by default 8080, or a free one where that is taken.
    give_up
        When set, waiting for Airflow ends early.
    airflow
        Settings of Airflow that win over the stack's own, without the prefix `AIRFLOW__`.
    kubeconfig
        Of a cluster that runs the pods instead of this machine.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        port: int | None = None,
        give_up: threading.Event | None = None,
        airflow: Mapping[str, str] | None = None,
        kubeconfig: Path | None = None,
    ) -> None:
        self.home = (settings.home / "airflow").absolute()
        self._settings = settings
        self._wanted_port = port
        self._give_up = give_up or threading.Event()
        self._airflow = airflow or {}
        self._kubeconfig = kubeconfig
        self._parts: AirflowParts | None = None
        self._open = ExitStack()
        self._token: str | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def is_running(self) -> bool:
        """All parts of Airflow run, or are being started again."""
        return self._parts is not None and self._parts.are_running

    def start(self) -> Self:
        """End what a killed stack left behind, start pods' API and Airflow, and wait until all parts are healthy.

        Raises
        ------
        MeltlakeError
            If a stack runs here already, the port is taken, or Airflow does not become healthy.
        """
        prepare_home(self.home)
        if "://" not in self._settings.landing:
            Path(self._settings.landing).mkdir(parents=True, exist_ok=True)
        lock = self._open.enter_context((self.home / "up.lock").open("a+"))
        try:
            self._lock(lock)
            ledger = Ledger(self.home / "up.pids.json")
            if n_left := ledger.reap():
                log.info("up", ended_leftovers=n_left)
            self._start(ledger)
            lock.truncate(0)
            lock.write(self.url)
            lock.flush()
            self._wait_until_healthy()
            self._import_pools()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop pods, then Airflow, then the pods' API, each also if another cannot be; nothing is left running."""
        self._open.close()

    def api(self, path: str, payload: Mapping[str, Any] | None = None, *, method: str | None = None) -> Any:
        """Answer of Airflow's REST API (`/api/v2/` + path); with a payload, a POST unless said otherwise."""
        return _request(f"{self.url}/api/v2/{path}", payload, method=method, token=self.token())

    def token(self) -> str:
        """A token for Airflow's REST API, fetched once; without logins, everybody on this machine gets one."""
        if self._token is None:
            self._token = str(_request(f"{self.url}/auth/token", None, method="GET", token=None)["access_token"])
        return self._token

    def failure(self, what: str) -> MeltlakeError:
        """What went wrong, with the last lines of Airflow's log."""
        path = self._parts.log_path if self._parts is not None else self.home
        lines = path.read_text(errors="replace").splitlines()[-8:] if path.is_file() else []
        return MeltlakeError(f"Airflow {what}: {' / '.join(lines)}", f"Read {path}, then start it again.")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _lock(self, lock: IO[str]) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise MeltlakeError(
                f"A stack runs already on {self.home.parent}: {lock.read() or 'it is starting'}.",
                "Use that one, or stop it first.",
            ) from None

    def _start(self, ledger: Ledger) -> None:
        base = {**os.environ, **self._settings.environment}
        self._open.callback(Guard(self.home / "up.pids.json", self.home / "pods.pids.json").stop)
        pods = PodApi(self.home / "pods", environment=base) if self._kubeconfig is None else None
        if pods is not None:
            self._open.callback(pods.start().stop)
            pods.write_kubeconfig(self.home / "kubeconfig")
        self.port = free_port(self._wanted_port)
        ports = {"api": self.port, "worker_log": free_port(0), "trigger_log": free_port(0)}
        environment = airflow_environment(
            self._settings, self.home, ports=ports, base=base, wins=self._airflow, kubeconfig=self._kubeconfig
        )
        self._parts = AirflowParts(environment, self.home, ledger)
        self._open.callback(self._parts.stop)
        if pods is not None:
            self._open.callback(pods.drain)  # first of all, and its answers go on, so that Airflow sees how they ended
        self._parts.start()

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + _START_S
        while self.is_running and time.monotonic() < deadline and not self._give_up.is_set():
            with suppress(OSError, ValueError):
                health = _request(f"{self.url}/api/v2/monitor/health", None, method="GET", token=None)
                if all((health.get(part) or {}).get("status") == "healthy" for part in _HEALTH):
                    return
            self._give_up.wait(0.3)
        if not self._give_up.is_set():
            raise self.failure("did not become healthy" if self.is_running else "ended while starting")

    def _import_pools(self) -> None:
        if self._give_up.is_set():
            return
        pools = json.loads((deploy_folder() / "pools.json").read_text())
        entities = [{"name": name} | about for name, about in pools.items()]
        action = {"action": "create", "action_on_existence": "overwrite", "entities": entities}
        for pause_s in _PAUSES_S:
            with suppress(OSError):
                self.api("pools", {"actions": [action]}, method="PATCH")
                return
            self._give_up.wait(pause_s)
        self.api("pools", {"actions": [action]}, method="PATCH")


def free_port(wanted: int | None) -> int:
    """The wanted port, or a free one for 0; without a wish the usual one if it is free.

    Raises
    ------
    MeltlakeError
        If the wanted port is taken.
    """
    for candidate in (_USUAL_PORT, 0) if wanted is None else (wanted,):
        with closing(socket.socket()) as tried, suppress(OSError):
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((LOOPBACK, candidate))
            return int(tried.getsockname()[1])
    raise MeltlakeError(f"Port {wanted} is taken.", "Choose another with --port, or none for a free one.")


def _request(url: str, payload: Mapping[str, Any] | None, *, method: str | None, token: str | None) -> Any:
    content = None if payload is None or method == "GET" else json.dumps(payload).encode()
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, data=content, headers=headers, method=method)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
            return json.load(reply) if reply.status != 204 else {}
    except urllib.error.HTTPError as error:
        detail = error.read().decode(errors="replace")
        raise OSError(f"{request.method} {url}: {error.code} {detail[:500]}") from error
