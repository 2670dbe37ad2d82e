"""Measured quantities that a person may add: their names, units, what each needs. Shipped: `experiments`."""

from dataclasses import dataclass

from schemas.units import ANGSTROM2_PER_PS_PER_M2_PER_S, G_PER_CM3_PER_KG_PER_M3


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A quantity that is one number at a temperature."""

    stored_as: str
    """Name in the lake, whose unit is the one inside."""
    factor: float = 1.0
    """From the unit that the name in the file says to that of the lake."""
    of_one_element: bool = False
    """A property of one element in the melt, not of the melt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A quantity that is a curve at a temperature."""

    table: str
    abscissa: str
    ordinate: str


_DIFFUSION = "diffusion_angstrom2_per_ps"

NUMBERS: dict[str, Number] = {
    "density_g_per_cm3": Number(stored_as="density_g_per_cm3"),
    "density_kg_per_m3": Number(stored_as="density_g_per_cm3", factor=G_PER_CM3_PER_KG_PER_M3),
    "viscosity_mpa_s": Number(stored_as="viscosity_mpa_s"),
    _DIFFUSION: Number(stored_as=_DIFFUSION, of_one_element=True),
    "diffusion_m2_per_s": Number(stored_as=_DIFFUSION, factor=ANGSTROM2_PER_PS_PER_M2_PER_S, of_one_element=True),
    "diffusion_1e-9_m2_per_s": Number(
        stored_as=_DIFFUSION, factor=1e-9 * ANGSTROM2_PER_PS_PER_M2_PER_S, of_one_element=True
    ),
    "diffusion_activation_energy_ev": Number(stored_as="diffusion_activation_energy_ev", of_one_element=True),
}
CURVES: dict[str, Curve] = {
    "rdf": Curve(table="experimental_rdf", abscissa="r_angstrom", ordinate="g"),
    "structure_factor": Curve(table="experimental_structure_factor", abscissa="q_per_angstrom", ordinate="s"),
}
