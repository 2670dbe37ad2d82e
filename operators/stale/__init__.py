"""What is due and why: told by the content of the lake beside what a campaign, or a person before, asked for.

It reads. `status` shows it and Airflow's plans type its commands, so that both always mean the same.
"""

from collections.abc import Iterator
from itertools import chain

from operators.stale.holdings import Holdings
from operators.stale.item import Stale
from operators.stale.potentials import stale_potentials, wanted_potentials
from operators.stale.results import not_published, not_scored, not_simulated
from operators.stale.runs import not_ingested, not_judged, not_observed
from operators.stale.training_sets import current, stale_training_sets
from operators.stale.wanted_sets import WantedSet, never_frozen, wanted_by_campaign, wanted_by_hand
from schemas.settings import Settings

__all__ = ["Stale", "stale"]


def stale(settings: Settings, *, holdings: Holdings | None = None) -> Iterator[Stale]:
    """Every step that is due, in the order in which to take them; by a look at the lake that was taken already."""
    holdings = holdings or Holdings(settings)
    yield from not_ingested(holdings)
    yield from not_judged(holdings)
    yield from not_observed(holdings)
    wanted = _wanted(holdings)
    yield from stale_training_sets(holdings, chain(wanted, _new(holdings, wanted)))
    ready = current(holdings, wanted)
    yield from _never_trained(holdings, ready)
    yield from stale_potentials(holdings, wanted_potentials(holdings, ready))
    newest = {one.newest["training_set_id"] for one in wanted if one.newest is not None}
    yield from not_scored(holdings, [row for row in holdings.potentials if row["training_set_id"] in newest])
    yield from not_simulated(holdings, ready)
    yield from not_published(holdings)


def _wanted(holdings: Holdings) -> list[WantedSet]:
    by_hand = wanted_by_hand(holdings)
    return [*wanted_by_campaign(holdings), *by_hand] if holdings.campaign.chooses_training else by_hand


def _new(holdings: Holdings, wanted: list[WantedSet]) -> list[WantedSet]:
    return [] if holdings.campaign.chooses_training else never_frozen(holdings, wanted)


def _never_trained(holdings: Holdings, ready: list[WantedSet]) -> Iterator[Stale]:
    """Sets that were frozen by hand and that nobody trained on: which recipe is for a person to say."""
    trained = {row["training_set_id"] for row in holdings.potentials}
    for one in ready:
        if not one.by_campaign and one.newest and not any(made["training_set_id"] in trained for made in one.frozen):
            name = one.newest["training_set_id"]
            yield Stale(f"training set {name}", "no potential was trained on it", ["train", name, "--recipe", "DP-2"])
