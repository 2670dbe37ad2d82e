"""Whether a run has the temperature that it was asked for. Temperatures themselves are in `thermodynamics`."""

from dataclasses import dataclass

import numpy as np

from operators.physics.correlation import FEWEST_INDEPENDENT, n_independent
from operators.physics.thermodynamics import canonical_spread_k
from schemas.frames import Floats

_RUNAWAY_SIGMA = 6.0
_RUNAWAY_FACTOR = 1.5
"""Thermostats swing about their target before they settle."""


@dataclass(frozen=True, slots=True)
class TemperatureOffset:
    """How far the mean of a run is from its target; NaN where it cannot be told."""

    offset_k: float
    width_k: float
    """Standard deviation that the mean of so long a run has around its target."""

    @property
    def z(self) -> float:
        """Offset in widths."""
        return self.offset_k / self.width_k


def temperature_offset(temperatures_k: Floats, target_k: float, *, n_atoms: int) -> TemperatureOffset:
    """How far the mean temperature of a run at constant temperature is from its target, and how far it may be.

    The width has three parts: the canonical spread T sqrt(2/3N) of a frame (or that of the series, where it is larger)
    over the root of the number of independent values, and T/N, because codes count 3N or 3N - 3 degrees of freedom.

    Parameters
    ----------
    temperatures_k
        (n_frames,), K, in time order and equilibrated; what is not finite does not count.
    target_k
        One temperature; a ramp has none.
    n_atoms
        Of the cell.
    """
    known = temperatures_k[np.isfinite(temperatures_k)]
    if not len(known):
        return TemperatureOffset(np.nan, np.nan)
    offset = float(known.mean()) - target_k
    spread = max(canonical_spread_k(target_k, n_atoms=n_atoms), float(known.std()))
    worth = n_independent(temperatures_k)
    if not worth > FEWEST_INDEPENDENT:
        return TemperatureOffset(offset, np.nan)
    return TemperatureOffset(offset, float(np.hypot(spread / np.sqrt(worth), target_k / n_atoms)))


def runaway_temperature_k(target_k: float, *, n_atoms: int) -> float:
    """Temperature of a single frame beyond which a run has got out of hand.

    One and a half times what a frame of the canonical ensemble exceeds by six standard deviations' chance: 2 E_kin /
    (k_B T) is chi-squared with 3 (N - 1) degrees of freedom f, whose quantiles are f (1 - 2/(9f) + z sqrt(2/(9f)))^3
    (Wilson and Hilferty, PNAS 17, 684 (1931)).
    """
    width = 2 / (9 * 3 * max(n_atoms - 1, 1))
    return target_k * _RUNAWAY_FACTOR * float(1 - width + _RUNAWAY_SIGMA * np.sqrt(width)) ** 3
