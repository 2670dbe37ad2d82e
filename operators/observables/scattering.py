"""What a run would scatter: its structure factors, as rows. They come from positions, not from g(r)."""

from collections.abc import Iterator

import numpy as np

from operators.observables.findings import Row
from operators.observables.order import FewFrames
from operators.physics.blocks import standard_error
from operators.physics.structure_factor import StructureFactor, bhatia_thornton, partial_structure_factors
from schemas.frames import Floats

Q_MAX_PER_ANGSTROM = 8.0
"""Behind the third peak of any metal; beyond it all curves are 1 within their noise."""


def structure_factors(few: FewFrames, *, n_blocks: int) -> StructureFactor:
    """Structure factors over frames that are spread over a run of so many independent blocks.

    Raises
    ------
    MeltlakeError
        If no wave vector of the cell is short enough.
    """
    return partial_structure_factors(
        few.atomic_numbers,
        few.positions_angstrom,
        cells=few.cell_angstrom,
        q_max_per_angstrom=Q_MAX_PER_ANGSTROM,
        n_blocks=n_blocks,
    )


def structure_factor_rows(factors: StructureFactor, *, n_frames: int) -> list[Row]:
    """Rows of `structure_factor`: partials of Faber and Ziman, and those of Bhatia and Thornton."""
    return [
        {
            "pair": pair,
            "convention": convention,
            "q_per_angstrom": float(q),
            "s": float(s),
            "s_error": float(error),
            "n_vectors": int(n_vectors),
            "n_frames": n_frames,
        }
        for pair, convention, curve, errors in _curves(factors)
        for q, s, error, n_vectors in zip(factors.q_per_angstrom, curve, errors, factors.n_vectors, strict=True)
    ]


def _curves(factors: StructureFactor) -> Iterator[tuple[str, str, Floats, Floats]]:
    """Pair, convention, (n_q,) values, (n_q,) errors."""
    for pair, curve, errors in zip(factors.pairs, factors.faber_ziman, factors.faber_ziman_error, strict=True):
        yield pair, "faber_ziman", curve, errors
    yield "all", "number_number", factors.number_number, factors.number_number_error
    if len(factors.concentrations) == 1:
        return  # its concentration does not fluctuate
    for element in factors.concentrations:
        of_blocks = np.stack([bhatia_thornton(s, factors.concentrations, element) for s in factors.block_s])
        errors = standard_error(of_blocks)
        with_number, alone = factors.of_concentration(element)
        yield element, "number_concentration", with_number, errors[1]
        yield element, "concentration_concentration", alone, errors[2]
