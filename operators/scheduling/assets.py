"""What DAGs tell each other. Each asset is a promise about the lake; the data itself stays there.

An event with a partition key reaches partitioned consumers only, one without a key only plain ones. Hence `frames`
(per composition) and `aimd` (plain) are two assets, although the same commit moves both.
"""

from airflow.sdk import Asset, AssetWatcher

from operators.scheduling.landing import LandingTrigger

landing = Asset("landing", group="meltlake", watchers=[AssetWatcher(name="landing", trigger=LandingTrigger())])
"""Files arrived in the landing zone."""

frames = Asset("frames", group="meltlake")
"""AIMD frames of one composition changed; the partition key is the composition."""

aimd = Asset("aimd", group="meltlake")
"""AIMD frames changed, so that training sets may have."""

potentials = Asset("potentials", group="meltlake")
"""Potentials were trained."""

catalog = Asset("catalog", group="meltlake")
"""Some table of the lake changed, so that warehouse and report may be stale."""
