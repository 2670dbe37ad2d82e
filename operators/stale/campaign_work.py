"""What is due of a campaign, one kind of step at a time, for a scheduler that takes one after the other."""

from functools import cached_property

from operators.stale.holdings import Holdings, Row
from operators.stale.item import Stale
from operators.stale.potentials import WantedPotential, stale_potentials, wanted_potentials
from operators.stale.results import not_published, not_scored, not_simulated, potentials_of
from operators.stale.training_sets import current, stale_training_sets
from operators.stale.unmatched import unmatched
from operators.stale.wanted_sets import WantedSet, wanted_by_campaign
from schemas.settings import Settings


class CampaignWork:
    """One look at the lake beside `campaign.toml`, or beside its defaults where there is none."""

    def __init__(self, settings: Settings, *, holdings: Holdings | None = None) -> None:
        self._holdings = holdings or Holdings(settings)

    @cached_property
    def sets(self) -> list[WantedSet]:
        """One per group of runs with comparable energies, and those that leave one composition out of it."""
        return wanted_by_campaign(self._holdings)

    @cached_property
    def _ready(self) -> list[WantedSet]:
        """Those to train on and to simulate with; where the newest set is outdated, its group waits for the next."""
        return current(self._holdings, self.sets)

    @cached_property
    def newest_potentials(self) -> list[Row]:
        """The campaign's potentials on the newest training sets whose models are there."""
        return [row for one in self.sets for row in potentials_of(self._holdings, one)]

    def unmatched(self) -> list[str]:
        """What a person must know before believing that a composition is held out."""
        return list(unmatched(self._holdings.campaign, {run["composition"] for run in self._holdings.trainable}))

    def training_sets(self) -> list[Stale]:
        return list(stale_training_sets(self._holdings, self.sets))

    @cached_property
    def wanted_potentials(self) -> list[WantedPotential]:
        """Each recipe with each seed on each newest training set that is up to date."""
        return wanted_potentials(self._holdings, self._ready)

    def potentials(self) -> list[Stale]:
        return list(stale_potentials(self._holdings, self.wanted_potentials))

    def scores(self) -> list[Stale]:
        return list(not_scored(self._holdings, self.newest_potentials))

    def simulations(self) -> list[Stale]:
        return list(not_simulated(self._holdings, self._ready))

    def is_published(self) -> bool:
        """Whether the warehouse shows the lake as it is."""
        return not any(not_published(self._holdings))
