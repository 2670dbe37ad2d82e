"""How atoms move: velocity autocorrelation of a run, as rows. The comparison with AIMD is `agreement`'s."""

from operators.observables.comparison import LARGEST_STEP_FS, require_one_dynamics
from operators.observables.findings import Row
from operators.physics.motion import sampling_fs
from operators.physics.vacf import VelocityAutocorrelation, vacf_from_positions, vacf_from_velocities
from schemas.errors import MeltlakeError
from schemas.frames import Trajectory

LONGEST_LAG_FS = 1000.0


def velocity_autocorrelation(frames: Trajectory, *, n_blocks: int) -> VelocityAutocorrelation:
    """From central differences wherever they can be trusted, so that AIMD and its twins go through one estimator.

    Every frame counts, accepted or not: an atom passes through all of them.

    Raises
    ------
    MeltlakeError
        If the run has no even time axis, too few frames, or atoms whose motion cannot be told.
    """
    require_one_dynamics(frames)
    step = sampling_fs(frames.time_fs, what="A velocity autocorrelation")
    if step <= LARGEST_STEP_FS:
        return vacf_from_positions(
            frames.atomic_numbers,
            frames.positions_angstrom,
            cells=frames.cell_angstrom,
            time_fs=frames.time_fs,
            longest_lag_fs=LONGEST_LAG_FS,
            n_blocks=n_blocks,
        )
    if frames.velocities_angstrom_per_fs is None:
        raise MeltlakeError(
            f"Velocity autocorrelation of run {frames.run_id}: needed velocities or a frame every "
            f"{LARGEST_STEP_FS:.0f} fs, found a frame every {step:g} fs.",
            "Save the run more often.",
        )
    return vacf_from_velocities(
        frames.atomic_numbers,
        frames.velocities_angstrom_per_fs,
        time_fs=frames.time_fs,
        longest_lag_fs=LONGEST_LAG_FS,
        n_blocks=n_blocks,
    )


def vacf_rows(decay: VelocityAutocorrelation) -> list[Row]:
    """Rows of `vacf`."""
    return [
        {
            "element": element,
            "lag_fs": float(lag),
            "vacf": float(value),
            "vacf_error": float(error),
            "estimator": decay.estimator,
        }
        for element, values, errors in zip(decay.elements, decay.vacf, decay.vacf_error, strict=True)
        for lag, value, error in zip(decay.lag_fs, values, errors, strict=True)
    ]
