"""Where atoms are relative to each other: radial distribution functions of a run and its short-range order, as rows.

Diffraction is `scattering`'s, what an atom sees within a potential's cutoff is `environments`'.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from operators.observables.findings import Row
from operators.physics.cells import volumes_angstrom3
from operators.physics.first_shell import FirstShell, first_shells
from operators.physics.rdf import RadialDistribution, largest_radius_angstrom, partial_rdf
from operators.physics.vectors import Chosen, finite_frames
from schemas.composition import element_counts
from schemas.errors import MeltlakeError
from schemas.frames import Floats, Trajectory

R_MAX_ANGSTROM = 10.0
BINS_PER_ANGSTROM = 20
SMALLEST_R_MAX_ANGSTROM = 2.0
"""A cell that shows less shows no two atoms of a metal side by side."""

MOST_ATOMS = 1 << 17
"""Of all frames together, for observables that need few frames: 256 of 512 atoms, 32 of 4096."""
FEWEST_FRAMES = 20


def radial_distribution(frames: Trajectory, whole: NDArray[np.bool_], *, n_blocks: int = 0) -> RadialDistribution:
    """Radial distribution functions over the averaged frames of a run, as far as its cell allows.

    Parameters
    ----------
    frames
        The run.
    whole
        (n_frames,), `whole_frames` of it.
    n_blocks
        How many blocks of the run are independent.

    Raises
    ------
    MeltlakeError
        If no averaged frame is whole, or the cell is too small to show neighbours.
    """
    if not whole.any():
        raise MeltlakeError(
            f"Radial distribution functions of run {frames.run_id}: needed accepted frames with all positions and a "
            "cell, found none.",
            "`meltlake validate` says why its frames were rejected.",
        )
    limit = largest_radius_angstrom(frames.cell_angstrom[whole])
    if limit < SMALLEST_R_MAX_ANGSTROM:
        raise MeltlakeError(
            f"Radial distribution functions of run {frames.run_id}: needed a cell of "
            f"{2 * SMALLEST_R_MAX_ANGSTROM:g} angstrom between faces, found {2 * limit:.2f}.",
            "Simulate a larger cell.",
        )
    n_bins = int(min(R_MAX_ANGSTROM, limit) * BINS_PER_ANGSTROM + 1e-9)
    return partial_rdf(
        frames.atomic_numbers,
        Chosen.of(frames.positions_angstrom, whole),
        cells=frames.cell_angstrom[whole],
        r_max_angstrom=n_bins / BINS_PER_ANGSTROM,
        n_bins=n_bins,
        n_blocks=n_blocks,
    )


def whole_frames(frames: Trajectory) -> NDArray[np.bool_]:
    """(n_frames,): averaged frames whose positions and cell are all finite."""
    return frames.averaged & finite_frames(frames.positions_angstrom) & finite_frames(frames.cell_angstrom)


@dataclass(frozen=True, slots=True)
class FewFrames:
    """Frames of a run that are enough for what needs few, all in memory."""

    atomic_numbers: NDArray[np.int8]
    """(n_atoms,)."""
    positions_angstrom: Floats
    """(n_chosen, n_atoms, 3)."""
    cell_angstrom: Floats
    """(n_chosen, 3, 3)."""


def spread_frames(frames: Trajectory, whole: NDArray[np.bool_]) -> FewFrames:
    """Whole frames, evenly spread over the run, of as many atoms together as are enough."""
    numbers = np.flatnonzero(whole)
    n_chosen = min(len(numbers), max(FEWEST_FRAMES, MOST_ATOMS // frames.n_atoms))
    chosen: NDArray[np.intp] = numbers[np.linspace(0, len(numbers) - 1, n_chosen).round().astype(int)]
    positions = Chosen.of(frames.positions_angstrom, chosen).in_memory()
    return FewFrames(frames.atomic_numbers, positions, frames.cell_angstrom[chosen])


def neighbourhoods(
    curves: RadialDistribution, frames: Trajectory, *, r_min_angstrom: float | None = None
) -> list[FirstShell]:
    """First shells of every ordered pair of elements, from the curves of the run's whole frames.

    Parameters
    ----------
    curves
        Of these frames.
    frames
        The run.
    r_min_angstrom
        Up to where neighbours are counted; None: up to the first minimum of the run's own total g.
    """
    volume = float(volumes_angstrom3(frames.cell_angstrom[whole_frames(frames)]).mean())
    counts = element_counts(frames.atomic_numbers)
    return first_shells(curves, counts=counts, volume_angstrom3=volume, r_min_angstrom=r_min_angstrom)


def rdf_rows(curves: RadialDistribution) -> list[Row]:
    """Rows of `rdf`."""
    return [
        {"pair": pair, "r_angstrom": float(r), "g": float(g), "g_error": float(error)}
        for pair, its_g, its_error in zip(curves.pairs, curves.g, curves.g_error, strict=True)
        for r, g, error in zip(curves.r_angstrom, its_g, its_error, strict=True)
    ]


def short_range_order_rows(shells: Sequence[FirstShell]) -> list[Row]:
    """Rows of `short_range_order`."""
    rows = []
    for shell in shells:
        row = asdict(shell)
        rows.append(row.pop("order") | row)
    return rows
