"""Whether a melt is still one: how far its atoms go, and how sharp its diffraction is.

A solid's atoms stay where they are, a crystal's planes scatter in step. Either alone can mislead: a cold melt hardly
flows, a hot crystal diffuses at its surface.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.physics.cells import fractional
from schemas.frames import Floats

THINNED_FS = 50.0
"""Atoms of a melt go less than 1 A in this time: no image is mistaken for another."""

WINDOW_FS = 2e4
"""Only the end of a run is judged: what has frozen stays frozen."""

FULL_LAG_FS = 1e4
SHORTEST_LAG_FS = 1e3
LIQUID_BY_THEN_ANGSTROM2 = 6.25
"""(2.5 A)^2, a neighbour's distance, after the full lag: a diffusion of 1e-9 m^2/s, a tenth of a metallic melt's."""

LARGEST_Q_PER_ANGSTROM = 4.0
"""Beyond the first peak of any metal, and the first Bragg reflections of its crystals."""

SHELL_PER_ANGSTROM = 0.1
MOST_FRAMES = 20
_CRYSTAL_SHARE = 0.05
_LIQUID_SHARE_TIMES_ATOMS = 16.0
"""Of 20 frames over 2 ps and more, melts of 32 to 512 atoms stay below 4.9, crystals that are nearly hot enough to melt
above 0.66 of N. A single frame of a melt may reach 30."""

_FEWEST_VECTORS = 3
"""Of a shell, each standing for its opposite as well; fewer are noise."""


@dataclass(frozen=True, slots=True)
class Displacement:
    """Mean squared displacement at one lag."""

    msd_angstrom2: float
    lag_fs: float

    @property
    def over_limit(self) -> float:
        """Above 1 for a liquid; the limit grows with the lag. At short lags the liquid's rattling counts as well."""
        return self.msd_angstrom2 / (LIQUID_BY_THEN_ANGSTROM2 * self.lag_fs / FULL_LAG_FS)


@dataclass(frozen=True, slots=True)
class FirstPeak:
    """The highest value of the total structure factor, atoms of all elements counting alike.

    A liquid freezes where it reaches 2.85 (Hansen and Verlet, Phys. Rev. 184, 151 (1969)).
    """

    height: float
    q_per_angstrom: float
    bragg_share: float
    """Largest S(q)/N of a single wave vector, about the squared share of atoms that scatter in step: 1 for a crystal at
    rest, a few over N for a liquid. Cells of any size tell it, while a shell of a small one has few vectors."""
    n_atoms: int

    @property
    def over_limit(self) -> float:
        """Of the Bragg share: above 1 for a crystal. Not for fewer than 32 atoms, nor for frames of less than 1 ps."""
        return self.bragg_share / (_CRYSTAL_SHARE + _LIQUID_SHARE_TIMES_ATOMS / self.n_atoms)


def thinned(time_fs: Floats) -> NDArray[np.intp]:
    """Which frames of a run are looked at: those of its last 20 ps, about 50 fs apart and evenly.

    Parameters
    ----------
    time_fs
        (n_frames,), even and increasing.

    Returns
    -------
    NDArray
        (n_chosen,), indices, the last frame among them; empty without a time axis.
    """
    if len(time_fs) < 2 or not np.isfinite(time_fs).all():
        return np.empty(0, dtype=np.intp)
    step = float(time_fs[-1] - time_fs[0]) / (len(time_fs) - 1)
    stride = max(1, int(THINNED_FS / step + 1e-6))
    n_back = min(len(time_fs) - 1, int(WINDOW_FS / step + 1e-6)) // stride
    return len(time_fs) - 1 - stride * np.arange(n_back, -1, -1)


def displacement(positions: Floats, cells: Floats, *, masses_amu: Floats, step_fs: float) -> Displacement | None:
    """Mean squared displacement at 10 ps or, of a shorter run, at half its length; the centre of mass rests.

    Averaged over all time origins and atoms; positions are unwrapped.

    Parameters
    ----------
    positions
        (n_frames, n_atoms, 3), Angstrom, Cartesian, of frames so near that no atom crosses half the cell in between.
    cells
        (n_frames, 3, 3), Angstrom, rows a, b, c.
    masses_amu
        (n_atoms,).
    step_fs
        Between these frames.

    Returns
    -------
    Displacement or None
        None for a run shorter than 2 ps.
    """
    lag = min(int(FULL_LAG_FS / step_fs + 1e-6), (len(positions) - 1) // 2)
    if lag * step_fs < SHORTEST_LAG_FS * (1 - 1e-9):
        return None
    ways = np.diff(fractional(positions, cells), axis=0)
    ways -= np.rint(ways)
    ways = ways @ (0.5 * (cells[1:] + cells[:-1]))
    ways -= np.average(ways, axis=1, weights=masses_amu)[:, None]
    gone = np.concatenate([np.zeros_like(ways[:1]), np.cumsum(ways, axis=0)])
    apart = gone[lag:] - gone[:-lag]
    return Displacement(float(np.einsum("fax,fax->", apart, apart) / (apart.shape[0] * apart.shape[1])), lag * step_fs)


def first_peak(positions: Floats, cells: Floats) -> FirstPeak:
    """Highest value of S(q) = |sum_j exp(i q r_j)|^2 / N on shells of the wave vectors that the cell allows.

    Parameters
    ----------
    positions
        (n_frames, n_atoms, 3), Angstrom, Cartesian, wrapped or not; at most `MOST_FRAMES` of them are taken, evenly.
    cells
        (n_frames, 3, 3), Angstrom, rows a, b, c.
    """
    chosen = np.unique(np.linspace(0, len(positions) - 1, min(MOST_FRAMES, len(positions))).round().astype(int))
    cell = cells[chosen].mean(axis=0)
    numbers = np.floor(LARGEST_Q_PER_ANGSTROM * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int)
    inside = fractional(positions[chosen], cells[chosen])
    intensities = np.mean([_intensities(of_frame, numbers) for of_frame in inside], axis=0)
    return _highest(intensities, _lengths_per_angstrom(cell, numbers), n_atoms=positions.shape[1])


def _intensities(inside: Floats, numbers: NDArray[np.int64]) -> Floats:
    """(n_a + 1, 2 n_b + 1, 2 n_c + 1): |sum_j exp(2 pi i n . s_j)|^2 / N; the other half of the numbers is the same."""
    a, b, c = (
        np.exp(2j * np.pi * np.outer(np.arange(first, last + 1), inside[:, axis])).astype(np.complex64)
        for axis, (first, last) in enumerate(zip([0, *-numbers[1:]], numbers, strict=True))
    )
    sums = (a[:, None] * b).reshape(-1, len(inside)) @ c.T
    intensities: Floats = (sums.real.astype(np.float64) ** 2 + sums.imag.astype(np.float64) ** 2) / len(inside)
    return intensities.reshape(len(a), len(b), len(c))


def _lengths_per_angstrom(cell: Floats, numbers: NDArray[np.int64]) -> Floats:
    """Of the same wave vectors."""
    ranges = [np.arange(first, last + 1) for first, last in zip([0, *-numbers[1:]], numbers, strict=True)]
    along = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1)
    lengths: Floats = 2 * np.pi * np.linalg.norm(along @ np.linalg.inv(cell).T, axis=-1)
    return lengths


def _highest(intensities: Floats, lengths: Floats, *, n_atoms: int) -> FirstPeak:
    within = (lengths > SHELL_PER_ANGSTROM) & (lengths <= LARGEST_Q_PER_ANGSTROM)
    shells = (lengths[within] / SHELL_PER_ANGSTROM).astype(int)
    n_vectors = np.bincount(shells)
    means = np.bincount(shells, intensities[within]) / np.maximum(n_vectors, 1)
    means[n_vectors < _FEWEST_VECTORS] = 0.0
    highest = int(np.argmax(means))
    return FirstPeak(
        height=float(means[highest]),
        q_per_angstrom=(highest + 0.5) * SHELL_PER_ANGSTROM,
        bragg_share=float(intensities[within].max()) / n_atoms,
        n_atoms=n_atoms,
    )
