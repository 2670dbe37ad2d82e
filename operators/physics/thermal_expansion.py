"""How the density of a melt falls with temperature: a weighted straight line through densities of several runs.

    rho(T) = rho_0 + s (T - T_0),   alpha_V = -(1 / rho) d rho / dT = -s / rho_0

which is how measured densities of liquid metals are published. Densities of single runs are in `thermodynamics`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.errors import MeltlakeError

FEWEST_POINTS = 3
"""Two give a line and no sign of whether it is straight."""

_SAME_TEMPERATURE_K = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityPoint:
    """Density of one run; its error is NaN where the run is too short to tell."""

    temperature_k: float
    density_g_per_cm3: float
    error_g_per_cm3: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermalExpansion:
    """A straight line through densities, and the volume expansion coefficient that it gives."""

    reference_k: float
    density_g_per_cm3: float
    density_error_g_per_cm3: float
    slope_g_per_cm3_per_k: float
    slope_error_g_per_cm3_per_k: float
    expansion_per_k: float
    """Of volume, at the reference temperature."""
    expansion_error_per_k: float
    covariance: float
    """Of density at the reference and slope, (g/cm^3)^2/K."""
    scatter: float
    """Root of chi-squared over its degrees of freedom: about 1 for a straight line; above, errors are larger by it."""
    n_points: int
    from_k: float
    """Lowest temperature that was fitted."""
    until_k: float

    def at(self, temperature_k: float) -> tuple[float, float]:
        """Density and its standard error at a temperature, g/cm^3.

        Raises
        ------
        MeltlakeError
            Outside the temperatures that were fitted.
        """
        if not self.from_k - _SAME_TEMPERATURE_K <= temperature_k <= self.until_k + _SAME_TEMPERATURE_K:
            raise MeltlakeError(
                f"A density from a fit needed a temperature from {self.from_k:.0f} to {self.until_k:.0f} K, found "
                f"{temperature_k:.0f} K.",
                "Simulate at a temperature beyond it as well.",
            )
        apart = temperature_k - self.reference_k
        variance = (
            self.density_error_g_per_cm3**2
            + 2 * apart * self.covariance
            + (apart * self.slope_error_g_per_cm3_per_k) ** 2
        )
        return self.density_g_per_cm3 + self.slope_g_per_cm3_per_k * apart, float(np.sqrt(max(variance, 0.0)))


def thermal_expansion(points: Sequence[DensityPoint], *, reference_k: float) -> ThermalExpansion:
    """Weighted least squares of density against temperature.

    Where a point has no error, all weigh the same, and errors come from the scatter about the line alone.

    Parameters
    ----------
    points
        Of runs at constant pressure.
    reference_k
        Where the line's density is stated: the melting point, by custom.

    Raises
    ------
    MeltlakeError
        If there are fewer than three points, or they are at fewer than three temperatures.
    """
    temperatures = np.array([point.temperature_k for point in points])
    densities = np.array([point.density_g_per_cm3 for point in points])
    errors = np.array([point.error_g_per_cm3 for point in points])
    n_apart = 0 if not len(points) else 1 + int((np.diff(np.sort(temperatures)) > _SAME_TEMPERATURE_K).sum())
    if n_apart < FEWEST_POINTS:
        raise MeltlakeError(
            f"A thermal expansion needed densities at {FEWEST_POINTS} temperatures, found {len(points)} at {n_apart}.",
            "Simulate at more temperatures.",
        )
    known = bool(np.all(errors > 0))
    weights = errors**-2 if known else np.ones(len(points))
    columns = np.stack([np.ones(len(points)), temperatures - reference_k], axis=1)
    covariance = np.linalg.inv(columns.T @ (weights[:, None] * columns))
    density, slope = covariance @ columns.T @ (weights * densities)
    residuals = densities - columns @ [density, slope]
    scatter = float(np.sqrt(np.sum(weights * residuals**2) / (len(points) - 2)))
    # Points that scatter less than their errors are luck; more, and their errors are too small (Birge, 1932).
    covariance *= max(1.0, scatter) ** 2 if known else scatter**2
    relative = np.array([slope / density**2, -1 / density])
    return ThermalExpansion(
        reference_k=reference_k,
        density_g_per_cm3=float(density),
        density_error_g_per_cm3=float(np.sqrt(covariance[0, 0])),
        slope_g_per_cm3_per_k=float(slope),
        slope_error_g_per_cm3_per_k=float(np.sqrt(covariance[1, 1])),
        expansion_per_k=float(-slope / density),
        expansion_error_per_k=float(np.sqrt(relative @ covariance @ relative)),
        covariance=float(covariance[0, 1]),
        scatter=scatter if known else 1.0,
        n_points=len(points),
        from_k=float(temperatures.min()),
        until_k=float(temperatures.max()),
    )
