"""How atoms move: velocity autocorrelation, vibrations and displacements of a run, as rows. Coefficients: `transport`.

Every frame from where the run is equilibrated counts, accepted or not: an atom passes through all of them. The
comparison with AIMD is `agreement`'s.
"""

from dataclasses import replace

import numpy as np

from operators.observables.comparison import LARGEST_STEP_FS, require_one_dynamics
from operators.observables.findings import Row
from operators.physics.diffusion import CAGE_FS, fit_window
from operators.physics.motion import sampling_fs
from operators.physics.msd import MeanSquaredDisplacement, mean_squared_displacement
from operators.physics.vacf import VelocityAutocorrelation, vacf_from_positions, vacf_from_velocities
from operators.physics.vectors import Chosen
from operators.physics.vibrations import VibrationalDensity, vibrational_density
from schemas.errors import MeltlakeError
from schemas.frames import Trajectory

LONGEST_LAG_FS = 1000.0

SHORTEST_LAG_FS = 500.0
"""Of a velocity autocorrelation that has a spectrum worth looking at: 2 THz wide, where a metal's modes end at 10."""

LARGEST_STEP_OF_VELOCITIES_FS = 20.0
"""Vibrations up to 25 THz are seen, all of a metal's; faster ones would fold back into spectrum and integral."""

HIGHEST_THZ = 50.0

MOST_LAGS = 500
"""Rows of a displacement: it is smooth, and a long run has ten thousand lags."""


def in_equilibrium(frames: Trajectory) -> Trajectory:
    """The run from where it is equilibrated on."""
    if frames.equilibrated_from_fs is None:
        return frames
    late = ~(frames.time_fs < frames.equilibrated_from_fs - 1e-6)
    if late.all():
        return frames
    since = slice(int(np.argmax(late)), None)
    velocities = frames.velocities_angstrom_per_fs
    return replace(
        frames,
        time_fs=frames.time_fs[since],
        cell_angstrom=frames.cell_angstrom[since],
        positions_angstrom=Chosen.of(frames.positions_angstrom, since),
        energy_ev=frames.energy_ev[since],
        virial_trace_ev=frames.virial_trace_ev[since],
        temperature_k=frames.temperature_k[since],
        accepted=frames.accepted[since],
        label_source=frames.label_source[since],
        velocities_angstrom_per_fs=None if velocities is None else Chosen.of(velocities, since),
    )


def time_between_frames_fs(frames: Trajectory) -> float:
    """Of a run whose atoms can be followed at all.

    Raises
    ------
    MeltlakeError
        If frames are not evenly spaced in time, or VASP's own force field gave the forces of some.
    """
    require_one_dynamics(frames)
    return sampling_fs(frames.time_fs, what=f"Motion of the atoms of run {frames.run_id}")


def velocity_autocorrelation(frames: Trajectory, *, n_blocks: int) -> VelocityAutocorrelation:
    """From central differences wherever they can be trusted, so that AIMD and its twins go through one estimator.

    Raises
    ------
    MeltlakeError
        If the run has no even time axis, too few frames, or atoms whose motion cannot be told.
    """
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


def spectrum(decay: VelocityAutocorrelation) -> VibrationalDensity:
    """Vibrational density of states, where the velocity autocorrelation is long and fine enough for one.

    Raises
    ------
    MeltlakeError
        If it is not.
    """
    step, longest = float(decay.lag_fs[1]), float(decay.lag_fs[-1])
    if longest + step <= SHORTEST_LAG_FS or step > LARGEST_STEP_OF_VELOCITIES_FS:
        raise MeltlakeError(
            f"A vibrational density of states needed a velocity autocorrelation to {SHORTEST_LAG_FS:.0f} fs in steps "
            f"of at most {LARGEST_STEP_OF_VELOCITIES_FS:.0f} fs, found it to {longest:.0f} fs in steps of {step:g} fs.",
            "Use a longer run, or save it more often.",
        )
    return vibrational_density(decay)


def vibrational_density_rows(density: VibrationalDensity, decay: VelocityAutocorrelation) -> list[Row]:
    """Rows of `vibrational_density`, from the spectrum of that decay."""
    return [
        {
            "element": element,
            "frequency_thz": float(frequency),
            "density_per_thz": float(value),
            "density_error_per_thz": float(error),
            "resolution_thz": density.resolution_thz,
            "estimator": decay.estimator,
        }
        for element, values, errors in zip(
            density.elements, density.density_per_thz, density.density_error_per_thz, strict=True
        )
        for frequency, value, error in zip(density.frequency_thz, values, errors, strict=True)
        if frequency <= HIGHEST_THZ
    ]


def displacements(frames: Trajectory, *, n_blocks: int) -> MeanSquaredDisplacement:
    """Mean squared displacements to the end of the window that diffusion is fitted in; of a short run, a bit further.

    Raises
    ------
    MeltlakeError
        If the run has too few frames, or atoms whose motion cannot be told.
    """
    duration_fs, step_fs = float(frames.time_fs[-1] - frames.time_fs[0]), sampling_fs(frames.time_fs)
    longest_fs = max(fit_window(duration_fs).until_fs, min(CAGE_FS, duration_fs / 4), 2 * step_fs)
    return mean_squared_displacement(
        frames.atomic_numbers,
        frames.positions_angstrom,
        cells=frames.cell_angstrom,
        time_fs=frames.time_fs,
        longest_lag_fs=longest_fs,
        n_blocks=n_blocks,
    )


def msd_rows(paths: MeanSquaredDisplacement) -> list[Row]:
    """Rows of `msd`, of every lag or of every so many."""
    every = slice(None, None, -(-len(paths.lag_fs) // MOST_LAGS))
    return [
        {
            "element": element,
            "lag_fs": float(lag),
            "msd_angstrom2": float(value),
            "msd_error_angstrom2": float(error),
        }
        for element, values, errors in zip(paths.elements, paths.msd_angstrom2, paths.msd_error_angstrom2, strict=True)
        for lag, value, error in zip(paths.lag_fs[every], values[every], errors[every], strict=True)
    ]
