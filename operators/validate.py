"""Validate: judge stored frames again by today's rules, without their raw files. `ingest` judges them first."""

from collections.abc import Iterable
from functools import partial

from lake.delta import Lake
from lake.gate import Gate, RuleGate, Verdict
from operators.campaign import campaign_of
from operators.data_docs import write_data_docs
from operators.log import log
from operators.runs.storing import known_run, rewrite_run
from operators.several import attempt
from schemas.errors import MeltlakeError
from schemas.gate import UNLABELLED_RULES
from schemas.settings import Settings


def validate(settings: Settings, run_ids: Iterable[str] = ()) -> dict[str, object]:
    """Judge runs again (all of them by default) and rewrite the verdicts that changed.

    A run that cannot be judged is listed with the reason and an exit code, and the rest goes on.
    """
    lake, campaign = Lake(settings.lake), campaign_of(settings)
    gate = RuleGate(campaign.rules)
    work = partial(_validate_run, lake, gate, most_rejected=campaign.most_rejected)
    entries = []
    for run_id in list(run_ids) or lake.keys("runs"):
        found = attempt(partial(work, run_id))
        if isinstance(found, MeltlakeError):
            log.warning("validate failed", run_id=run_id, reason=found.problem)
            nothing = {"run_id": run_id, "passed": False, "failed_expectations": [], "fails_because": None}
            found = {**nothing, **found.entry}
        entries.append(found)
    return {"runs": entries, "data_docs": str(write_data_docs(settings))}


def _validate_run(lake: Lake, gate: Gate, run_id: str, *, most_rejected: float) -> dict[str, object]:
    with lake.writing(run_id, doing=f"storing run {run_id}"):
        row = known_run(lake, run_id)
        if not row:
            raise MeltlakeError(f"The lake has no run {run_id}.", "`meltlake status` lists the runs it has.")
        judged = rewrite_run(lake, row, gate)
    names = ("composition", "n_rejected", "n_accepted", "reason")
    told = {name: judged.row[name] for name in names}
    why = why_it_fails(judged.verdict, most_rejected=most_rejected)
    if why is None:
        log.info("validate", run_id=run_id, changed=judged.changed, **told)
    else:
        log.warning(f"run {run_id} of {judged.row['composition']} fails the gate: {why}")
    return {
        "run_id": run_id,
        "passed": not judged.verdict.failed,
        "failed_expectations": judged.verdict.failed,
        "overruled": judged.verdict.overruled,
        "changed": judged.changed,
        **told,
        "fails_because": why,
    }


def why_it_fails(verdict: Verdict, *, most_rejected: float) -> str | None:
    """Why somebody should look at a run before anything is made of it; None when its rejections are the usual few.

    Frames that no DFT labelled (positions alone, a force field's) are rejected in every run that has them: they do not
    count, neither as good nor as bad.
    """
    broken = [result for result in verdict.results if result["success"] is None]
    if broken:
        return f"Rule {broken[0]['expectation']} could not be checked: {broken[0]['error']}."
    of_dft = [reasons for reasons in verdict.rejection_reasons if not UNLABELLED_RULES & set(reasons)]
    n_rejected = sum(bool(reasons) for reasons in of_dft)
    if n_rejected <= most_rejected * len(of_dft):
        return None
    return f"{n_rejected} of its {len(of_dft)} DFT frames are rejected, more than {most_rejected:.0%}. {verdict.reason}"
