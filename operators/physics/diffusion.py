"""Self-diffusion of each element: slope of the displacement, integral of the velocity, size of the cell.

Einstein: 6 D = d<r^2>/dt where it is straight. Green and Kubo: D = 1/3 int <v(0) v(t)> dt, with central differences of
positions too, because a sum of displacements loses none. A finite periodic cell slows diffusion; Yeh and Hummer, J.
Phys. Chem. B 108, 15873 (2004), eq. 7: D(L) = D - xi k_B T / (6 pi eta L). Where a number would mislead, it is None and
there is a reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.integrate import cumulative_trapezoid

from operators.physics.blocks import standard_error
from operators.physics.msd import MeanSquaredDisplacement
from operators.physics.vacf import VelocityAutocorrelation
from schemas.errors import MeltlakeError
from schemas.frames import Floats
from schemas.units import BOLTZMANN_EV_PER_K, FS_PER_PS, MPA_S_PER_EV_PS_PER_ANGSTROM3

CAGE_FS = 1000.0
"""Until then atoms of a metallic melt fly and rattle in their cage. The slope is not final by then: in a toy melt of
Al, Cu and Ni it falls by another 5 percent until 10 ps, so that only coefficients from one window are compared."""

LONGEST_FIT_FS = 1e4
SHARE_OF_RUN = 8
"""The fit ends at an eighth of the run: four blocks of twice its end are what an error takes, and longer lags have too
few independent origins to sharpen the slope."""

_FEWEST_LAGS = 5
_NOTHING_ANGSTROM2 = 1e-12
_STRAIGHT = (0.7, 1.2)
"""Exponents of a displacement that diffuses: free flight's is 2, a solid's 0, a melt's 1 less what its cage adds."""

_PLATEAU_SHARE = 0.15
_PLATEAU_ERRORS = 2.0
"""The second half of an integral may add so much of it, or so many of its errors, and it still counts as flat."""

XI_CUBIC = 2.837297
"""Of a cube with periodic faces: the self-term of its Ewald sum."""

_CUBIC_TO = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Lags that a slope is fitted to, or that an integral covers."""

    from_fs: float
    until_fs: float

    def __str__(self) -> str:
        return f"{self.from_fs:.0f} to {self.until_fs:.0f} fs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diffusion:
    """Self-diffusion coefficient of one element, with what it was taken from."""

    element: str
    diffusion_angstrom2_per_ps: float | None
    """None where `reason` says why there is none."""
    error_angstrom2_per_ps: float | None
    """Standard error from blocks; None for too few independent ones."""
    window: Window
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Viscous:
    """What slows diffusion in a periodic cell."""

    temperature_k: float
    viscosity_mpa_s: float
    error_mpa_s: float | None = None


def fit_window(duration_fs: float) -> Window:
    """From 1 ps to an eighth of the run, at most 10 ps: behind the cage, and before lags with few time origins."""
    return Window(from_fs=CAGE_FS, until_fs=min(LONGEST_FIT_FS, duration_fs / SHARE_OF_RUN))


def einstein_diffusion(msd: MeanSquaredDisplacement, window: Window | None = None) -> list[Diffusion]:
    """Diffusion of each element from the slope of its mean squared displacement, least squares with an intercept.

    Parameters
    ----------
    msd
        Of a run, up to the window's end or further.
    window
        That of `fit_window` where there is none.

    Returns
    -------
    list of Diffusion
        None with a reason where the displacement ends before the window, the window has too few lags, or the
        displacement does not grow linearly in it.
    """
    window = fit_window(msd.duration_fs) if window is None else window
    if window.until_fs <= window.from_fs:
        reason = (
            f"a run of more than {SHARE_OF_RUN * window.from_fs / FS_PER_PS:.0f} ps was needed for a slope behind the "
            f"cage, found {msd.duration_fs / FS_PER_PS:.3g} ps"
        )
        return [_diffusion(element, window, reason=reason) for element in msd.elements]
    inside = (msd.lag_fs >= window.from_fs * (1 - 1e-9)) & (msd.lag_fs <= window.until_fs * (1 + 1e-9))
    lag_ps, curves = msd.lag_fs[inside] / FS_PER_PS, msd.msd_angstrom2[:, inside]
    if 2 * msd.lag_fs[-1] - msd.lag_fs[-2] < window.until_fs * (1 - 1e-9):  # by more than the step to the next lag
        reason = f"a displacement to the end of {window} was needed, found it to {msd.lag_fs[-1]:.0f} fs"
        return [_diffusion(element, window, reason=reason) for element in msd.elements]
    if len(lag_ps) < _FEWEST_LAGS:
        reason = f"a slope needed {_FEWEST_LAGS} lags from {window}, found {len(lag_ps)}"
        return [_diffusion(element, window, reason=reason) for element in msd.elements]
    slopes = _slopes(lag_ps, curves)
    errors = standard_error(_slopes(lag_ps, msd.block_msd_angstrom2[:, :, inside]))
    rows = []
    for element, curve, slope, error in zip(msd.elements, curves, slopes, errors, strict=True):
        exponent = float(_slopes(np.log(lag_ps), np.log(np.maximum(curve, _NOTHING_ANGSTROM2))))
        if _STRAIGHT[0] <= exponent <= _STRAIGHT[1]:
            rows.append(_diffusion(element, window, slope / 6, error / 6))
        else:
            reason = f"a displacement that grows linearly was needed from {window}, found the power {exponent:.2f}"
            rows.append(_diffusion(element, window, reason=reason))
    return rows


def green_kubo_diffusion(vacf: VelocityAutocorrelation, *, until_fs: float) -> list[Diffusion]:
    """Diffusion of each element from the integral of its velocity autocorrelation, by trapezoids.

    Parameters
    ----------
    vacf
        Of a run, up to `until_fs` or further.
    until_fs
        End of the integral.

    Returns
    -------
    list of Diffusion
        None with a reason where the function ends earlier, or the integral is not flat: its second half adds more than
        15 percent and more than two errors.
    """
    inside = vacf.lag_fs <= until_fs * (1 + 1e-9)
    window = Window(from_fs=0.0, until_fs=until_fs)
    if vacf.lag_fs[-1] < until_fs * (1 - 1e-9) or inside.sum() < _FEWEST_LAGS:
        reason = f"an integral needed {_FEWEST_LAGS} lags from {window}, found them to {vacf.lag_fs[-1]:.0f} fs"
        return [_diffusion(element, window, reason=reason) for element in vacf.elements]
    lag_fs = vacf.lag_fs[inside]
    running = _running(lag_fs, vacf.square_velocity[:, None] * vacf.vacf[:, inside])
    errors = standard_error(_running(lag_fs, vacf.block_vacf[:, :, inside])[:, :, -1])
    rows = []
    for element, integral, error in zip(vacf.elements, running, errors, strict=True):
        added = abs(integral[-1] - integral[len(lag_fs) // 2])
        if added <= max(_PLATEAU_SHARE * abs(integral[-1]), _PLATEAU_ERRORS * np.nan_to_num(error)):
            rows.append(_diffusion(element, window, integral[-1], error))
        else:
            reason = (
                f"an integral that is flat was needed from {window}, found {added:.2g} of {integral[-1]:.2g} "
                "angstrom2/ps in its second half"
            )
            rows.append(_diffusion(element, window, reason=reason))
    return rows


def running_diffusion(vacf: VelocityAutocorrelation) -> Floats:
    """Diffusion integrated up to each lag: (n_elements, n_lags), Angstrom^2/ps."""
    return _running(vacf.lag_fs, vacf.square_velocity[:, None] * vacf.vacf)


def in_an_infinite_cell(diffusion: Diffusion, cell: Floats, melt: Viscous) -> Diffusion:
    """The coefficient that a cell without periodic images would have, after Yeh and Hummer.

    Parameters
    ----------
    diffusion
        In the cell.
    cell
        (3, 3), Angstrom, rows a, b, c.
    melt
        Its temperature and viscosity; the latter hardly depends on the size of the cell.

    Returns
    -------
    Diffusion
        None with a reason for a cell that is no cube, whose constant is another, and without a viscosity.
    """
    if diffusion.diffusion_angstrom2_per_ps is None:
        return diffusion
    edge = edge_of_cube_angstrom(cell)
    if edge is None:
        return _diffusion(diffusion.element, diffusion.window, reason="a cube was needed, found a cell of other shape")
    if not melt.viscosity_mpa_s > 0:
        reason = f"a viscosity above 0 was needed, found {melt.viscosity_mpa_s:g} mPa s"
        return _diffusion(diffusion.element, diffusion.window, reason=reason)
    viscosity = melt.viscosity_mpa_s / MPA_S_PER_EV_PS_PER_ANGSTROM3
    slowed = XI_CUBIC * BOLTZMANN_EV_PER_K * melt.temperature_k / (6 * np.pi * viscosity * edge)
    errors = diffusion.error_angstrom2_per_ps, melt.error_mpa_s
    if errors[0] is None or errors[1] is None:
        error = np.nan
    else:
        error = float(np.hypot(errors[0], slowed * errors[1] / melt.viscosity_mpa_s))
    return _diffusion(diffusion.element, diffusion.window, diffusion.diffusion_angstrom2_per_ps + slowed, error)


def edge_of_cube_angstrom(cell: Floats) -> float | None:
    """Edge of a cell (3, 3), Angstrom, that is nearly a cube, whichever way it is turned; None for another shape."""
    edge = float(np.linalg.norm(cell, axis=1).mean())
    is_cube = np.abs(cell @ cell.T / edge**2 - np.eye(3)).max() <= _CUBIC_TO
    return edge if is_cube else None


def of_replicas(replicas: Sequence[Diffusion]) -> Diffusion:
    """Mean over independent runs of one melt; its error is the scatter of four or more, otherwise their own.

    Parameters
    ----------
    replicas
        Of one element, from one window, by one method.

    Raises
    ------
    MeltlakeError
        If there is none, or they are of several elements or windows.
    """
    kinds = sorted({f"{one.element} from {one.window}" for one in replicas})
    if len(kinds) != 1:
        raise MeltlakeError(
            f"A diffusion coefficient of replicas needed one element and window, found {', '.join(kinds) or 'none'}.",
            "Take the same window of every run.",
        )
    values = [one.diffusion_angstrom2_per_ps for one in replicas if one.diffusion_angstrom2_per_ps is not None]
    if len(values) < len(replicas):
        reason = next(one.reason for one in replicas if one.reason is not None)
        return _diffusion(
            replicas[0].element, replicas[0].window, reason=f"of one of {len(replicas)} replicas, {reason}"
        )
    error = float(standard_error(np.array(values)))
    if np.isnan(error):
        own = [np.nan if one.error_angstrom2_per_ps is None else one.error_angstrom2_per_ps for one in replicas]
        error = float(np.linalg.norm(own)) / len(own)
    return _diffusion(replicas[0].element, replicas[0].window, float(np.mean(values)), error)


def _diffusion(
    element: str, window: Window, value: float | None = None, error: float = np.nan, *, reason: str | None = None
) -> Diffusion:
    return Diffusion(
        element=element,
        diffusion_angstrom2_per_ps=None if value is None else float(value),
        error_angstrom2_per_ps=None if np.isnan(error) else float(error),
        window=window,
        reason=reason,
    )


def _slopes(at: Floats, curves: Floats) -> Floats:
    """(...), least-squares slopes of curves (..., n_lags)."""
    since = at - at.mean()
    slopes: Floats = (curves @ since) / (since @ since)
    return slopes


def _running(lag_fs: Floats, curves: Floats) -> Floats:
    """(..., n_lags), Angstrom^2/ps: integrals from 0 over a third of curves in Angstrom^2/fs^2."""
    integrals: Floats = cumulative_trapezoid(curves, lag_fs, axis=-1, initial=0.0) / 3 * FS_PER_PS
    return integrals
