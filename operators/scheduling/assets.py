"""What DAGs tell each other. Each asset is a promise about the lake; the data itself stays there.

An event with a partition key reaches partitioned consumers only, one without a key only plain ones. Hence `frames`
(per composition) and `aimd` (plain) are two assets, although the same commit moves both.
"""

from collections.abc import Iterable
from typing import Any

from airflow.sdk import Asset, AssetWatcher

from operators.log import log
from operators.scheduling.landing import LandingTrigger

landing = Asset("landing", group="meltlake", watchers=[AssetWatcher(name="landing", trigger=LandingTrigger())])
"""Files arrived in the landing zone; `landed` reads its events."""

frames = Asset("frames", group="meltlake")
"""AIMD frames of one composition changed; the partition key is the composition."""

aimd = Asset("aimd", group="meltlake")
"""AIMD frames changed, so that training sets may have."""

potentials = Asset("potentials", group="meltlake")
"""Potentials were trained."""

catalog = Asset("catalog", group="meltlake")
"""Some table of the lake changed, so that warehouse and report may be stale."""


def landed(events: Iterable[Any]) -> list[str]:
    """Names of entries that events of `landing` tell of; a pushed one that tells nothing costs no other."""
    names: list[str] = []
    for event in events:
        payload = (event.extra or {}).get("payload")
        told = payload.get("entries") if isinstance(payload, dict) else None
        if isinstance(told, list) and all(isinstance(name, str) for name in told):
            names += told
        else:
            log.warning("ingest", ignored="an event without a list of entries", payload=payload)
    return names
