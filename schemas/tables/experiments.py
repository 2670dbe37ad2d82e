"""What was measured: points and correlations of a property, and digitised curves. Those of runs are `observables`'."""

from schemas.tables.description import FLAG, REAL, TEXT, TIME, Column, column, table

_ORIGIN = (
    column("source", TEXT, "short name of the source, for legends"),
    column("citation", TEXT, "where it was published; nothing is stored without"),
    column("source_id", TEXT, "the same for all that one citation says; `meltlake experiments remove` takes it"),
    column("added_from", TEXT, "name of the file that a person added it from; null for what comes with meltlake"),
    column("added_at", TIME, "when, UTC"),
)


def _of_a_curve(*xy: Column) -> tuple[Column, ...]:
    return (
        column("element_or_alloy", TEXT, "composition measured"),
        column("pair", TEXT, "elements, sorted: Al-Ni; `all` for the total by number of atoms"),
        column("temperature_k", REAL, "temperature of the melt"),
        *xy,
        column("uncertainty", REAL, "of the ordinate, as stated; null where the source states none"),
        column("coverage_factor", REAL, "stated uncertainty over standard uncertainty"),
        column("note", TEXT, "what to know about it"),
        *_ORIGIN,
    )


EXPERIMENTS = table(
    "experiments",
    "reference point or correlation of a measured quantity",
    "element_or_alloy",
    column("element_or_alloy", TEXT, "composition measured: Al100, Cu90Ni10"),
    column("quantity", TEXT, "density_g_per_cm3, viscosity_mpa_s, diffusion_angstrom2_per_ps ..."),
    column("element", TEXT, "what diffuses; null for a property of the melt as a whole"),
    column("temperature_k", REAL, "temperature of the value"),
    column("value", REAL, "in the unit that the quantity names"),
    column("slope_per_k", REAL, "value + slope_per_k * (T - temperature_k) inside the range; null for others"),
    column("activation_k", REAL, "value * exp(activation_k * (1/T - 1/temperature_k)) in the range; null for others"),
    column("temperature_min_k", REAL, "start of the range of validity"),
    column("temperature_max_k", REAL, "its end"),
    column("uncertainty", REAL, "as stated, in the same unit, at temperature_k; null where the source states none"),
    column("coverage_factor", REAL, "stated over standard uncertainty: 2 for a 95 % level, 1 where nothing is said"),
    column("evidence", TEXT, "how the numbers were seen; null for those that a person added"),
    column("confidence", TEXT, "high, medium-high ... of the coding used here"),
    column("preferred", FLAG, "to judge by; others are shown"),
    column("note", TEXT, "what to know about it"),
    *_ORIGIN,
)

EXPERIMENTAL_RDF = table(
    "experimental_rdf",
    "measured radial distribution function x r",
    "element_or_alloy",
    *_of_a_curve(
        column("r_angstrom", REAL, "distance, as digitised"),
        column("g", REAL, "measured radial distribution function"),
    ),
)

EXPERIMENTAL_STRUCTURE_FACTOR = table(
    "experimental_structure_factor",
    "measured structure factor x q",
    "element_or_alloy",
    *_of_a_curve(
        column("q_per_angstrom", REAL, "wave number, as digitised"),
        column("s", REAL, "measured structure factor"),
    ),
)
