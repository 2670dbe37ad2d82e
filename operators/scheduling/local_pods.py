"""Pods as local processes: created, found, patched, stopped and forgotten. HTTP belongs in `pod_routes`.

This runs processes; it isolates nothing. Volumes, users, security contexts and memory limits of a manifest are not
applied, and references to config maps and secrets are not looked up: settings come from the launcher's environment.
"""

import asyncio
import shutil
import signal
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from operators.scheduling.leftovers import POD_MARK, Ledger
from operators.scheduling.pod_devices import Devices
from operators.scheduling.pod_environment import settings_of
from operators.scheduling.pod_manifest import Refusal, check, check_metadata, merged, n_gpus
from operators.scheduling.pod_process import ContainerProcess, now

_DEFAULT_GRACE_S = 30.0
_CHANGEABLE = ("labels", "annotations")
_SEEN = "already_checked"  # Airflow's label of a pod whose end it has dealt with


class Pod:
    """One pod: its manifest, its processes, its status."""

    def __init__(self, manifest: dict[str, Any], containers: list[ContainerProcess]) -> None:
        self.manifest = manifest
        self.containers = containers
        self.life: asyncio.Task[None] | None = None
        self._started: str | None = None
        self._ended = False
        self._reason: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        metadata = self.manifest["metadata"]
        return metadata["namespace"], metadata["name"]

    @property
    def labels(self) -> dict[str, str]:
        return self.manifest["metadata"].get("labels") or {}

    @property
    def n_gpus(self) -> int:
        """GPUs that all its containers ask for together."""
        return n_gpus(self.manifest["spec"])

    @property
    def queued(self) -> bool:
        return self._started is None and not self._ended

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    def phase(self) -> str:
        if self._ended:
            return "Succeeded" if all(container.exit_code == 0 for container in self.containers) else "Failed"
        return "Pending" if self._started is None else "Running"

    def as_json(self) -> dict[str, Any]:
        """The object as the API gives it. A queued pod has no PodScheduled condition: it waits for a GPU."""
        status: dict[str, Any] = {"phase": self.phase}
        if self._started is not None:
            status |= {
                "startTime": self._started,
                "conditions": [{"type": "PodScheduled", "status": "True"}],
                "containerStatuses": [container.status for container in self.containers],
            }
        if self._reason is not None:
            status["reason"] = self._reason
        return self.manifest | {"status": status}

    async def live(self, devices: Devices) -> None:
        """Wait for devices, run every container, give the devices back."""
        held = await devices.take(self.n_gpus)
        try:
            self._started = now()
            await self._run(devices.environment(held))
        finally:
            devices.give_back(held)
            self._ended = True

    async def stop(self, grace_s: float) -> None:
        """SIGTERM to the process groups, SIGKILL after the grace; a queued pod leaves the queue at once."""
        if self.life is None or self.life.done():
            return
        if self.queued:
            self.life.cancel()
        else:
            self._send(signal.SIGTERM)
            await asyncio.wait([self.life], timeout=grace_s)
            self._send(signal.SIGKILL)
        await asyncio.wait([self.life])

    async def _run(self, environment: dict[str, str]) -> None:
        running = [asyncio.create_task(container.run(environment)) for container in self.containers]
        _, late = await asyncio.wait(running, timeout=self.manifest["spec"].get("activeDeadlineSeconds"))
        if late:
            self._reason = "DeadlineExceeded"
            self._send(signal.SIGTERM)
            _, deaf = await asyncio.wait(late, timeout=grace_of(self.manifest))
            if deaf:
                self._send(signal.SIGKILL)
        await asyncio.gather(*running)

    def _send(self, number: signal.Signals) -> None:
        for container in self.containers:
            container.send(number)


class LocalPods:
    """All pods of this machine, in a folder of their own.

    Parameters
    ----------
    folder
        Working folders and logs, one per pod, until the pod is deleted.
    devices
        What pods queue for.
    environment
        The launcher's; pods see the part of it that holds settings and no secrets of the scheduler.
    most_ended
        Pods that have ended are kept until they are deleted, or until there are more of them than this.
    """

    def __init__(
        self, folder: Path, devices: Devices, environment: Mapping[str, str], *, most_ended: int = 500
    ) -> None:
        self._folder = folder
        self._most_ended = most_ended
        self._devices = devices
        self._environment = settings_of(environment)
        self._pods: dict[tuple[str, str], Pod] = {}
        self._version = 0
        self._going: set[asyncio.Task[None]] = set()
        self._draining = False
        self._ledger = Ledger(folder.with_suffix(".pids.json"))

    def create(self, namespace: str, manifest: dict[str, Any]) -> Pod:
        """Accept a pod and start it as soon as its devices are free."""
        if self._draining:
            raise Refusal(503, "ServiceUnavailable", "the stack is stopping")
        check(manifest)
        metadata = manifest["metadata"] = manifest.get("metadata") or {}
        if not metadata.get("name"):
            metadata["name"] = f"{metadata.get('generateName') or 'pod-'}{uuid.uuid4().hex[:8]}"
        key = (namespace, metadata["name"])
        if key in self._pods:
            raise Refusal(409, "AlreadyExists", f'pods "{key[1]}" already exists')
        if (asked := n_gpus(manifest["spec"])) > (offered := len(self._devices.names)):
            raise Refusal(403, "Forbidden", f'pod "{key[1]}" asks for {asked} GPUs; this machine has {offered}')
        metadata |= {"namespace": namespace, "uid": str(uuid.uuid4()), "creationTimestamp": now()}
        self._collect_garbage()
        pod = Pod(manifest, self._containers(manifest))
        self._pods[key] = pod
        self._touch(pod)
        pod.life = asyncio.create_task(pod.live(self._devices))
        return pod

    def find(self, namespace: str, name: str) -> Pod:
        """The pod of that name, or a refusal with 404."""
        try:
            return self._pods[namespace, name]
        except KeyError:
            raise Refusal(404, "NotFound", f'pods "{name}" not found') from None

    def listed(self, namespace: str | None, wanted: Callable[[dict[str, str]], bool]) -> list[Pod]:
        """Pods of a namespace (or of all) whose labels are wanted."""
        return [pod for key, pod in self._pods.items() if namespace in (None, key[0]) and wanted(pod.labels)]

    def patch(self, pod: Pod, change: dict[str, Any]) -> Pod:
        """Apply a JSON merge patch (RFC 7386) to labels and annotations; nothing else of a pod can be changed."""
        wanted = change.get("metadata") or {}
        if change.get("spec") or not isinstance(wanted, dict):
            raise Refusal(422, "Invalid", "a pod's labels and annotations can be changed, and nothing else")
        metadata = merged(pod.manifest["metadata"], {name: wanted[name] for name in _CHANGEABLE if name in wanted})
        check_metadata(metadata)
        pod.manifest["metadata"] = metadata
        self._touch(pod)
        return pod

    def delete(self, pod: Pod, grace_s: float) -> None:
        """Answer at once, stop in the background, forget the pod when its processes are gone."""
        pod.manifest["metadata"] |= {"deletionTimestamp": now(), "deletionGracePeriodSeconds": int(grace_s)}
        self._touch(pod)
        if pod.queued or pod.ended:
            self._forget(pod)
        going = asyncio.create_task(self._stop_and_forget(pod, grace_s))
        self._going.add(going)
        going.add_done_callback(self._going.discard)

    async def stop_all(self, grace_s: float) -> None:
        """Take no more pods and stop all, each with its own grace but none longer than `grace_s`."""
        self._draining = True
        pods = list(self._pods.values())
        await asyncio.gather(*(pod.stop(min(grace_s, grace_of(pod.manifest))) for pod in pods))
        if self._going:
            await asyncio.wait(self._going, timeout=grace_s)

    async def _stop_and_forget(self, pod: Pod, grace_s: float) -> None:
        await pod.stop(grace_s)
        self._forget(pod)

    def _forget(self, pod: Pod) -> None:
        if self._pods.get(pod.key) is pod:
            del self._pods[pod.key]
        uid = pod.manifest["metadata"]["uid"]
        shutil.rmtree(self._folder / uid, ignore_errors=True)
        for container in pod.containers:
            with suppress(OSError):
                (self._folder / f"{uid}.{container.name}.log").unlink()

    def _collect_garbage(self) -> None:
        """As a cluster does: of too many pods that have ended, the oldest are forgotten, those first that were seen."""
        ended = [pod for pod in self._pods.values() if pod.ended]
        seen_first = sorted(ended, key=lambda pod: pod.labels.get(_SEEN) != "True")
        for pod in seen_first[: max(0, len(ended) - self._most_ended)]:
            self._forget(pod)

    def _touch(self, pod: Pod) -> None:
        self._version += 1
        pod.manifest["metadata"]["resourceVersion"] = str(self._version)

    def _containers(self, manifest: dict[str, Any]) -> list[ContainerProcess]:
        uid = manifest["metadata"]["uid"]
        folder = self._folder / uid
        folder.mkdir(parents=True)
        containers = []
        for spec in manifest["spec"]["containers"]:
            given = {entry["name"]: str(entry.get("value") or "") for entry in spec.get("env") or []}
            environment = self._environment | given | {POD_MARK: f"{uid}/{spec['name']}"}
            containers.append(ContainerProcess(spec, folder, environment, self._ledger))
        return containers


def grace_of(manifest: dict[str, Any]) -> float:
    """Seconds between SIGTERM and SIGKILL when a request does not say."""
    given = manifest["spec"].get("terminationGracePeriodSeconds")
    return _DEFAULT_GRACE_S if given is None else float(given)
