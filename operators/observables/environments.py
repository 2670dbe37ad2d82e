"""What melt an atom sees within a cutoff: rows of `local_composition`. Coverage of other melts is not told here."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from lake.delta import Lake
from operators.observables.findings import Row
from operators.observables.order import FewFrames
from operators.physics.blocks import blocks, standard_error
from operators.physics.cells import plane_distances_angstrom
from operators.physics.local_composition import Environments, environments, local_composition
from schemas.composition import element_counts
from schemas.frames import Floats
from schemas.rows import real_or_none

R_CUTS_ANGSTROM = (6.0, 7.0, 8.0)
"""Those of the paper's potentials; that of the run's own potential comes beside them."""

FURTHEST_SHARE = 0.525
"""Of the smallest distance between faces. At a half the sphere touches its periodic image; a twentieth further, 2 % of
its atoms are there twice."""


def r_cuts_angstrom(lake: Lake, run: Row) -> list[float]:
    """Cutoffs to look within: the paper's, and that of the potential that drove the run."""
    own = _of_potential(lake, str(run["potential_id"])) if run["potential_id"] else None
    return sorted({*R_CUTS_ANGSTROM, *([] if own is None else [own])})


def local_composition_rows(few: FewFrames, r_cuts_angstrom: Sequence[float], *, n_blocks: int) -> list[Row]:
    """Rows of `local_composition`; a cutoff too long for the cell has a reason instead of numbers.

    Parameters
    ----------
    few
        Frames that are spread over a run; a pure melt has no rows, because nothing fluctuates.
    r_cuts_angstrom
        Radii of the spheres.
    n_blocks
        How many blocks of the run are independent.

    Raises
    ------
    MeltlakeError
        If an atom has no neighbour.
    """
    elements = sorted(element_counts(few.atomic_numbers))
    if len(elements) == 1:
        return []
    width = float(plane_distances_angstrom(few.cell_angstrom).min())
    seen = list(zip(few.positions_angstrom, few.cell_angstrom, strict=True))
    rows: list[Row] = []
    for r_cut in r_cuts_angstrom:
        if r_cut <= FURTHEST_SHARE * width:
            rows += _rows_within(few.atomic_numbers, seen, r_cut, n_blocks=n_blocks)
        else:
            needed = f"{r_cut / FURTHEST_SHARE:.1f} angstrom between faces was needed, found {width:.1f}"
            reason = {"r_cut_angstrom": r_cut, "reason": f"a cell of {needed}"}
            rows += [{"element": element} | reason for element in elements]
    return rows


def _rows_within(
    atomic_numbers: NDArray[np.integer], seen: Sequence[tuple[Floats, Floats]], r_cut: float, *, n_blocks: int
) -> list[Row]:
    of_blocks = [
        environments(atomic_numbers, seen[part], r_cut_angstrom=r_cut)
        for part in blocks(len(seen), n_blocks=max(1, n_blocks))
    ]
    together = reduce(Environments.merged, of_blocks)
    sigmas = [[one.sigma_at_percent for one in local_composition(block)] for block in of_blocks]
    return [
        asdict(one) | {"sigma_error_at_percent": float(error), "n_environments": together.n_environments}
        for one, error in zip(local_composition(together), standard_error(np.array(sigmas)), strict=True)
    ]


def _of_potential(lake: Lake, potential_id: str) -> float | None:
    """None for a potential that the lake does not have, or a tabulated one."""
    potentials = lake.rows("potentials", key=potential_id).to_pylist()
    if not potentials:
        return None
    # A potential of an earlier version of the tables has its cutoff in its recipe only.
    recipes = lake.rows("recipes", key=str(potentials[0]["recipe"])).to_pylist()
    own = real_or_none(potentials[0], "r_cut_angstrom")
    return real_or_none(recipes[0], "r_cut_angstrom") if own is None and recipes else own
