"""The last step of observing a run: what it takes several runs for, and then the row that marks the run as observed.

Runs may be observed at the same time by several processes, each of which sees what the others have finished. On a local
lake one at a time is at this step; in a bucket, where nothing is held, it is done again when another run was finished
meanwhile.
"""

from collections.abc import Mapping
from math import sqrt

from lake.delta import Lake
from operators.observables.findings import Findings, Row, replace_rows, without_nan
from operators.observables.melts import Melts, Observed
from operators.observables.series import mixing_enthalpy_row, series_id, thermal_expansion_row
from operators.observables.stress import stress_from_rows
from operators.observables.transport import with_viscosity
from operators.physics.viscosity import StressAutocorrelation, Viscosity, viscosity

OF_SEVERAL_RUNS = ("transport", "thermal_expansion", "mixing_enthalpy", "thermodynamics")
"""Tables that are stored here, in this order."""

MARK = "thermodynamics"
"""The table that is written last: a run with a row of as many frames as it has, of today's version, is observed."""

_SAME_STEP_FS = 1e-6
_LONGEST_RATIO = sqrt(1.2)
"""To either side, so that none of the chosen is longer than 1.2 times another: see `StressAutocorrelation.merged`."""


def finish(lake: Lake, run: Row, found: Findings) -> None:
    """Store what takes several runs, and last the means of this one.

    Parameters
    ----------
    lake
        Where everything else of the run is stored already.
    run
        Its row of `runs`.
    found
        Its rows; those of `thermal_expansion` and `mixing_enthalpy` are added for what they say of this run.
    """
    run_id = str(run["run_id"])
    with lake.writing("observables", doing=f"finishing the observables of run {run_id}"):
        while True:
            before = lake.version(MARK)
            _store_together(lake, run, found)
            replace_rows(lake, MARK, run_id, found.rows[MARK])
            if lake.version(MARK) <= before + 1:
                return


def _store_together(lake: Lake, run: Row, found: Findings) -> None:
    run_id = str(run["run_id"])
    [means] = found.rows[MARK] or [{"n_averaged": 0}]
    melts = Melts(lake, run, without_nan(means))
    _store_transport(lake, melts, found)
    if melts.own.is_at_constant_pressure:
        found.rows["thermal_expansion"] = [thermal_expansion_row(melts)]
        replace_rows(lake, "thermal_expansion", series_id(melts.own), found.rows["thermal_expansion"])
    mixtures = {alloy.run_id: mixing_enthalpy_row(melts, alloy) for alloy in melts.alloys()}
    found.rows["mixing_enthalpy"] = [mixtures[run_id]] if run_id in mixtures else []
    for name, row in ({run_id: None} | mixtures).items():
        replace_rows(lake, "mixing_enthalpy", name, [] if row is None else [row])


def _store_transport(lake: Lake, melts: Melts, found: Findings) -> None:
    """Rows of the run and of its replicas, each with the viscosity of all that can be put together with it."""
    stresses = {one.run_id: stress for one in melts.replicas() if (stress := _stress(lake, one)) is not None}
    own, why_not = melts.own.run_id, found.reasons.get("stress_autocorrelation", "a stress was needed, found none")
    if not melts.is_liquid(melts.own):
        why_not = "a melt was needed, found what the gate takes for a solid"
    for run_id in {own, *stresses}:
        rows = found.rows["transport"] if run_id == own else lake.rows("transport", key=run_id).to_pylist()
        chosen = _replicas(stresses, run_id)
        melt = viscosity(StressAutocorrelation.merged(chosen)) if chosen else _no_viscosity(why_not)
        duration_fs = sum(one.duration_fs for one in chosen) if chosen else None
        filled = [with_viscosity(row, melt, duration_fs=duration_fs, n_runs=len(chosen)) for row in rows]
        replace_rows(lake, "transport", run_id, filled)
        if run_id == own:
            found.rows["transport"] = filled


def _replicas(stresses: Mapping[str, StressAutocorrelation], run_id: str) -> list[StressAutocorrelation]:
    """Those that may be put together with one of them: of one sampling, and of about one length."""
    if run_id not in stresses:
        return []
    own = stresses[run_id]
    return [
        other
        for _, other in sorted(stresses.items())
        if abs(other.lag_fs[1] - own.lag_fs[1]) < _SAME_STEP_FS
        and max(other.duration_fs, own.duration_fs) <= _LONGEST_RATIO * min(other.duration_fs, own.duration_fs)
    ]


def _no_viscosity(reason: str) -> Viscosity:
    return Viscosity(viscosity_mpa_s=None, error_mpa_s=None, integrated_to_fs=None, needed_fs=None, reason=reason)


def _stress(lake: Lake, one: Observed) -> StressAutocorrelation | None:
    rows = lake.rows("stress_autocorrelation", key=one.run_id).to_pylist()
    return stress_from_rows(rows) if rows else None
