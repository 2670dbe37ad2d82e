"""One container of a pod as a group of local processes. Pods, devices and HTTP belong elsewhere."""

import asyncio
import os
import signal
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from operators.scheduling.leftovers import (
    POD_MARK,
    Ledger,
    ask_for_signal_at_launchers_death,
    end_processes,
    marked_processes,
)
from operators.scheduling.pod_logs import PodLog
from operators.scheduling.pod_manifest import expanded

_CANNOT_START = 127
_MESSAGE_LINES, _MESSAGE_BYTES = 80, 2048  # what Kubernetes keeps of a failed container's log
_LAST_OUTPUT_S = 5.0


def now() -> str:
    """The time as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def end_with_launcher() -> None:
    """In the child: nothing outlives a launcher that was killed with -9."""
    ask_for_signal_at_launchers_death(signal.SIGTERM)


class ContainerProcess:
    """Runs one command line to its end and keeps its state in Kubernetes' words.

    Parameters
    ----------
    spec
        The container of the pod's manifest.
    folder
        Working folder; the log is written beside it.
    environment
        The process's environment, but for the devices that `run` is told.
    ledger
        Where the process is noted while it lives.
    """

    def __init__(self, spec: dict[str, Any], folder: Path, environment: dict[str, str], ledger: Ledger) -> None:
        self._spec = spec
        self._folder = folder
        self._environment = environment
        self._ledger = ledger
        self._process: asyncio.subprocess.Process | None = None
        self._early: signal.Signals | None = None
        self.log = PodLog(folder.with_name(f"{folder.name}.{spec['name']}.log"))
        self.exit_code: int | None = None
        self.state: dict[str, Any] = {"waiting": {"reason": "ContainerCreating"}}

    @property
    def name(self) -> str:
        return str(self._spec["name"])

    @property
    def started(self) -> bool:
        """The process exists or existed, so that its log can be read."""
        return "waiting" not in self.state

    @property
    def status(self) -> dict[str, Any]:
        """The entry of `status.containerStatuses`."""
        described = str(self._spec.get("image", ""))
        return {
            "name": self.name,
            "image": described,
            "imageID": "",
            "ready": "running" in self.state,
            "restartCount": 0,
            "state": self.state,
        }

    async def run(self, devices: dict[str, str]) -> None:
        """Start the command, keep its log, wait for its end and for that of everything that it started."""
        words = [*(self._spec.get("command") or []), *(self._spec.get("args") or [])]
        command = [expanded(word, self._environment) for word in words]
        began = now()
        reading, writing = os.pipe()  # of our own: asyncio's would delay `wait` until every heir of it has closed it
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                cwd=self._folder,
                env=self._environment | devices,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with_launcher,
            )
        except (OSError, TypeError, ValueError) as error:  # no such command, none at all, or one with a zero byte
            os.close(reading)
            self.log.write(f"cannot start {command}: {error}\n".encode())
            self._finish(_CANNOT_START, reason="StartError", began=began)
            return
        finally:
            os.close(writing)
        self._ledger.add(self._process.pid)
        self.state = {"running": {"startedAt": began}}
        if self._early is not None:
            self.send(self._early)
        copying = asyncio.create_task(self._copy_output(reading))
        code = await self._process.wait()
        await self._end_the_rest(self._process.pid)
        with suppress(TimeoutError):
            await asyncio.wait_for(copying, _LAST_OUTPUT_S)
        self._ledger.remove(self._process.pid)
        self._finish(code if code >= 0 else 128 - code, reason="Completed" if code == 0 else "Error", began=began)

    def send(self, number: signal.Signals) -> None:
        """Signal the process group, if there still is one; a process that is being started gets it when it is there."""
        if self._process is None:
            self._early = number
        elif self.exit_code is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def _copy_output(self, descriptor: int) -> None:
        output = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(output), os.fdopen(descriptor, "rb", buffering=0)
        )
        with closing(transport):
            while content := await output.read(1 << 16):
                self.log.write(content)

    async def _end_the_rest(self, pid: int) -> None:
        """As in a container, nothing survives the first process; a program may have opened a session of its own."""
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        stray = await asyncio.to_thread(marked_processes, self._environment[POD_MARK])
        if stray:
            await asyncio.to_thread(end_processes, stray, grace_s=2.0)

    def _finish(self, code: int, *, reason: str, began: str) -> None:
        self.exit_code = code
        self.log.close()
        ended = {"exitCode": code, "reason": reason, "startedAt": began, "finishedAt": now()}
        if code != 0 and self._spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            ended["message"] = self.log.tail(_MESSAGE_LINES, _MESSAGE_BYTES)
        self.state = {"terminated": ended}
