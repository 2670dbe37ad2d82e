"""The GPUs of this machine as the local pod API hands them out. Processes and pods belong elsewhere."""

import asyncio
import os
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from schemas.errors import MeltlakeError


class Devices:
    """Devices that pods hold for as long as they run, first come, first served.

    A pod takes all its devices in one step: two pods that want two each never hold one each and wait for ever.

    Parameters
    ----------
    names
        One name per device. Real GPUs are named as CUDA counts them; virtual slots have names of their own.
    real
        The names may be exported as `CUDA_VISIBLE_DEVICES`.
    """

    def __init__(self, names: tuple[str, ...], *, real: bool) -> None:
        self.names = names
        self._real = real
        self._free = list(names)
        self._queue: deque[tuple[int, asyncio.Future[list[str]]]] = deque()

    @classmethod
    def of_this_machine(cls, environment: Mapping[str, str]) -> "Devices":
        """The GPUs that the launcher may use; without a GPU, one virtual slot per processor.

        The virtual slots let heavy pods queue on a laptop just as they would queue for GPUs.
        """
        visible = environment.get("CUDA_VISIBLE_DEVICES")
        gpus = sorted(Path("/dev").glob("nvidia[0-9]*"))
        if gpus and visible is not None:
            names = tuple(name.strip() for name in visible.split(",") if name.strip())
        else:
            names = tuple(str(number) for number in range(len(gpus)))
        if names:
            return cls(names, real=True)
        return cls(tuple(f"virtual-{slot}" for slot in range(os.cpu_count() or 1)), real=False)

    async def take(self, count: int) -> list[str]:
        """Wait until `count` devices are free and every earlier waiter is served, then hold them.

        Raises
        ------
        MeltlakeError
            If the machine has fewer devices than that, so that the wait would never end.
        """
        if count > len(self.names):
            raise MeltlakeError(
                f"A pod asks for {count} GPUs and this machine offers {len(self.names)}.",
                "Ask for fewer, or run the stack on a machine or a cluster with more.",
            )
        turn: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._queue.append((count, turn))
        self._serve()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._free.extend(turn.result())
            self._serve()
            raise

    def give_back(self, held: list[str]) -> None:
        """Free devices and serve whoever waits."""
        self._free.extend(held)
        self._serve()

    def environment(self, held: list[str]) -> dict[str, str]:
        """What a process must know about the devices that it holds; one that holds none sees none."""
        return {"CUDA_VISIBLE_DEVICES": ",".join(held)} if self._real else {}

    def _serve(self) -> None:
        while self._queue:
            count, turn = self._queue[0]
            if not turn.done():
                if count > len(self._free):
                    return
                self._free.sort(key=self.names.index)
                turn.set_result(self._free[:count])
                del self._free[:count]
            self._queue.popleft()
