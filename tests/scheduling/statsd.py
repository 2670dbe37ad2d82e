"""A StatsD server that remembers the last value under each name."""

import socket
import threading
import time
from types import TracebackType
from typing import Self


class StatsdServer:
    """Listens on a free UDP port of the loopback address while the context lasts."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.port: int = self._socket.getsockname()[1]
        self.heard: dict[str, str] = {}
        self._is_open = True
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._is_open = False
        self._thread.join()
        self._socket.close()

    @property
    def environment(self) -> dict[str, str]:
        """What makes Airflow tell it, without the prefix AIRFLOW__."""
        return {
            "METRICS__STATSD_ON": "True",
            "METRICS__STATSD_HOST": "127.0.0.1",
            "METRICS__STATSD_PORT": str(self.port),
        }

    def wait(self, name: str) -> str:
        """Value and kind: `1|c` of a counter, `12.5|ms` of a time, `3|g` of a gauge."""
        deadline = time.monotonic() + 20
        while name not in self.heard:
            assert time.monotonic() < deadline, f"{name} was never told, but {sorted(self.heard)}"
            time.sleep(0.02)
        return self.heard[name]

    def _listen(self) -> None:
        while self._is_open:
            try:
                message = self._socket.recv(65536).decode()
            except TimeoutError:
                continue
            self.heard |= {name: value for name, _, value in (line.partition(":") for line in message.splitlines())}
