"""The verb `observe`: observables of a run, or errors of a potential, with error bars, into the lake.

Formulas are in `physics`; estimators' settings and rows are in `observables`, a module per kind of observable; seeds
against each other in `potentials.committee`, the model card in `potentials.card`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from lake.delta import Lake
from operators.failures import remembered
from operators.log import log
from operators.observables.findings import Findings, replace_rows, row_of
from operators.observables.potential_errors import judge
from operators.observables.single_run import OF_ONE_RUN, look_at
from operators.observables.together import OF_SEVERAL_RUNS, finish
from operators.potentials.card import bring_card_up_to_date
from operators.potentials.committee import observe_committee
from operators.potentials.coverage import bring_coverage_up_to_date, cutoff_angstrom
from operators.potentials.evaluation import is_judged
from operators.potentials.named import require_trained_here
from operators.several import attempt
from operators.stale.holdings import Holdings
from operators.stale.observations import due_observations
from schemas.errors import MeltlakeError, StepFailed
from schemas.settings import Settings


def observe_runs(settings: Settings, run_ids: Sequence[str], *, only_due: bool = False) -> dict[str, object]:
    """The same for several runs, one after the other; one that fails is listed with its reason, and the rest goes on.

    Parameters
    ----------
    settings
        Where the lake is.
    run_ids
        The runs.
    only_due
        Leave those out that are observed as they are by now, so that a repeated command repeats nothing.

    Returns
    -------
    dict
        `runs`: one entry per run, as of `observe_run`, or with the reason and an exit code; `rows` of all together;
        `left_out`.
    """
    left_out = _not_due(settings, run_ids) if only_due else []
    entries = [_entry(settings, run_id) for run_id in run_ids if run_id not in left_out]
    rows: Counter[str] = Counter()
    for entry in entries:
        rows.update(entry["rows"])  # type: ignore[call-overload]
    return {"runs": entries, "rows": dict(rows), "left_out": left_out}


def _not_due(settings: Settings, run_ids: Iterable[str]) -> list[str]:
    holdings = Holdings(settings)
    due, known = due_observations(holdings), {run["run_id"] for run in holdings.runs}
    return [run_id for run_id in run_ids if run_id in known and run_id not in due]


def _entry(settings: Settings, run_id: str) -> dict[str, object]:
    """A run's observables; a failure is remembered as if the run had been named alone."""

    def observe() -> dict[str, object]:
        with remembered(Lake(settings.lake), "observe", ["observe", "--run", run_id]):
            return observe_run(settings, run_id)

    found = attempt(observe)
    if not isinstance(found, MeltlakeError):
        return found
    log.warning("observe failed", run_id=run_id, reason=found.problem)
    return {"run_id": run_id, "rows": {}, "skipped": [], **found.entry}


def observe_run(settings: Settings, run_id: str) -> dict[str, object]:
    """Compute and store the observables of a run; what it does not allow is left out and said under `skipped`.

    Averages are over accepted frames. A run without any still gets its row of `thermodynamics`, with no means.

    Raises
    ------
    MeltlakeError
        If the lake does not have the run.
    """
    lake = Lake(settings.lake)
    run = row_of(lake, "runs", run_id, remedy="`meltlake status` lists the runs it has.")
    found = Findings.of_tables((*OF_ONE_RUN, *OF_SEVERAL_RUNS))
    look_at(lake, run, found)
    common = {"run_id": run_id, "composition": run["composition"]}
    found.rows = {table: [common | row for row in rows] for table, rows in found.rows.items()}
    for table in OF_ONE_RUN:
        replace_rows(lake, table, run_id, found.rows[table])
    finish(lake, run, found)
    log.info("observe", run_id=run_id, **found.n_rows, skipped=found.skipped)
    return {"run_id": run_id, "rows": found.n_rows, "skipped": found.skipped}


def observe_potential(settings: Settings, potential_id: str) -> dict[str, object]:
    """Store a potential's errors on every composition and split of its training set, and what its committee says.

    With them goes the coverage: how much of each melt's environments within the cutoff the training set knows. Done
    once for a model file; the committee is judged again when a potential of another seed has come, and on frames that
    the lake has got since.

    Raises
    ------
    MeltlakeError
        If the lake does not have the potential or its training set, or files of them are gone.
    """
    lake = Lake(settings.lake)
    potential = row_of(lake, "potentials", potential_id, remedy="`meltlake status` lists the potentials it has.")
    require_trained_here(potential, "its errors by composition and split")
    made = row_of(lake, "training_sets", str(potential["training_set_id"]), remedy="Run `meltlake materialize` again.")
    before = {table: lake.version(table) for table in ("rmse", "committees", "coverage")}
    if not is_judged(lake, potential):
        judge(settings, lake, potential)
    skipped: list[str] = []
    try:
        committee = observe_committee(settings, lake, potential_id)
    except StepFailed as reason:  # the model of another seed is gone: no fault of this one
        committee = None
        skipped.append(reason.problem)
    n_covered = 0
    if (r_cut := cutoff_angstrom(lake, potential)) is not None:
        n_covered = bring_coverage_up_to_date(lake, made, r_cut_angstrom=r_cut)
    for member in committee.potentials if committee else (potential,):
        bring_card_up_to_date(settings, member, committee=committee)
    changed = before != {table: lake.version(table) for table in before}
    n_rows = {table: lake.n_rows(table, potential_id) for table in ("rmse", "parity")}
    n_rows["committee_frames"] = lake.n_rows("committee_frames", committee.committee_id) if committee else 0
    n_rows["coverage"] = n_covered
    log.info("observe", potential_id=potential_id, **n_rows, changed=changed, skipped=skipped)
    members = committee.potential_ids if committee else []
    return {"potential_id": potential_id, "rows": n_rows, "committee": members, "changed": changed, "skipped": skipped}
