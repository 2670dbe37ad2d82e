"""When two runs are at one temperature, pressure, density: the rules of `observe` and the views, in Python and in SQL.

Means over the averaged frames decide, not what a thermostat was set to. They may differ by what the temperature of a
single frame of the AIMD cell fluctuates by in the canonical ensemble, T sqrt(2 / 3N), and by a tenth at most: 60 K for
512 atoms at 1673 K, where 100 K do not yet show in g(r). Nobody's temperature agrees with one that is not known.
"""

from math import sqrt

COMPARED = ("twin", "nvt", "npt")
"""Protocols whose simulations are melts in equilibrium; at constant pressure, only the density is compared."""

AMBIENT_GPA = 0.1
"""Melts that differ by less in pressure differ by less in density than it can be measured to."""
LARGEST_AMBIENT_GPA = 0.5
"""However little a short run tells of its pressure: so much changes the volume of a metallic melt by half a percent."""
LARGEST_DIFFERENCE_IN_DENSITY = 5e-3
"""Of melts that are compared at what volume they have: half a percent moves g(r) by half of its noise floor."""

LARGEST_SHARE = 0.1
"""Small cells fluctuate by more; a melt that is hotter by a tenth is another melt."""


def allowed_difference_k(temperature_k: float, *, n_atoms: int) -> float:
    """By how much another melt may be hotter or colder than a run and still be compared with it."""
    return temperature_k * min(sqrt(2 / (3 * n_atoms)), LARGEST_SHARE)


def is_one_temperature(temperature_k: float, other_k: float, *, n_atoms: int) -> bool:
    """Whether a run at this temperature may be compared with another; False where one of the two is NaN."""
    return abs(other_k - temperature_k) <= allowed_difference_k(temperature_k, n_atoms=n_atoms)


def allowed_difference_sql(temperature_k: str, *, n_atoms: str) -> str:
    """`allowed_difference_k` of two SQL expressions."""
    return f"({temperature_k} * least(sqrt(2 / (3 * {n_atoms})), {LARGEST_SHARE}))"


def is_one_temperature_sql(temperature_k: str, other_k: str, *, n_atoms: str) -> str:
    """`is_one_temperature` of SQL expressions; false where one is null."""
    allowed = allowed_difference_sql(temperature_k, n_atoms=n_atoms)
    return f"coalesce(abs({other_k} - {temperature_k}) <= {allowed}, false)"
