"""Vibrational density of states of each element: the spectrum of its velocity autocorrelation. No phonons, no crystals.

    g(nu) = 3 * 4 int_0^inf Z(t) w(t) cos(2 pi nu t) dt

of the normalised function Z, so that the integral of g over frequency is 3, the modes of an atom; w is a Hann window
that ends with the function, without which its end would ring through the spectrum (Dickey and Paskin, Phys. Rev. 188,
1407 (1969), for the transform). In a melt g(0) is 12 m D / (k_B T): what diffuses has modes without frequency.

Central differences of frames h apart multiply the spectrum by sinc^2(2 nu h), which is divided out as far as it leaves
half; what it took from the value at lag 0 is given back by making the integral 3 again.
"""

from dataclasses import dataclass

import numpy as np
from scipy.integrate import trapezoid

from operators.physics.blocks import standard_error
from operators.physics.vacf import VelocityAutocorrelation
from schemas.errors import MeltlakeError
from schemas.frames import Floats
from schemas.units import FS_PER_PS

MODES_PER_ATOM = 3.0

_FEWEST_LAGS = 20
_LEAST_LEFT = 0.5
"""Of the spectrum after central differences; dividing by less amplifies noise, and what folded back from beyond."""

_FINER = 4
"""Frequencies for each that the longest lag resolves; zeros appended give no information, but a curve to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VibrationalDensity:
    """Vibrational densities of states of one run."""

    elements: tuple[str, ...]
    """(n_elements,), in alphabetical order."""
    frequency_thz: Floats
    """(n_frequencies,), from 0."""
    density_per_thz: Floats
    """(n_elements, n_frequencies), modes per atom of the element."""
    density_error_per_thz: Floats
    """(n_elements, n_frequencies), standard errors from blocks; NaN for too few independent ones."""
    resolution_thz: float
    """Full width at half height that the window gives to a single frequency."""

    def of_all(self, counts: dict[str, int]) -> Floats:
        """(n_frequencies,), modes per atom of the melt, each atom counting alike."""
        weights = [counts[element] for element in self.elements]
        total: Floats = np.average(self.density_per_thz, axis=0, weights=weights)
        return total


def vibrational_density(vacf: VelocityAutocorrelation) -> VibrationalDensity:
    """Vibrational density of states of each element.

    Parameters
    ----------
    vacf
        Of a run; its longest lag sets the resolution, its step the highest frequency.

    Raises
    ------
    MeltlakeError
        If the function has fewer than 20 lags.
    """
    lag_ps = vacf.lag_fs / FS_PER_PS
    if len(lag_ps) < _FEWEST_LAGS:
        raise MeltlakeError(
            f"A vibrational density of states needed {_FEWEST_LAGS} lags, found {len(lag_ps)}.", "Use a longer run."
        )
    step, longest = float(lag_ps[1]), float(lag_ps[-1])
    frequencies = np.arange(0.0, 0.5 / step, 1 / (2 * _FINER * longest))
    left = np.ones_like(frequencies)
    if damped := vacf.estimator == "central_differences":
        left = np.sinc(2 * frequencies * step) ** 2
        # Beyond its first zero the factor rises again, but there is nothing left to divide.
        frequencies = frequencies[: int(np.argmax(left < _LEAST_LEFT)) or None]
        left = left[: len(frequencies)]
    weights = 0.5 * (1 + np.cos(np.pi * lag_ps / longest)) * step
    weights[0] /= 2  # trapezoids; the window is 0 at the other end
    transform = 4 * np.cos(2 * np.pi * np.outer(lag_ps, frequencies)) * weights[:, None] / left
    densities = vacf.vacf @ transform
    scale = MODES_PER_ATOM / (trapezoid(densities, frequencies, axis=1)[:, None] if damped else 1.0)
    of_blocks = vacf.block_vacf / vacf.block_vacf[:, :, :1] @ transform
    return VibrationalDensity(
        elements=vacf.elements,
        frequency_thz=frequencies,
        density_per_thz=densities * scale,
        density_error_per_thz=standard_error(of_blocks) * scale,
        resolution_thz=1 / longest,
    )
