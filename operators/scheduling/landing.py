"""Tells Airflow which entries landed. What an entry is belongs in `landing_zone`, what is done with it in `dags`."""

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from airflow.configuration import conf
from airflow.observability.stats import Stats  # the triggerer's: that of `airflow.sdk` is switched on in tasks only
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from operators.scheduling.landing_zone import CURSOR_PARTS, LandingWatch, entries
from schemas.errors import MeltlakeError
from schemas.settings import Settings

_log = logging.getLogger(__name__)
_CURSOR = "landed-{}"
"""Airflow's store warns of values beyond 64 KiB: with sixteen of them, of more than some 87,000 entries."""
_REST = 9.0
"""A look at a zone with very many files may take longer than the time between looks: rest nine times as long."""
_PAUSE_AFTER_ERROR_S = 30.0
_QUIET_S, _POLL_S = 600.0, 5.0  # VASP may take minutes for one ionic step


class LandingTrigger(BaseEventTrigger):
    """Fires with the names of the entries that landed since it fired last; at least once for each.

    Nothing about the machine is stored in the DAG: the place comes from `MELTLAKE_LANDING` of the triggerer, the
    times from `[meltlake] quiet_seconds` and `poll_seconds`, when the trigger runs.
    """

    stored_after_s = 10.0
    """Airflow stores an event some seconds after it was yielded, and does not say when: the cursor waits that long."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, as Airflow stores them. The path is in databases: never rename it lightly."""
        return "operators.scheduling.landing.LandingTrigger", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for ever. The cursor is written when an event is stored: a crash repeats it rather than loses it."""
        zone = Settings.from_mapping(os.environ).landing
        watch = LandingWatch(conf.getfloat("meltlake", "quiet_seconds", fallback=_QUIET_S))
        store = self.asset_state_store
        if store is not None:
            for part in CURSOR_PARTS:
                watch.recall(str(await store.aget(_CURSOR.format(part), "")))
        unwritten: deque[tuple[float, dict[str, str]]] = deque()
        poll_s = conf.getfloat("meltlake", "poll_seconds", fallback=_POLL_S)
        while True:
            began = time.monotonic()
            try:
                found = await asyncio.to_thread(entries, zone)
                landed = watch.look(found, began)
            except Exception as error:  # noqa: BLE001 - a trigger that raises is restarted at once, for ever
                _log.error("%s", error, exc_info=not isinstance(error, MeltlakeError))
                await asyncio.sleep(_PAUSE_AFTER_ERROR_S)
                continue
            look_s = time.monotonic() - began
            Stats.gauge("meltlake.landing.entries", len(found))
            Stats.timing("meltlake.landing.look", look_s * 1e3)
            if landed:
                Stats.incr("meltlake.landing.landed", len(landed))
                yield TriggerEvent({"entries": landed})  # type: ignore[no-untyped-call]
            unwritten.append((time.monotonic() + self.stored_after_s, watch.advance()))
            while store is not None and unwritten and unwritten[0][0] <= time.monotonic():
                for part, told in unwritten.popleft()[1].items():
                    await store.aset(_CURSOR.format(part), told)
            await asyncio.sleep(max(poll_s, _REST * look_s))
