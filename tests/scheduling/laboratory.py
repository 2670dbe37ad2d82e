"""A running embedded stack as tests see it: its tasks, its pods, its processes, and ways to hurt them."""

import json
import os
import re
import shutil
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from operators.scheduling.leftovers import POD_MARK
from operators.scheduling.stack import EmbeddedStack
from operators.toy_melt import ToyMeltRequest, generate
from schemas.settings import Settings


class Laboratory:
    """One stack on one lake."""

    def __init__(self, stack: EmbeddedStack, settings: Settings, *, deferrable: bool) -> None:
        self.stack, self.settings, self.deferrable = stack, settings, deferrable
        self.resumed: list[Path] = []
        """Folders of trainings that were interrupted."""

    def land(self, name: str, composition: str, *, seed: int, n_frames: int = 60) -> datetime:
        """Put a run into the landing zone in one step; when that was."""
        aside = self.settings.home / "aside" / name
        generate(aside, ToyMeltRequest(composition=composition, n_atoms=64, n_frames=n_frames, seed=seed))
        landed = datetime.now(UTC)
        shutil.move(aside, Path(self.settings.landing) / name)
        return landed

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """Runs of a DAG, oldest first."""
        found = self.stack.api(f"dags/{dag}/dagRuns?limit=100&order_by=id")["dag_runs"]
        return list(found)

    def tasks(self, dag: str, task: str) -> list[dict[str, Any]]:
        """Instances of a task over all runs of the DAG."""
        found = self.stack.api(f"dags/{dag}/dagRuns/~/taskInstances?task_id={task}&limit=100")["task_instances"]
        return sorted(found, key=lambda one: (one["dag_run_id"], one["map_index"]))

    def pods(self, task: str) -> list[dict[str, Any]]:
        """Pods of a task that the cluster knows."""
        config = json.loads((self.stack.home / "kubeconfig").read_text())
        url = config["clusters"][0]["cluster"]["server"]
        request = urllib.request.Request(f"{url}/api/v1/namespaces/meltlake/pods?labelSelector=task_id%3D{task}")
        request.add_header("Authorization", f"Bearer {config['users'][0]['user']['token']}")
        with urllib.request.urlopen(request) as reply:
            found: list[dict[str, Any]] = json.load(reply)["items"]
        return found

    def phases(self, task: str) -> dict[str, str]:
        return {pod["metadata"]["name"]: pod["status"]["phase"] for pod in self.pods(task)}

    def processes_of_pods(self, uid: str = "") -> list[psutil.Process]:
        """Processes of the pod with this uid, or of all pods."""
        found = []
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                mark = process.environ().get(POD_MARK)
                if mark is not None and mark.startswith(uid):
                    found.append(process)
        return found

    def processes(self, pattern: str) -> list[psutil.Process]:
        """Processes of the stack whose command line matches."""
        found = []
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if re.search(pattern, " ".join(process.cmdline())):
                    found.append(process)
        return found

    def parts(self, name: str) -> list[psutil.Process]:
        """The program of Airflow of that name, without what it has forked."""
        return [found for found in self.processes(rf"airflow {name}$") if found.ppid() == os.getpid()]

    def healthy(self) -> bool:
        try:
            health = self.stack.api("monitor/health")
        except OSError:
            return False
        return all((health[part] or {}).get("status") == "healthy" for part in ("scheduler", "triggerer"))

    def pause(self, dag: str, *, paused: bool) -> None:
        self.stack.api(f"dags/{dag}", {"is_paused": paused}, method="PATCH")

    def trigger(self, dag: str) -> None:
        self.stack.api(f"dags/{dag}/dagRuns", {"logical_date": None})

    def mark_failed(self, task: dict[str, Any]) -> None:
        self.stack.api(_path(task), {"new_state": "failed"}, method="PATCH")

    def question(self, task: dict[str, Any]) -> str:
        """What a person is asked."""
        return str(self.stack.api(f"{_path(task)}/hitlDetails")["body"])

    def answer(self, task: dict[str, Any], option: str) -> None:
        self.stack.api(f"{_path(task)}/hitlDetails", {"chosen_options": [option], "params_input": {}}, method="PATCH")

    def clear(self, task: dict[str, Any]) -> None:
        """As Airflow's page does: with all that follows the task."""
        wanted = {"dry_run": False, "dag_run_id": task["dag_run_id"], "only_failed": False, "reset_dag_runs": True}
        wanted["include_downstream"] = True
        wanted["task_ids"] = [[task["task_id"], task["map_index"]]]
        self.stack.api(f"dags/{task['dag_id']}/clearTaskInstances", wanted)


def _path(task: dict[str, Any]) -> str:
    return f"dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/{task['map_index']}"


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """What the condition says as soon as it says something."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.5)
    return found
