"""Tells Airflow which entries landed. What an entry is belongs in `landing_zone`, what is done with it in `dags`."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.configuration import conf
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from operators.scheduling.landing_zone import LandingWatch, entries
from schemas.settings import Settings

_log = logging.getLogger(__name__)
_CURSOR = "landed"
_PAUSE_AFTER_ERROR_S = 30.0
_QUIET_S, _POLL_S = 600.0, 30.0  # VASP may take minutes for one ionic step


class LandingTrigger(BaseEventTrigger):
    """Fires with the names of the entries that landed since it fired last; at least once for each.

    Nothing about the machine is stored in the DAG: the place comes from `MELTLAKE_LANDING` of the triggerer, the
    times from `[meltlake] quiet_seconds` and `poll_seconds`, when the trigger runs.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, as Airflow stores them. The path is in databases: never rename it lightly."""
        return "operators.scheduling.landing.LandingTrigger", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for ever. The cursor is written after the event, so that a crash repeats rather than loses one."""
        zone = Settings.from_mapping(os.environ).landing
        watch = LandingWatch(conf.getfloat("meltlake", "quiet_seconds", fallback=_QUIET_S))
        watch.cursor = str(await self.asset_state_store.aget(_CURSOR, "")) if self.asset_state_store else ""
        poll_s = conf.getfloat("meltlake", "poll_seconds", fallback=_POLL_S)
        while True:
            try:
                landed = watch.look(await asyncio.to_thread(entries, zone), time.monotonic())
            except Exception:  # noqa: BLE001 - a trigger that raises is restarted at once, for ever
                _log.exception("landing zone %s cannot be read", zone)
                await asyncio.sleep(_PAUSE_AFTER_ERROR_S)
                continue
            if landed:
                yield TriggerEvent({"entries": landed})  # type: ignore[no-untyped-call]
            if watch.advance() and self.asset_state_store:
                await self.asset_state_store.aset(_CURSOR, watch.cursor)
            await asyncio.sleep(poll_s)
