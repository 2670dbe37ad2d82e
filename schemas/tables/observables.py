"""Observables of runs, how simulations agree with AIMD, and how fast they are. Experiments are `experiments`'."""

from schemas.tables.description import FLAG, REAL, TEXT, TEXTS, WHOLE, column, table

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

OBSERVABLES_VERSION = 4
"""Rises when observing gives more, or other numbers, than it gave before: every run is then observed again, once."""

THERMODYNAMICS = table(
    "thermodynamics",
    "run",
    "run_id",
    column("run_id", TEXT, "the run"),
    column("composition", TEXT, "its composition"),
    column("n_frames", WHOLE, "frames of the run when it was observed"),
    column("averaged_id", TEXT, "that of the run when it was observed; another one now makes its observables stale"),
    column("n_averaged", WHOLE, "accepted frames, which the means are over; with none, every mean is null"),
    column("averaged_fs", REAL, "time that those frames stand for; null without a time axis"),
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
    column(
        "compressibility_per_gpa",
        REAL,
        "isothermal, from how the volume fluctuates; null at constant volume, or where it drifts",
    ),
    column("compressibility_error_per_gpa", REAL, "standard error; null below 10 ps, and as for the temperature"),
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
    "AIMD run x simulation x observable x measure",
    "run_id",
    column("run_id", TEXT, "the simulation"),
    column("aimd_run_id", TEXT, "the AIMD run it is compared with"),
    column("aimd_n_frames", WHOLE, "frames that the AIMD run had then; another number now makes the row stale"),
    column("aimd_averaged_id", TEXT, "what its averages were over then; another one now makes the row stale, too"),
    column("potential_id", TEXT, "the potential that drove the simulation"),
    column("composition", TEXT, "their composition"),
    column(
        "observable",
        TEXT,
        "rdf Al-Ni, vacf Al, pressure_gpa, diffusion_angstrom2_per_ps Al, coordination Al-Ni ...; none where the two "
        "runs could not be compared",
    ),
    column(
        "measure",
        TEXT,
        "l1, wright, not_shared (100 less the overlap) of a radial distribution function, rms of a vacf, difference of "
        "two numbers, or none",
    ),
    column("value_aimd", REAL, "of a number, in the unit that the observable names; null for a curve"),
    column("value_dnnp", REAL, "the same of the simulation"),
    column("difference", REAL, "value_dnnp less value_aimd; null for a curve"),
    column("difference_error", REAL, "its standard error, from both runs; null for a curve and where a run has none"),
    column(
        "l1_percent",
        REAL,
        "distance by the row's measure, in percent: for l1 the integrated absolute difference over the integral of the "
        "AIMD curve; for a number the difference over that of AIMD; null where a percentage says nothing",
    ),
    column(
        "floor_percent",
        REAL,
        "distance that two samples of one melt have: for curves from the halves of the AIMD run; for numbers the error "
        "of the difference over the number of AIMD",
    ),
    column(
        "sample_ratio",
        REAL,
        "how many times as many atoms, for how many times as long, AIMD has: what of the floor of a curve is whose",
    ),
    column("z", REAL, "distance over floor: l1_percent over floor_percent, difference over its error"),
    column("verdict", TEXT, "indistinguishable, good, visible, disagrees, or undecided, which has a reason"),
    column("reason", TEXT, "why there is no verdict; null where there is one"),
)

PERFORMANCE = table(
    "performance",
    "simulation of a potential",
    "run_id",
    column("run_id", TEXT, "the simulation that was timed"),
    column("potential_id", TEXT, "the potential"),
    column("composition", TEXT, "of its atoms, as in `runs`"),
    column("protocol", TEXT, "twin, nvt, npt, nve or performance"),
    column("ns_per_day", REAL, "simulated time per day of wall time"),
    column("n_atoms", WHOLE, "atoms"),
    column("hardware", TEXT, "processor or GPU"),
    column("backend", TEXT, "tensorflow or pytorch"),
    column("precision", TEXT, "float64"),
    column("compressed", FLAG, "the compressed model ran"),
    column("lammps_version", TEXT, "version of LAMMPS"),
    column("time_step_fs", REAL, "time step"),
    column("n_steps", WHOLE, "steps timed"),
    column("n_steps_done", WHOLE, "steps from the start frame on, equilibration included"),
    column("outcome", TEXT, "finished, or unphysical with the reason"),
    column(
        "start_energy_difference_mev_per_atom",
        REAL,
        "of the start frame between LAMMPS and the potential itself; null for a table, as the next two",
    ),
    column("start_force_difference_mev_per_angstrom", REAL, "the same of forces, largest component"),
    column("start_pressure_difference_gpa", REAL, "the same of the virial pressure, largest component"),
    column(
        "start_force_rmse_mev_per_angstrom",
        REAL,
        "of the potential against DFT, on the AIMD frame that it starts from; null without DFT forces, as the next",
    ),
    column("start_force_error_frac", REAL, "the same over the size of DFT's forces: 1 is no better than no forces"),
    column("drift_mev_per_atom_per_ps", REAL, "of the conserved energy after equilibration; null below 1 ps"),
    column("drift_error_mev_per_atom_per_ps", REAL, "its standard error; null where it cannot be told"),
    column("committee_ids", TEXTS, "potentials that were compared during the run, the driving one first; null: none"),
    column(
        "mean_max_deviation_force_mev_per_angstrom",
        REAL,
        "committee's deviation of the force, largest of any atom, mean over samples; null without a committee",
    ),
    column("max_deviation_force_mev_per_angstrom", REAL, "the same, largest of any sample"),
)
