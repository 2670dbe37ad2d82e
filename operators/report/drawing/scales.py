"""From values to places along an axis, and the values that are worth a tick."""

from dataclasses import dataclass
from math import ceil, floor, log10

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
_A_FEW_TIMES = 200
_MARGIN = 0.04
_BELOW_ZERO = 0.25
"""Of the margin: a hundredth of the axis."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A stretch of an axis."""

    low: float
    high: float
    logarithmic: bool = False

    def share(self, values: Floats) -> Floats:
        """*(n)* Where on the axis values are: 0 at its low end, 1 at its high end."""
        if self.logarithmic:
            return np.asarray(np.log(values / self.low) / np.log(self.high / self.low))
        return np.asarray((values - self.low) / (self.high - self.low))

    def ticks(self, about: int) -> list[tuple[float, str]]:
        """Round values on the axis with their texts, about that many."""
        return self._decades() if self.logarithmic else self._steps(about)

    def _steps(self, about: int) -> list[tuple[float, str]]:
        raw = (self.high - self.low) / about
        power = 10.0 ** floor(log10(raw))
        step = power * next(factor for factor in _ROUND if factor * power >= raw * (1 - 1e-9))
        decimals = next(places for places in range(20) if abs(round(step, places) - step) < 1e-6 * step)
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [(k * step, f"{k * step or 0:,.{decimals}f}".replace("-", "−")) for k in range(first, last + 1)]

    def _decades(self) -> list[tuple[float, str]]:
        factors = (1, 2, 5) if self.high / self.low < _A_FEW_TIMES else (1,)
        powers = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
        values = [factor * 10.0**power for power in powers for factor in factors]
        inside = [value for value in values if self.low <= value * (1 + 1e-9) and value <= self.high * (1 + 1e-9)]
        return [(value, f"{value:,g}") for value in inside]


def scale_over(values: Floats, *, logarithmic: bool = False, least: float = 0.0) -> Scale:
    """The scale that shows all values, those that are not numbers aside, and a stretch of at least so much."""
    shown = values[np.isfinite(values) & ((values > 0) | (not logarithmic))]
    if not len(shown):
        return Scale(1.0, 10.0, logarithmic) if logarithmic else Scale(0.0, 1.0)
    low, high = float(shown.min()), float(shown.max())
    if logarithmic:
        room = max((high / low) ** _MARGIN, 1.05)
        return Scale(low / room, high * room, logarithmic=True)
    room = max(_MARGIN * (high - low), (least - high + low) / 2) or 0.05 * abs(high) or 1.0
    # What begins at zero, as distances, lags and g(r) do, is drawn from its axis; an error bar may end just below it.
    return Scale(0.0 if -_BELOW_ZERO * room <= low < room else low - room, high + room)
