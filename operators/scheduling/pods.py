"""The loopback pod API: the embedded stand-in for a Kubernetes cluster, with its token and its kubeconfig.

It runs any command it is asked to run, as the user who started it. Hence it listens on the loopback address only
and answers nobody without the random token of this start. What a pod does belongs in `local_pods`.
"""

import asyncio
import json
import os
import secrets
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from aiohttp import web

from operators.scheduling.leftovers import Ledger
from operators.scheduling.local_pods import LocalPods
from operators.scheduling.pod_devices import Devices
from operators.scheduling.pod_routes import application
from schemas.errors import MeltlakeError

LOOPBACK = "127.0.0.1"
_START_S = 30.0


class PodApi:
    """A server in a thread of its own; use it as a context manager, or `start` and `stop` it.

    Parameters
    ----------
    folder
        Pods' working folders and logs; whatever a previous launcher left there is ended and removed.
    devices
        What pods queue for; by default the GPUs of this machine, or virtual slots where there is none.
    environment
        The launcher's environment, of which pods see the settings; by default this process's.
    stop_grace_s
        How long pods may take to stop when the server stops.
    most_ended
        Pods that have ended are kept until Airflow deletes them or there are more of them than this.
    """

    def __init__(
        self,
        folder: Path,
        *,
        devices: Devices | None = None,
        environment: Mapping[str, str] | None = None,
        stop_grace_s: float = 20.0,
        most_ended: int = 500,
    ) -> None:
        self._folder = folder.absolute()
        self._environment = dict(os.environ if environment is None else environment)
        self._devices = devices or Devices.of_this_machine(self._environment)
        self._stop_grace_s = stop_grace_s
        self._most_ended = most_ended
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._stopping: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._pods: LocalPods | None = None
        self.token = secrets.token_urlsafe(32)
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> Self:
        """End what a previous launcher left, then listen on a free port.

        Raises
        ------
        MeltlakeError
            If the server does not come up.
        """
        Ledger(self._folder.with_suffix(".pids.json")).reap()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, mode=0o700)
        # The thread lives as long as its pods: the kernel ends them with the thread that started them.
        self._thread = threading.Thread(target=self._serve_until_stopped, name="pod-api", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_S) or self._failure is not None:
            raise MeltlakeError(
                f"The loopback pod API did not start: {self._failure or 'no answer in time'}.",
                f"See whether programs may listen on {LOOPBACK}, then start again.",
            )
        return self

    def drain(self) -> None:
        """Take no more pods and stop all within the grace; answers go on, so that Airflow sees how they ended."""
        if self._loop is not None and self._pods is not None:
            asyncio.run_coroutine_threadsafe(self._pods.stop_all(self._stop_grace_s), self._loop).result()

    def stop(self) -> None:
        """Stop every pod within the grace, then the server; nothing is left running."""
        if self._thread is None or self._loop is None or self._stopping is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = None

    def write_kubeconfig(self, path: Path) -> None:
        """Write the address and the token as a kubeconfig that only this user may read."""
        user, cluster = {"token": self.token}, {"server": self.url}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "local",
            "users": [{"name": "local", "user": user}],
            "clusters": [{"name": "local", "cluster": cluster}],
            "contexts": [{"name": "local", "context": {"cluster": "local", "user": "local", "namespace": "meltlake"}}],
        }
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(content, file)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serve_until_stopped(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._pods = pods = LocalPods(self._folder, self._devices, self._environment, most_ended=self._most_ended)
        # A worker that follows a silent pod asks anew every five minutes; what it asked before must not wait on.
        runner = web.AppRunner(
            application(pods, self.token), access_log=None, shutdown_timeout=1.0, handler_cancellation=True
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, LOOPBACK, 0)
            await site.start()
            self.port = runner.addresses[0][1]
            self._ready.set()
            await self._stopping.wait()
            await pods.stop_all(self._stop_grace_s)
        finally:
            await runner.cleanup()
