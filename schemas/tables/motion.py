"""How the atoms of a run move: displacements, vibrations, diffusion, viscosity. Velocities' own decay is `vacf`."""

from schemas.tables.description import REAL, TEXT, VECTOR, WHOLE, column, table

MSD = table(
    "msd",
    "run x element x lag",
    "run_id",
    column("run_id", TEXT, "the run"),
    column("composition", TEXT, "its composition"),
    column("element", TEXT, "the element"),
    column("lag_fs", REAL, "time lag; at most 500 of them, evenly apart"),
    column("msd_angstrom2", REAL, "mean squared displacement over all time origins, centre of mass at rest"),
    column("msd_error_angstrom2", REAL, "standard error from blocks; null below four independent blocks"),
)

VIBRATIONAL_DENSITY = table(
    "vibrational_density",
    "run x element x frequency",
    "run_id",
    column("run_id", TEXT, "the run"),
    column("composition", TEXT, "its composition"),
    column("element", TEXT, "the element"),
    column("frequency_thz", REAL, "frequency, not angular"),
    column("density_per_thz", REAL, "vibrational modes of an atom; their integral over all frequencies is 3"),
    column("density_error_per_thz", REAL, "standard error from blocks; null below four independent blocks"),
    column("resolution_thz", REAL, "width that a single frequency gets from the end of the velocity autocorrelation"),
    column("estimator", TEXT, "velocities or central_differences, which are corrected for what they damp"),
)

STRESS_AUTOCORRELATION = table(
    "stress_autocorrelation",
    "run x lag",
    "run_id",
    column("run_id", TEXT, "the run, at constant volume"),
    column("composition", TEXT, "its composition"),
    column("lag_fs", REAL, "time lag"),
    column("correlation_gpa2", REAL, "of a component of the traceless pressure tensor, mean of its five"),
    column("correlation_error_gpa2", REAL, "standard error from ten blocks"),
    column("viscosity_mpa_s", REAL, "Green-Kubo integral up to this lag: a viscosity only where it is flat"),
    column("viscosity_error_mpa_s", REAL, "standard error from ten blocks"),
    column("block_gpa2", VECTOR, "the correlation in each block; replicas are merged from these"),
    column("volume_angstrom3", REAL, "of the cell"),
    column("temperature_k", REAL, "mean of the run"),
    column("duration_fs", REAL, "length of the run that was used"),
)

TRANSPORT = table(
    "transport",
    "run x element",
    "run_id",
    column("run_id", TEXT, "the run"),
    column("composition", TEXT, "its composition"),
    column("element", TEXT, "the element"),
    column("temperature_k", REAL, "mean of the run"),
    column("diffusion_angstrom2_per_ps", REAL, "Einstein: a sixth of the slope of the mean squared displacement"),
    column("diffusion_error_angstrom2_per_ps", REAL, "standard error from blocks; null below four independent blocks"),
    column("diffusion_n_blocks", WHOLE, "how many; from four, an error is itself known to 40 percent only"),
    column("fit_from_fs", REAL, "start of the lags that the slope was fitted to"),
    column("fit_until_fs", REAL, "their end: an eighth of the run, at most 10 ps"),
    column("diffusion_reason", TEXT, "why there is no such coefficient; null where there is one"),
    column("diffusion_green_kubo_angstrom2_per_ps", REAL, "a third of the integral of the velocity autocorrelation"),
    column("diffusion_green_kubo_error_angstrom2_per_ps", REAL, "standard error from blocks, as above"),
    column("integrated_until_fs", REAL, "end of that integral"),
    column("estimator", TEXT, "velocities or central_differences, which a sum of displacements does not damp"),
    column("diffusion_green_kubo_reason", TEXT, "why there is no such coefficient; null where there is one"),
    column(
        "diffusion_infinite_cell_angstrom2_per_ps", REAL, "Einstein, corrected for periodic images (Yeh and Hummer)"
    ),
    column("diffusion_infinite_cell_error_angstrom2_per_ps", REAL, "standard error, that of the viscosity included"),
    column("cell_edge_angstrom", REAL, "edge of the cubic cell; null for another shape"),
    column("diffusion_infinite_cell_reason", TEXT, "why there is no such coefficient; null where there is one"),
    column("viscosity_mpa_s", REAL, "shear viscosity of the melt after Green and Kubo; the same for each element"),
    column("viscosity_error_mpa_s", REAL, "standard error from blocks"),
    column("viscosity_integrated_until_fs", REAL, "end of the integral: ten correlation times of the stress"),
    column("viscosity_needed_fs", REAL, "how much simulated time an error of 10 percent takes"),
    column("viscosity_duration_fs", REAL, "how much there is, of all replicas together"),
    column("viscosity_n_runs", WHOLE, "replicas merged: runs of the same melt, potential or theory, and protocol"),
    column("viscosity_reason", TEXT, "why there is no viscosity; null where there is one"),
)
