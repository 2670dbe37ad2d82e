"""Straight lines through densities: exact ones, scattered ones, and what they say about their own errors."""

import numpy as np
import pytest

from operators.physics.thermal_expansion import DensityPoint, thermal_expansion
from schemas.errors import MeltlakeError

KELVIN = np.array([1400.0, 1500.0, 1600.0, 1750.0, 1900.0])


def points(densities: list[float], error: float) -> list[DensityPoint]:
    return [
        DensityPoint(temperature_k=t, density_g_per_cm3=rho, error_g_per_cm3=error)
        for t, rho in zip(KELVIN, densities, strict=False)
    ]


def test_a_straight_line_is_found_exactly() -> None:
    line = 7.997 - 8.19e-4 * (KELVIN - 1357.77)  # liquid copper, Assael et al. (2010)
    found = thermal_expansion(points(list(line), 0.01), reference_k=1357.77)
    assert found.density_g_per_cm3 == pytest.approx(7.997)
    assert found.slope_g_per_cm3_per_k == pytest.approx(-8.19e-4)
    assert found.expansion_per_k == pytest.approx(8.19e-4 / 7.997)
    assert (found.n_points, found.from_k, found.until_k) == (5, 1400.0, 1900.0)
    assert found.scatter == pytest.approx(0.0, abs=1e-6)


def test_errors_are_those_of_the_points() -> None:
    rng = np.random.default_rng(1)
    line = 7.997 - 8.19e-4 * (KELVIN - 1600)
    found = [thermal_expansion(points(list(line + rng.normal(0, 0.01, 5)), 0.01), reference_k=1600) for _ in range(400)]
    exact = 0.01 / np.sqrt(np.sum((KELVIN - KELVIN.mean()) ** 2))
    slopes = [one.slope_g_per_cm3_per_k for one in found]
    assert np.std(slopes) == pytest.approx(exact, rel=0.15)
    assert min(one.slope_error_g_per_cm3_per_k for one in found) == pytest.approx(exact)
    z = [(one.expansion_per_k - 8.19e-4 / 7.997) / one.expansion_error_per_k for one in found]
    assert 0.7 < np.std(z) < 1.1
    at = np.array([one.at(1900.0) for one in found])
    assert np.std(at[:, 0]) == pytest.approx(at[:, 1].min(), rel=0.15)


def test_points_that_scatter_more_than_they_claim_widen_the_errors() -> None:
    line = 5.0 - 5e-4 * (KELVIN - 1600) + 0.02 * np.array([1, -1, 1, -1, 1])
    claimed, without = (thermal_expansion(points(list(line), error), reference_k=1600) for error in (0.002, np.nan))
    assert claimed.scatter > 5
    assert claimed.slope_error_g_per_cm3_per_k == pytest.approx(without.slope_error_g_per_cm3_per_k)


def test_the_unit_of_mass_does_not_matter_to_the_expansion() -> None:
    line = 5.0 - 5e-4 * (KELVIN - 1600) + 0.01 * np.sin(KELVIN)
    one, other = (thermal_expansion(points(list(line * k), 0.01 * k), reference_k=1500) for k in (1.0, 3.0))
    assert other.expansion_per_k == pytest.approx(one.expansion_per_k)
    assert other.expansion_error_per_k == pytest.approx(one.expansion_error_per_k)


def test_lines_are_not_drawn_through_too_little_or_beyond_it() -> None:
    with pytest.raises(MeltlakeError, match="needed densities at 3 temperatures, found 2 at 2"):
        thermal_expansion(points([5.0, 4.9], 0.01), reference_k=1500)
    same = [DensityPoint(temperature_k=1500.0, density_g_per_cm3=5.0, error_g_per_cm3=0.1)] * 4
    with pytest.raises(MeltlakeError, match="found 4 at 1"):
        thermal_expansion(same, reference_k=1500)
    found = thermal_expansion(points([5.0, 4.95, 4.9, 4.8, 4.75], 0.01), reference_k=1500)
    with pytest.raises(MeltlakeError, match="needed a temperature from 1400 to 1900 K, found 1300 K"):
        found.at(1300.0)
