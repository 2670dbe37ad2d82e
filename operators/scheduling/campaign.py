"""What a lab wants trained and simulated: `campaign.toml` beside the lake. How it is run belongs elsewhere."""

import tomllib
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.errors import MeltlakeError
from schemas.settings import Settings


class Campaign(BaseModel):
    """The choices that data cannot make. Every one has a default, so that a lake without the file works."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipes: tuple[str, ...] = ("DP-small",)
    hold_out: tuple[str, ...] = ()
    """Compositions that are never trained on."""
    split: Literal["blocks", "random"] = "blocks"
    test_fraction: float = 0.25
    seeds: tuple[int, ...] = (1,)
    steps: int | None = None
    """Training steps instead of the recipe's own."""
    protocols: tuple[Literal["twin", "nvt", "npt", "performance"], ...] = ("twin",)
    simulation_steps: int | None = None
    """Steps of a simulation instead of the protocol's own."""
    temperature_k: float | None = None
    """Temperature of simulations that have no AIMD run to take it from."""


def campaign_of(settings: Settings) -> Campaign:
    """The campaign beside the lake, or the defaults where there is none.

    Raises
    ------
    MeltlakeError
        If the file is not TOML or says something that is not known.
    """
    path = settings.home / "campaign.toml"
    if not path.exists():
        return Campaign()
    try:
        return Campaign.model_validate(tomllib.loads(path.read_text()))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        known = ", ".join(Campaign.model_fields)
        raise MeltlakeError(f"{path}: {' '.join(str(error).split())}", f"Known settings are: {known}.") from error
