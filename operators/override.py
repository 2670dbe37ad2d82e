"""A person lets frames pass that a rule of the gate rejects: who, why and which, kept beside the verdict."""

import getpass
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from lake.delta import Lake
from operators.campaign import campaign_of
from operators.gate.frame_checks import stored_checks
from operators.log import log
from operators.validate import validate
from schemas.errors import MeltlakeError
from schemas.gate import NEVER_OVERRULED, PHYSICAL
from schemas.rows import Row
from schemas.settings import Settings


def override(settings: Settings, run_id: str, *, rule: str, frames: Sequence[int], because: str) -> dict[str, object]:
    """Let frames of a run pass although a rule rejects them; they are flagged by it instead. Judges the run again.

    Parameters
    ----------
    settings
        Where the lake is.
    run_id
        The run.
    rule
        Name of a rejecting rule.
    frames
        Positions in the run; none means all of them.
    because
        Why, for whoever reads this in a year.

    Raises
    ------
    MeltlakeError
        If the lake has no such run or frame, or nobody may overrule that rule.
    """
    lake = Lake(settings.lake)
    _require_frames(lake, run_id, frames)
    _require_overrulable(settings, rule)
    if not because.strip():
        raise MeltlakeError("An override needs its reason.", 'Say it: `--because "..."`.')
    word: Row = {
        "run_id": run_id,
        "expectation": rule,
        "frames": sorted(set(frames)) or None,
        "content_ids": _content_ids(lake, run_id, frames) or None,
        "reason": because.strip(),
        "made_by": getpass.getuser(),
        "made_at": datetime.now(UTC).replace(tzinfo=None),
    }
    _replace(lake, run_id, rule, [word])
    log.info("override", run_id=run_id, rule=rule, frames=word["frames"] or "all", reason=because)
    return validate(settings, [run_id])


def withdraw(settings: Settings, run_id: str, *, rule: str) -> dict[str, object]:
    """Take back what was said about a rule and a run, and judge the run again.

    Raises
    ------
    MeltlakeError
        If nobody said anything.
    """
    lake = Lake(settings.lake)
    if rule not in lake.rows("overrides", key=run_id)["expectation"].to_pylist():
        raise MeltlakeError(
            f"Nobody overruled `{rule}` for run {run_id}.", "`meltlake sql 'from overrides'` lists what was said."
        )
    _replace(lake, run_id, rule, [])
    log.info("override withdrawn", run_id=run_id, rule=rule)
    return validate(settings, [run_id])


def _replace(lake: Lake, run_id: str, rule: str, words: Iterable[Row]) -> None:
    with lake.writing(run_id, doing=f"storing run {run_id}"):
        others = [row for row in lake.rows("overrides", key=run_id).to_pylist() if row["expectation"] != rule]
        lake.replace("overrides", run_id, [*others, *words])


def _content_ids(lake: Lake, run_id: str, frames: Sequence[int]) -> list[str]:
    checks, _ = stored_checks(lake, run_id)
    return [str(checks["content_id"][frame]) for frame in sorted(set(frames))]


def _require_frames(lake: Lake, run_id: str, frames: Sequence[int]) -> None:
    if not lake.rows("runs", key=run_id, columns=["run_id"]).num_rows:
        raise MeltlakeError(f"The lake has no run {run_id}.", "`meltlake status` lists the runs it has.")
    n_frames = lake.n_rows("frames", run_id)
    if unknown := [frame for frame in frames if not 0 <= frame < n_frames]:
        raise MeltlakeError(
            f"Run {run_id} has frames 0 to {n_frames - 1}; it has no frame {unknown[0]}.",
            f"`meltlake sql \"from quarantine where run_id = '{run_id}'\"` lists those that are rejected.",
        )


def _require_overrulable(settings: Settings, rule: str) -> None:
    rejecting = {one.name for one in campaign_of(settings).rules if one.severity == "reject"}
    rejecting -= {*NEVER_OVERRULED, PHYSICAL}
    if rule not in rejecting:
        reasons = dict.fromkeys(NEVER_OVERRULED, "there is no number to train on")
        reasons[PHYSICAL] = "a simulation that a guard stopped enters no average"
        raise MeltlakeError(
            f"`{rule}` cannot be overruled: {reasons.get(rule, 'it is no rejecting rule')}.",
            f"Those that can: {', '.join(sorted(rejecting))}.",
        )
