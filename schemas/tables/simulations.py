"""What a simulation leaves beside its frames: its committee on the way, and the pressure between frames."""

from schemas.tables.description import REAL, TEXT, VECTOR, WHOLE, column, table

MODEL_DEVIATIONS = table(
    "model_deviations",
    "simulation x sample: how far the committee disagrees on the way, as DeePMD defines it",
    "run_id",
    column("run_id", TEXT, "the simulation"),
    column("composition", TEXT, "its composition"),
    column("frame", WHOLE, "the frame of the run that it belongs to"),
    column("time_fs", REAL, "time since the first frame"),
    column("max_deviation_force_mev_per_angstrom", REAL, "length of an atom's deviation, largest of any atom"),
    column("min_deviation_force_mev_per_angstrom", REAL, "the same, smallest of any atom"),
    column("mean_deviation_force_mev_per_angstrom", REAL, "the same, mean over atoms"),
)

PRESSURE_TENSORS = table(
    "pressure_tensors",
    "simulation x time: the pressure between frames, every 5 fs or less, in nvt and nve runs",
    "run_id",
    column("run_id", TEXT, "the simulation"),
    column("composition", TEXT, "its composition"),
    column("time_fs", REAL, "time since the first frame"),
    column("pressure_gpa", VECTOR, "9 values, row-major; virial and kinetic part, positive when compressed"),
)
