"""Shear viscosity of a melt from the fluctuations of its pressure tensor, after Green and Kubo.

    eta = V / (10 k_B T) int_0^inf <P(0) : P(t)> dt

over the symmetric traceless part of the tensor, whose five independent components all count (Daivis and Evans, J.
Chem. Phys. 100, 541 (1994)). The integral ends at ten correlation times (Madras and Sokal, J. Stat. Phys. 50,
109 (1988), whose tau is the integral up to there): an exponential has then given all but 5e-5 of itself, and later lags
give noise. That noise is known beforehand: for Gaussian fluctuations the integral to t_c from a run of length t_run has
the relative error 2 sqrt(t_c / (5 t_run)). A run that is too short for 10 percent is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.integrate import cumulative_trapezoid

from operators.physics.blocks import MOST_BLOCKS, blocks, standard_error
from operators.physics.cells import volumes_angstrom3
from operators.physics.lagged_products import lagged_products, n_origins
from operators.physics.motion import at_rest, sampling_fs
from operators.physics.vectors import in_batches
from schemas.errors import MeltlakeError
from schemas.frames import Floats, Vectors
from schemas.units import (
    BOLTZMANN_EV_PER_K,
    EV_PER_AMU_ANGSTROM2_PER_FS2,
    FS_PER_PS,
    GPA_PER_EV_PER_ANGSTROM3,
    MPA_S_PER_EV_PS_PER_ANGSTROM3,
)

LARGEST_RELATIVE_ERROR = 0.1
"""What a run must be long enough for."""

_INDEPENDENT_COMPONENTS = 5
_CORRELATION_TIMES = 10.0
_LAGS_PER_BLOCK = 0.5
"""Of a block's length: later lags have too few origins in the last block."""

_LEAST_AFTER_ONE_STEP = 0.7
"""Of the value at lag 0: trapezoids of an exponential are then right to 1 percent."""

_PLATEAU_SHARE = 0.1
_PLATEAU_ERRORS = 2.0
"""The second half of the integral may add so much of it, or so many errors, and it still counts as flat."""

_LARGEST_BLOCK_RATIO = 1.2

_WHAT = "A stress autocorrelation"


@dataclass(frozen=True, slots=True, kw_only=True)
class StressAutocorrelation:
    """Autocorrelation of a component of the traceless pressure tensor, averaged over all five, of one or more runs."""

    lag_fs: Floats
    """(n_lags,), from 0."""
    block_gpa2: Floats
    """(n_blocks, n_lags), GPa^2, of blocks of time origins, all of about the same length."""
    volume_angstrom3: float
    temperature_k: float
    duration_fs: float
    """Of all runs together."""

    @property
    def gpa2(self) -> Floats:
        """(n_lags,), GPa^2, mean over blocks."""
        mean: Floats = self.block_gpa2.mean(axis=0)
        return mean

    def viscosity_mpa_s(self, correlation: Floats) -> Floats:
        """Integrals up to each lag of (..., n_lags) in GPa^2: (..., n_lags), mPa s."""
        stress = correlation / GPA_PER_EV_PER_ANGSTROM3**2
        integral = cumulative_trapezoid(stress, self.lag_fs / FS_PER_PS, axis=-1, initial=0.0)
        kT = BOLTZMANN_EV_PER_K * self.temperature_k
        viscosities: Floats = self.volume_angstrom3 / kT * integral * MPA_S_PER_EV_PS_PER_ANGSTROM3
        return viscosities

    @staticmethod
    def merged(replicas: Sequence["StressAutocorrelation"]) -> "StressAutocorrelation":
        """Of independent runs of one melt, over the lags that all have.

        Raises
        ------
        MeltlakeError
            If there is none, their steps differ, or one has blocks much longer than another: they would weigh alike.
        """
        n_lags = min((len(one.lag_fs) for one in replicas), default=0)
        if n_lags < 2 or any(not np.allclose(one.lag_fs[:n_lags], replicas[0].lag_fs[:n_lags]) for one in replicas):
            raise MeltlakeError(
                "A viscosity needed runs with one time between frames, found none or several.",
                "Combine replicas of one protocol.",
            )
        weights = [one.duration_fs for one in replicas]
        block_lengths = [one.duration_fs / len(one.block_gpa2) for one in replicas]
        if max(block_lengths) > _LARGEST_BLOCK_RATIO * min(block_lengths):
            raise MeltlakeError(
                f"A viscosity needed runs of about one length, found {min(weights) / FS_PER_PS:g} to "
                f"{max(weights) / FS_PER_PS:g} ps.",
                "Leave out the short ones, or cut the long ones.",
            )
        return StressAutocorrelation(
            lag_fs=replicas[0].lag_fs[:n_lags],
            block_gpa2=np.concatenate([one.block_gpa2[:, :n_lags] for one in replicas]),
            volume_angstrom3=float(np.average([one.volume_angstrom3 for one in replicas], weights=weights)),
            temperature_k=float(np.average([one.temperature_k for one in replicas], weights=weights)),
            duration_fs=sum(weights),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Viscosity:
    """Shear viscosity, with what it was taken from."""

    viscosity_mpa_s: float | None
    """None where `reason` says why there is none."""
    error_mpa_s: float | None
    """Standard error from blocks."""
    integrated_to_fs: float | None
    """Ten correlation times of the stress; None where the stress does not decay."""
    needed_fs: float | None
    """How long a run for a relative error of `LARGEST_RELATIVE_ERROR` is."""
    reason: str | None = None


def pressure_tensors_gpa(
    virial_ev: Floats, cells: Floats, *, masses_amu: Floats, velocities: Floats | Vectors
) -> Floats:
    """Pressure tensor of each frame: virial and kinetic part, sum_i m_i v_i v_i, over the volume.

    Parameters
    ----------
    virial_ev
        (n_frames, 3, 3), eV, positive trace when the melt pushes outward, without kinetic part.
    cells
        (n_frames, 3, 3), Angstrom, rows a, b, c.
    masses_amu
        (n_atoms,), amu.
    velocities
        (n_frames, n_atoms, 3), Angstrom/fs; the drift of the centre of mass is no pressure.

    Returns
    -------
    Floats
        (n_frames, 3, 3), GPa.
    """
    kinetic = np.empty_like(virial_ev)
    for frames, batch in in_batches(velocities):
        peculiar = at_rest(batch, masses_amu)
        kinetic[frames] = np.einsum("a,fax,fay->fxy", masses_amu, peculiar, peculiar, optimize=True)
    kinetic *= EV_PER_AMU_ANGSTROM2_PER_FS2
    tensors: Floats = (virial_ev + kinetic) / volumes_angstrom3(cells)[:, None, None] * GPA_PER_EV_PER_ANGSTROM3
    return tensors


def stress_autocorrelation(
    pressures_gpa: Floats, *, time_fs: Floats, volume_angstrom3: float, temperature_k: float
) -> StressAutocorrelation:
    """Autocorrelation of the traceless pressure tensor, in ten blocks, up to half of a block.

    Parameters
    ----------
    pressures_gpa
        (n_frames, 3, 3), GPa, of every frame: virial and kinetic part.
    time_fs
        (n_frames,), fs, even.
    volume_angstrom3, temperature_k
        Means of the run.

    Raises
    ------
    MeltlakeError
        If the time axis is missing or uneven, a component is not finite, or there are too few frames for ten blocks.
    """
    step_fs = sampling_fs(time_fs, what=_WHAT)
    if not np.isfinite(pressures_gpa).all():
        raise MeltlakeError(f"{_WHAT} needed the stress of every frame, found some without.", "Leave the run out.")
    n_frames = len(pressures_gpa)
    n_lags = int(n_frames / MOST_BLOCKS * _LAGS_PER_BLOCK) + 1
    if n_lags < 3:
        raise MeltlakeError(f"{_WHAT} needed 40 frames or more, found {n_frames}.", "Use a longer run.")
    symmetric = 0.5 * (pressures_gpa + np.swapaxes(pressures_gpa, 1, 2))
    traceless = symmetric - np.trace(symmetric, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    parts = blocks(n_frames, n_blocks=MOST_BLOCKS)
    # Of nine components, a diagonal one has 4/3 of the variance of another: together they weigh ten.
    of_blocks = [
        lagged_products(traceless, part, n_lags=n_lags) / (10 * n_origins(n_frames, part, n_lags=n_lags))
        for part in parts
    ]
    return StressAutocorrelation(
        lag_fs=np.arange(n_lags, dtype=np.float64) * step_fs,
        block_gpa2=np.stack(of_blocks),
        volume_angstrom3=volume_angstrom3,
        temperature_k=temperature_k,
        duration_fs=float(n_frames * step_fs),
    )


def needed_duration_fs(integrated_to_fs: float, relative_error: float = LARGEST_RELATIVE_ERROR) -> float:
    """Length of a run for a relative error of its viscosity: see the formula of the module."""
    return 4 * integrated_to_fs / (_INDEPENDENT_COMPONENTS * relative_error**2)


def viscosity(stress: StressAutocorrelation) -> Viscosity:
    """Shear viscosity from a stress autocorrelation; None with a reason where the run cannot tell it."""
    curve = stress.gpa2
    running, of_blocks = stress.viscosity_mpa_s(curve), stress.viscosity_mpa_s(stress.block_gpa2)
    if not curve[0] > 0:
        return _none("a stress that fluctuates was needed, found none")
    if curve[1] < _LEAST_AFTER_ONE_STEP * curve[0]:
        return _none(
            f"a stress every few femtoseconds was needed, found it to lose {1 - curve[1] / curve[0]:.0%} of its "
            f"correlation in {stress.lag_fs[1]:g} fs"
        )
    correlation_fs = cumulative_trapezoid(curve / curve[0], stress.lag_fs, initial=0.0)
    ends = np.flatnonzero((stress.lag_fs >= _CORRELATION_TIMES * correlation_fs) & (stress.lag_fs > 0))
    if not len(ends):
        return _none(f"a stress that decays within {stress.lag_fs[-1]:.0f} fs was needed, found one that does not")
    end = int(ends[0])
    integrated_to, value = float(stress.lag_fs[end]), float(running[end])
    needed, error = needed_duration_fs(integrated_to), float(standard_error(of_blocks[:, end]))
    if stress.duration_fs < needed:
        return _none(
            f"stress for {needed / FS_PER_PS:.0f} ps was needed, since it is correlated for {integrated_to:.0f} fs, "
            f"found it for {stress.duration_fs / FS_PER_PS:.0f} ps",
            integrated_to_fs=integrated_to,
        )
    added = abs(value - float(running[end // 2]))
    if value <= 0 or added > max(_PLATEAU_SHARE * value, _PLATEAU_ERRORS * error):
        flat = f"an integral that is flat by {integrated_to:.0f} fs was needed"
        reason = f"{flat}, found {added:.2g} of {value:.2g} mPa s in its second half"
        return _none(reason, integrated_to_fs=integrated_to)
    return Viscosity(
        viscosity_mpa_s=value, error_mpa_s=error, integrated_to_fs=integrated_to, needed_fs=needed, reason=None
    )


def _none(reason: str, *, integrated_to_fs: float | None = None) -> Viscosity:
    return Viscosity(
        viscosity_mpa_s=None,
        error_mpa_s=None,
        integrated_to_fs=integrated_to_fs,
        needed_fs=None if integrated_to_fs is None else needed_duration_fs(integrated_to_fs),
        reason=reason,
    )
