"""Measured properties of liquid metals, each with its citation, uncertainty and range of validity. No formulas of ours.

Densities are straight lines: value + slope * (T - temperature_k), valid inside the range only. A point has no slope.
Self-diffusion and radial distribution functions are absent: no free table of them could be verified.
"""

from dataclasses import dataclass

_TWO_CODINGS = "coefficients agree between two public codings"
_ASSAEL_AL = (
    "M. J. Assael et al., Reference Data for the Density and Viscosity of Liquid Aluminum and Liquid Iron, "
    "J. Phys. Chem. Ref. Data 35, 285-300 (2006), doi:10.1063/1.2149380"
)
_ASSAEL_CU = (
    "M. J. Assael et al., Reference Data for the Density and Viscosity of Liquid Copper and Liquid Tin, "
    "J. Phys. Chem. Ref. Data 39, 033105 (2010), doi:10.1063/1.3467496"
)
_ASSAEL_NI = (
    "M. J. Assael et al., Reference data for the density and viscosity of liquid antimony, bismuth, lead, nickel "
    "and silver, High Temp.-High Press. 41, 161-184 (2012)"
)
_BRILLO_2016 = (
    "J. Brillo, Thermophysical Properties of Multicomponent Liquid Alloys, De Gruyter (2016), as coded in "
    "auxi-mpp 3.0.0 (MIT licence), doi:10.1515/9783110468991"
)
_BRILLO_EGRY_2003 = (
    "J. Brillo, I. Egry, Density determination of liquid copper, nickel, and their alloys, "
    "Int. J. Thermophys. 24, 1155-1170 (2003), abstract"
)
_KARGL_2012 = "F. Kargl et al. (2012), quasielastic neutron scattering on liquid Al at 980, 1020 and 1060 K, abstract"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One reference point, or one straight line through it."""

    composition: str
    quantity: str
    """Name with its unit as suffix."""
    temperature_k: float
    value: float
    range_k: tuple[float, float]
    citation: str
    confidence: str
    """high: primary source or two codings seen; medium-high: one secondary coding; medium: approximate."""
    slope_per_k: float | None = None
    uncertainty: float | None = None
    """In the unit of the quantity, at `temperature_k`; None where the source states none."""
    preferred: bool = False
    """The one to compare with, at most one per composition and quantity."""
    note: str | None = None


def _assael(
    composition: str, line: tuple[float, float, float], last_k: float, percent: float, citation: str
) -> Measurement:
    temperature_k, value, slope_per_k = line
    return Measurement(
        composition=composition,
        quantity="density_g_per_cm3",
        temperature_k=temperature_k,
        value=value,
        slope_per_k=slope_per_k,
        range_k=(temperature_k, last_k),
        uncertainty=value * percent / 100,
        citation=citation,
        confidence="high",
        preferred=True,
        note=f"{percent:g} % at the 95 % confidence level",
    )


def _brillo(
    composition: str, liquidus_k: float, value: float, slope_per_k: float, note: str | None = None
) -> Measurement:
    return Measurement(
        composition=composition,
        quantity="density_g_per_cm3",
        temperature_k=liquidus_k,
        value=value,
        slope_per_k=slope_per_k,
        range_k=(liquidus_k, liquidus_k + 300),
        uncertainty=value * 1.5 / 100,
        citation=_BRILLO_2016,
        confidence="medium-high",
        preferred=not composition.endswith("100"),
        note=note or ("end member of an alloy series" if composition.endswith("100") else None),
    )


def _brillo_egry(composition: str, temperature_k: float, value: float, confidence: str, note: str) -> Measurement:
    return Measurement(
        composition=composition,
        quantity="density_g_per_cm3",
        temperature_k=temperature_k,
        value=value,
        range_k=(temperature_k, temperature_k),
        citation=_BRILLO_EGRY_2003,
        confidence=confidence,
        note=note,
    )


def _viscosities(
    composition: str, a: tuple[float, float], temperatures_k: tuple[float, ...], percent: float
) -> tuple[Measurement, ...]:
    citations = {"Al100": _ASSAEL_AL, "Cu100": _ASSAEL_CU, "Ni100": _ASSAEL_NI}
    values = [10 ** (-a[0] + a[1] / temperature_k) for temperature_k in temperatures_k]
    return tuple(
        Measurement(
            composition=composition,
            quantity="viscosity_mpa_s",
            temperature_k=temperature_k,
            value=value,
            range_k=(temperature_k, temperature_k),
            uncertainty=value * percent / 100,
            citation=citations[composition],
            confidence="high",
            preferred=True,
            note=f"from log10(viscosity / mPa s) = -{a[0]:g} + {a[1]:g} K / T; {percent:g} %; {_TWO_CODINGS}",
        )
        for temperature_k, value in zip(temperatures_k, values, strict=True)
    )


MEASUREMENTS: tuple[Measurement, ...] = (
    _assael("Al100", (933.47, 2.37723, -0.311e-3), 1190, 0.65, _ASSAEL_AL),
    _assael("Cu100", (1357.77, 7.997, -0.819e-3), 2500, 1.3, _ASSAEL_CU),
    _assael("Ni100", (1728.0, 7.861, -0.988e-3), 2500, 1.7, _ASSAEL_NI),
    _brillo("Al100", 933, 2.360, -0.33e-3),
    _brillo("Al80Cu20", 835, 3.320, -0.53e-3),
    _brillo("Al70Cu30", 865, 3.760, -0.49e-3),
    _brillo("Al60Cu40", 900, 4.440, -0.54e-3),
    _brillo("Al50Cu50", 1087, 5.050, -0.61e-3),
    _brillo("Al40Cu60", 1233, 5.490, -0.69e-3),
    _brillo("Al30Cu70", 1314, 6.170, -0.85e-3),
    _brillo("Al20Cu80", 1315, 6.660, -0.77e-3),
    _brillo("Cu100", 1358, 7.920, -0.76e-3, "end member of the Al-Cu series"),
    _brillo("Al82Ni18", 1221, 3.310, -0.48e-3),
    _brillo("Al75Ni25", 1377, 3.550, -0.76e-3),
    _brillo("Al70Ni30", 1565, 3.800, -0.94e-3),
    _brillo("Al60Ni40", 1835, 4.490, -1.29e-3),
    _brillo("Al50Ni50", 1913, 4.460, -1.92e-3, "looks low beside its neighbours: to look at, not to judge by"),
    _brillo("Al25Ni75", 1670, 6.420, -0.80e-3),
    _brillo("Cu100", 1357, 7.900, -0.765e-3, "end member of the Cu-Ni series"),
    _brillo("Cu90Ni10", 1409, 7.970, -0.795e-3),
    _brillo("Cu80Ni20", 1473, 8.090, -0.957e-3),
    _brillo("Cu60Ni40", 1553, 8.130, -1.03e-3),
    _brillo("Cu50Ni50", 1593, 8.100, -0.772e-3),
    _brillo("Cu30Ni70", 1653, 8.060, -0.911e-3),
    _brillo("Cu10Ni90", 1706, 7.960, -0.926e-3),
    _brillo("Ni100", 1727, 7.920, -1.01e-3),
    _brillo_egry("Cu100", 1357.77, 7.90, "high", "at the melting point; the abstract states no uncertainty"),
    _brillo_egry("Cu100", 1543.0, 7.75, "high", "at 1270 degrees Celsius; the abstract states no uncertainty"),
    _brillo_egry("Ni100", 1728.0, 7.93, "high", "at the melting point; the abstract states no uncertainty"),
    _brillo_egry("Cu90Ni10", 1543.0, 8.1, "medium", "the abstract says about 8.1 for 10 to 40 at.% Ni: one end"),
    _brillo_egry("Cu60Ni40", 1543.0, 8.1, "medium", "the abstract says about 8.1 for 10 to 40 at.% Ni: other end"),
    *_viscosities("Al100", (0.7324, 803.49), (933, 1000, 1100, 1200, 1270), 13.7),
    *_viscosities("Cu100", (0.4220, 1393.4), (1356, 1400, 1500, 1600, 1700, 1800, 1900, 1970), 6.3),
    *_viscosities("Ni100", (0.505, 2108.2), (1728, 1800, 1900, 2000, 2100), 14.6),
    Measurement(
        composition="Al100",
        quantity="diffusion_activation_energy_ev",
        temperature_k=1020.0,
        value=0.28,
        range_k=(980.0, 1060.0),
        uncertainty=0.07,
        citation=_KARGL_2012,
        confidence="high",
        preferred=True,
        note="activation energy only; no absolute diffusion coefficient could be verified",
    ),
)
