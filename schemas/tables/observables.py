"""Observables of runs, how simulations agree with AIMD, how fast they are, and what was measured."""

from schemas.tables.description import FLAG, REAL, TEXT, WHOLE, column, table

RDF = table(
    "rdf",
    "run x pair x r",
    "run_id",
    column("run_id", TEXT, "the run"),
    column("composition", TEXT, "its composition"),
    column("pair", TEXT, "elements, sorted: Al-Ni; `all` for the total"),
    column("r_angstrom", REAL, "centre of the bin"),
    column("g", REAL, "partial radial distribution function"),
    column("g_error", REAL, "standard error from blocks; null below four independent blocks"),
)

VACF = table(
    "vacf",
    "run x element x lag",
    "run_id",
    column("run_id", TEXT, "the run"),
    column("composition", TEXT, "its composition"),
    column("element", TEXT, "the element"),
    column("lag_fs", REAL, "time lag"),
    column("vacf", REAL, "normalised by its value at zero lag"),
    column("vacf_error", REAL, "standard error from blocks; null below four independent blocks"),
    column("estimator", TEXT, "velocities or central_differences"),
)

OBSERVABLES_VERSION = 2
"""Rises when observing gives more, or other numbers, than it gave before: every run is then observed again, once."""

THERMODYNAMICS = table(
    "thermodynamics",
    "run",
    "run_id",
    column("run_id", TEXT, "the run"),
    column("composition", TEXT, "its composition"),
    column("n_frames", WHOLE, "frames of the run when it was observed"),
    column("n_averaged", WHOLE, "accepted frames, which the means are over; with none, every mean is null"),
    column("temperature_k", REAL, "mean"),
    column("temperature_error_k", REAL, "standard error; correlation counted; null when the run is too short"),
    column("pressure_gpa", REAL, "mean, virial and kinetic part; null without stress"),
    column("pressure_error_gpa", REAL, "standard error, as for the temperature"),
    column("density_g_per_cm3", REAL, "mean"),
    column("density_error_g_per_cm3", REAL, "standard error, as for the temperature"),
    column("energy_ev_per_atom", REAL, "mean free energy"),
    column("energy_error_ev_per_atom", REAL, "standard error, as for the temperature"),
    column("enthalpy_ev_per_atom", REAL, "mean of energy, kinetic energy and pressure times volume"),
    column("enthalpy_error_ev_per_atom", REAL, "standard error; with that of the pressure where it is the run's own"),
    column("enthalpy_pressure_gpa", REAL, "the pressure in it: the barostat's target, or the mean at constant volume"),
    column("observables_version", WHOLE, "what observing gave then; below today's, the run is observed again"),
)

SHORT_RANGE_ORDER = table(
    "short_range_order",
    "run x ordered pair",
    "run_id",
    column("run_id", TEXT, "the run"),
    column("composition", TEXT, "its composition"),
    column("pair", TEXT, "centre-neighbour: Al-Ni counts Ni around Al"),
    column("warren_cowley", REAL, "0 at random, negative where the pair attracts; null for one element or one atom"),
    column("warren_cowley_error", REAL, "standard error from leaving out blocks; null below four independent blocks"),
    column("coordination", REAL, "neighbours up to the first minimum of the total g"),
    column("coordination_error", REAL, "standard error, as all in this table"),
    column("first_peak_angstrom", REAL, "position of the first peak of g"),
    column("first_peak_error_angstrom", REAL, "standard error"),
    column("first_peak_height", REAL, "its height"),
    column("first_peak_height_error", REAL, "standard error"),
    column("r_min_angstrom", REAL, "first minimum of the total g"),
    column("r_min_error_angstrom", REAL, "standard error"),
    column("own_coordination", REAL, "neighbours up to the first minimum of the pair's own g; null where it has none"),
    column("own_coordination_error", REAL, "standard error"),
    column("own_r_min_angstrom", REAL, "first minimum of the pair's own g"),
    column("own_r_min_error_angstrom", REAL, "standard error"),
)

AGREEMENT = table(
    "agreement",
    "AIMD run x simulation x observable",
    "run_id",
    column("run_id", TEXT, "the simulation"),
    column("aimd_run_id", TEXT, "the AIMD run it is compared with"),
    column("aimd_n_frames", WHOLE, "frames that the AIMD run had then; another number now makes the row stale"),
    column("potential_id", TEXT, "the potential that drove the simulation"),
    column("composition", TEXT, "their composition"),
    column("observable", TEXT, "rdf Al-Ni, vacf Al ..."),
    column(
        "l1_percent",
        REAL,
        "integrated absolute difference over the integral of the AIMD curve (rms for vacf)",
    ),
    column("floor_percent", REAL, "the same between halves of the AIMD run, over the square root of two"),
    column("z", REAL, "l1_percent over floor_percent"),
    column("verdict", TEXT, "indistinguishable, good, visible, disagrees, or undecided where sampling is too short"),
)

PERFORMANCE = table(
    "performance",
    "simulation of a potential",
    "run_id",
    column("run_id", TEXT, "the simulation that was timed"),
    column("potential_id", TEXT, "the potential"),
    column("composition", TEXT, "composition simulated"),
    column("protocol", TEXT, "twin, nvt, npt or performance"),
    column("ns_per_day", REAL, "simulated time per day of wall time"),
    column("n_atoms", WHOLE, "atoms"),
    column("hardware", TEXT, "processor or GPU"),
    column("backend", TEXT, "tensorflow or pytorch"),
    column("precision", TEXT, "float64"),
    column("compressed", FLAG, "the compressed model ran"),
    column("lammps_version", TEXT, "version of LAMMPS"),
    column("time_step_fs", REAL, "time step"),
    column("n_steps", WHOLE, "steps timed"),
    column("outcome", TEXT, "finished, or unphysical with the reason"),
)

EXPERIMENTS = table(
    "experiments",
    "reference point of a measured quantity",
    "element_or_alloy",
    column("element_or_alloy", TEXT, "composition measured: Al100, Cu90Ni10"),
    column("quantity", TEXT, "density_g_per_cm3, viscosity_mpa_s ..."),
    column("temperature_k", REAL, "temperature of the value"),
    column("value", REAL, "in the unit that the quantity names"),
    column("slope_per_k", REAL, "value + slope_per_k * (T - temperature_k) inside the range; null for a point"),
    column("temperature_min_k", REAL, "start of the range of validity"),
    column("temperature_max_k", REAL, "its end"),
    column("uncertainty", REAL, "in the same unit, at temperature_k; null where the source states none"),
    column("citation", TEXT, "where it was published"),
    column("confidence", TEXT, "high, medium-high ... of the coding used here"),
    column("preferred", FLAG, "the one to compare with, where several measured the same"),
    column("note", TEXT, "what to know about it"),
)
