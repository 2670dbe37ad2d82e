"""A potential of the lake by its name, for every verb that is given one."""

from collections.abc import Mapping
from typing import Any

from lake.delta import Lake
from schemas.errors import MeltlakeError

Row = Mapping[str, Any]


def potential_named(lake: Lake, potential_id: str) -> Row:
    """Its row of `potentials`.

    Raises
    ------
    MeltlakeError
        If the lake does not have it.
    """
    rows: list[Row] = lake.rows("potentials", key=potential_id).to_pylist()
    if not rows:
        known = ", ".join(lake.keys("potentials")) or "none"
        raise MeltlakeError(f"There is no potential {potential_id!r}.", f"Train one, or choose one of: {known}.")
    return rows[0]


def require_trained_here(potential: Row, doing: str) -> None:
    """Stop where something is asked that only a training set can answer.

    Raises
    ------
    MeltlakeError
        If the potential was trained elsewhere.
    """
    if potential.get("trained_elsewhere") is not None:
        raise MeltlakeError(
            f"Potential {potential['potential_id']} was trained elsewhere ({potential['trained_elsewhere']}): the lake "
            f"does not have its training set, which {doing} is made from.",
            "Simulate with it, and `meltlake observe --run` each simulation: `agreement` compares it with AIMD.",
        )
