"""Which AIMD runs a simulation is compared with, by rows alone: what `observe` does, and what tells that it is due.

It is the rule of the view `run_pairs`, but for twins that went elsewhere in temperature, which observing tells.
"""

from collections.abc import Mapping, Sequence

from schemas.pairing import is_one_temperature
from schemas.rows import whole

Row = Mapping[str, object]


def parent_of(run: Row, runs: Mapping[str, Row]) -> Row | None:
    """The AIMD run whose frame a simulation started from; None where it has none or the lake does not have it.

    Parameters
    ----------
    run
        The simulation's row of `runs`.
    runs
        Every row, by run.
    """
    return runs.get(str(run["parent_run_id"]))


def of_one_melt(run: Row, runs: Mapping[str, Row]) -> Sequence[Row]:
    """AIMD runs of the composition of a simulation, synthetic as it is."""
    melt = ("aimd", run["composition"], run["synthetic"])
    return [other for other in runs.values() if (other["origin"], other["composition"], other["synthetic"]) == melt]


def partners(
    run: Row, runs: Mapping[str, Row], *, own_k: float | None, known_k: Mapping[str, float | None]
) -> Sequence[Row]:
    """Its parent where that has the same composition; otherwise every AIMD run of the composition at one temperature.

    Parameters
    ----------
    run
        The simulation's row of `runs`.
    runs
        Every row, by run.
    own_k
        Its mean temperature; None where unknown.
    known_k
        Mean temperatures of runs that were observed.
    """
    parent = parent_of(run, runs)
    if parent is not None and parent["composition"] == run["composition"]:
        return [parent]
    return [
        other
        for other in of_one_melt(run, runs)
        if own_k is not None
        and (its_k := known_k.get(str(other["run_id"]))) is not None
        and is_one_temperature(its_k, own_k, n_atoms=whole(other, "n_atoms"))
    ]
