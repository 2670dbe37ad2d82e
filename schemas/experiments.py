"""Measured properties of liquid metals, each with its citation, uncertainty and range of validity. No formulas of ours.

A measurement is a point; a straight line, value + slope_per_k (T - temperature_k); or an exponential, value
exp(activation_k (1/T - 1/temperature_k)). Lines and exponentials hold inside their range only. Self-diffusion
coefficients and radial distribution functions are absent: no free table of them could be verified. A person adds them.
"""

from dataclasses import dataclass
from math import log

_TWO_CODINGS = "two independent public codings agree (auxi-mpp 3.0.0, thermolib)"
_ONE_CODING = "read in one public coding (auxi-mpp 3.0.0)"
_PERCENT_CHECKED = "the uncertainty was checked in the abstract"
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
    "Int. J. Thermophys. 24, 1155-1170 (2003)"
)
_KARGL_2012 = "F. Kargl et al. (2012), quasielastic neutron scattering on liquid Al at 980, 1020 and 1060 K"

FUNCTIONAL_CAVEAT = (
    "The functional matters more to atomic motion than to structure: for liquid Al and Cu, LDA comes closer to "
    "measured diffusion and viscosity than GGA does (Jakse and Pasturel, abstracts)."
)
"""To be said beside every diffusion coefficient and viscosity that is compared with experiment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One reference point, straight line or exponential."""

    composition: str
    quantity: str
    """Name with its unit as suffix."""
    element: str | None = None
    """What diffuses; None for a property of the melt as a whole."""
    temperature_k: float
    value: float
    range_k: tuple[float, float]
    slope_per_k: float | None = None
    activation_k: float | None = None
    uncertainty: float | None = None
    """As stated, in the unit of the quantity, at `temperature_k`; None where the source states none."""
    coverage_factor: float = 1.0
    """Stated uncertainty over standard uncertainty: 2 for a 95 % level, 1 where the source does not say."""
    source: str
    """Short, for legends."""
    citation: str
    evidence: str
    """How the numbers were seen."""
    confidence: str
    """high: primary source or two codings seen; medium-high: one secondary coding; medium: approximate."""
    preferred: bool = False
    """To judge by, at most one per composition, quantity and element; the others are shown."""
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Element:
    """What Assael and coauthors recommend for one liquid element."""

    composition: str
    source: str
    citation: str
    evidence: str


_AL = _Element(composition="Al100", source="Assael 2006", citation=_ASSAEL_AL, evidence=_TWO_CODINGS)
_CU = _Element(
    composition="Cu100",
    source="Assael 2010",
    citation=_ASSAEL_CU,
    evidence=f"{_TWO_CODINGS}; {_PERCENT_CHECKED}",
)
_NI = _Element(
    composition="Ni100",
    source="Assael 2012",
    citation=_ASSAEL_NI,
    evidence=f"{_ONE_CODING}; {_PERCENT_CHECKED}",
)


def _density(
    of: _Element, line: tuple[float, float, float], range_k: tuple[float, float], percent: float, note: str = ""
) -> Measurement:
    temperature_k, value, slope_per_k = line
    return Measurement(
        composition=of.composition,
        quantity="density_g_per_cm3",
        temperature_k=temperature_k,
        value=value,
        slope_per_k=slope_per_k,
        range_k=range_k,
        uncertainty=value * percent / 100,
        coverage_factor=2.0,
        source=of.source,
        citation=of.citation,
        evidence=of.evidence,
        confidence="high",
        preferred=True,
        note=f"{percent:g} % at the 95 % confidence level{note}",
    )


def _viscosity(of: _Element, a: tuple[float, float], range_k: tuple[float, float], percent: float) -> Measurement:
    value = 10 ** (-a[0] + a[1] / range_k[0])
    return Measurement(
        composition=of.composition,
        quantity="viscosity_mpa_s",
        temperature_k=range_k[0],
        value=value,
        activation_k=a[1] * log(10),
        range_k=range_k,
        uncertainty=value * percent / 100,
        coverage_factor=2.0,
        source=of.source,
        citation=of.citation,
        evidence=of.evidence,
        confidence="high",
        preferred=True,
        note=f"log10(viscosity / mPa s) = -{a[0]:g} + {a[1]:g} K / T; {percent:g} % at the 95 % confidence level",
    )


def _brillo(
    composition: str, liquidus_k: float, value: float, slope_per_k: float, *, series: str, note: str | None = None
) -> Measurement:
    is_element = composition.endswith("100")
    return Measurement(
        composition=composition,
        quantity="density_g_per_cm3",
        temperature_k=liquidus_k,
        value=value,
        slope_per_k=slope_per_k,
        range_k=(liquidus_k, liquidus_k + 300),
        uncertainty=value * 1.5 / 100,
        source=f"Brillo 2016, {series}",
        citation=_BRILLO_2016,
        evidence=f"{_ONE_CODING}; the book itself was not read",
        confidence="medium-high",
        preferred=not is_element and note is None,
        note=note
        or (f"end member of the {series} series; Assael is preferred for the element" if is_element else None),
    )


def _brillo_egry(composition: str, temperature_k: float, value: float, confidence: str, note: str) -> Measurement:
    return Measurement(
        composition=composition,
        quantity="density_g_per_cm3",
        temperature_k=temperature_k,
        value=value,
        range_k=(temperature_k, temperature_k),
        source="Brillo & Egry 2003",
        citation=_BRILLO_EGRY_2003,
        evidence="read in the abstract, which states no uncertainty",
        confidence=confidence,
        note=note,
    )


MEASUREMENTS: tuple[Measurement, ...] = (
    _density(_AL, (933.47, 2.37723, -0.311e-3), (933, 1190), 0.65, "; 0.7 % for absolute values"),
    _density(_CU, (1357.77, 7.997, -0.819e-3), (1356, 2500), 1.3),
    _density(_NI, (1728.0, 7.861, -0.988e-3), (1728, 2500), 1.7),
    _viscosity(_AL, (0.7324, 803.49), (933, 1270), 13.7),
    _viscosity(_CU, (0.4220, 1393.4), (1356, 1970), 6.3),
    _viscosity(_NI, (0.505, 2108.2), (1728, 2100), 14.6),
    _brillo("Al100", 933, 2.360, -0.33e-3, series="Al-Cu"),
    _brillo("Al80Cu20", 835, 3.320, -0.53e-3, series="Al-Cu"),
    _brillo("Al70Cu30", 865, 3.760, -0.49e-3, series="Al-Cu"),
    _brillo("Al60Cu40", 900, 4.440, -0.54e-3, series="Al-Cu"),
    _brillo("Al50Cu50", 1087, 5.050, -0.61e-3, series="Al-Cu"),
    _brillo("Al40Cu60", 1233, 5.490, -0.69e-3, series="Al-Cu"),
    _brillo("Al30Cu70", 1314, 6.170, -0.85e-3, series="Al-Cu"),
    _brillo("Al20Cu80", 1315, 6.660, -0.77e-3, series="Al-Cu"),
    _brillo("Cu100", 1358, 7.920, -0.76e-3, series="Al-Cu"),
    _brillo("Al82Ni18", 1221, 3.310, -0.48e-3, series="Al-Ni"),
    _brillo("Al75Ni25", 1377, 3.550, -0.76e-3, series="Al-Ni"),
    _brillo("Al70Ni30", 1565, 3.800, -0.94e-3, series="Al-Ni"),
    _brillo("Al60Ni40", 1835, 4.490, -1.29e-3, series="Al-Ni"),
    _brillo(
        "Al50Ni50", 1913, 4.460, -1.92e-3, series="Al-Ni", note="looks low and noisy beside its neighbours: to look at"
    ),
    _brillo("Al25Ni75", 1670, 6.420, -0.80e-3, series="Al-Ni"),
    _brillo("Cu100", 1357, 7.900, -0.765e-3, series="Cu-Ni"),
    _brillo("Cu90Ni10", 1409, 7.970, -0.795e-3, series="Cu-Ni"),
    _brillo("Cu80Ni20", 1473, 8.090, -0.957e-3, series="Cu-Ni"),
    _brillo("Cu60Ni40", 1553, 8.130, -1.03e-3, series="Cu-Ni"),
    _brillo("Cu50Ni50", 1593, 8.100, -0.772e-3, series="Cu-Ni"),
    _brillo("Cu30Ni70", 1653, 8.060, -0.911e-3, series="Cu-Ni"),
    _brillo("Cu10Ni90", 1706, 7.960, -0.926e-3, series="Cu-Ni"),
    _brillo("Ni100", 1727, 7.920, -1.01e-3, series="Cu-Ni"),
    _brillo_egry("Cu100", 1357.77, 7.90, "high", "at the melting point"),
    _brillo_egry("Cu100", 1543.0, 7.75, "high", "at 1270 degrees Celsius"),
    _brillo_egry("Ni100", 1728.0, 7.93, "high", "at the melting point"),
    _brillo_egry("Cu90Ni10", 1543.0, 8.1, "medium", "the abstract says about 8.1 for 10 to 40 at.% Ni: one end"),
    _brillo_egry("Cu60Ni40", 1543.0, 8.1, "medium", "the abstract says about 8.1 for 10 to 40 at.% Ni: other end"),
    Measurement(
        composition="Al100",
        quantity="diffusion_activation_energy_ev",
        element="Al",
        temperature_k=1020.0,
        value=0.28,
        range_k=(980.0, 1060.0),
        uncertainty=0.07,
        source="Kargl 2012",
        citation=_KARGL_2012,
        evidence="read in the abstract",
        confidence="high",
        note="activation energy only; no absolute diffusion coefficient could be verified",
    ),
)
