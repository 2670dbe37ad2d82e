"""The verb `propose`: which composition to compute next by AIMD and why, and a folder with what VASP needs for it.

It reads; only `out` is written. What is known is in `proposals.knowledge`, the score in `proposals.ranking`, atoms and
texts in `proposals.start` and `proposals.vasp_inputs`, what is said of it in `proposals.texts`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lake.delta import Lake
from lake.outputs import whole_folder
from lake.parquet import flush_to_disk
from lake.warehouse import query
from lake.writers.poscar import poscar
from operators.log import log
from operators.potentials.stored_frames import evenly
from operators.proposals.knowledge import Knowledge, knowledge
from operators.proposals.ranking import Candidate, Ranked, candidates, ranked
from operators.proposals.start import AimdStart, aimd_start
from operators.proposals.texts import reason_of, score_is, start_told, told, verdict
from operators.proposals.vasp_inputs import incar, kpoints, readme
from schemas.errors import MeltlakeError
from schemas.settings import Settings

Row = Mapping[str, Any]

CARD = "proposal.json"
"""By which a folder of ours is known."""
TRUST_MEV_PER_ANGSTROM = 100.0
"""As DP-GEN is often set: a choice, not physics."""

_MOST_FRAMES = 10
_SCF_SAMPLE = 200
_TABLES = (
    *("committees", "committee_frames", "training_sets", "training_set_runs", "training_set_requests"),
    *("frames", "runs"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalRequest:
    """What a person asks for."""

    potential_id: str | None = None
    """None: the newest that leaves no composition out."""
    temperature_k: float | None = None
    """None: that of the nearest run."""
    step_at_percent: float = 5.0
    n_wanted: int = 5
    trust_mev_per_angstrom: float = TRUST_MEV_PER_ANGSTROM
    """Where the committee deviates less on 99 of 100 frames, and the melt is covered, nothing is to be learnt."""


def propose(
    settings: Settings, request: ProposalRequest, *, out: Path | None = None, overwrite: bool = False
) -> dict[str, object]:
    """Rank the compositions of a grid by what a potential would learn there; with `out`, prepare the best for VASP.

    Raises
    ------
    MeltlakeError
        If the lake has no potential, a number makes no sense, or `out` cannot be written.
    """
    _require_sense(request)
    lake = Lake(settings.lake)
    known = knowledge(settings, lake, request.potential_id, temperature_k=request.temperature_k)
    found = candidates(
        known, step_at_percent=request.step_at_percent, trust_mev_per_angstrom=request.trust_mev_per_angstrom
    )
    best = ranked(known, found, n_wanted=request.n_wanted)
    answer = _answer(known, found, best, request) | {"untrained_frames": _untrained_frames(settings, known)}
    # Of those that are not computed the first, also where better ones are computed and wait to be trained on.
    new = ranked(known, [one for one in found if not one.is_computed], n_wanted=1)
    if out is not None and new:
        one, target = new[0].candidate, out.absolute()
        start = aimd_start(lake, known, one.composition, temperature_k=request.temperature_k)
        answer |= {"path": str(target), "start": start_told(start, one.composition)}
        card = json.dumps(answer, indent=1, default=str) + "\n"
        _write(target, {**_inputs(lake, known, start, one, request=request), CARD: card}, overwrite=overwrite)
    elif out is not None:
        log.warning("propose", note=f"{out} was not made: no composition is left to be computed")
    log.info("propose", best=[one.candidate.composition for one in best], stop=answer["stop"], path=answer["path"])
    return answer


def _answer(
    known: Knowledge, found: Sequence[Candidate], best: Sequence[Ranked], request: ProposalRequest
) -> dict[str, object]:
    return {
        "potential_id": known.potential["potential_id"],
        "recipe": known.potential["recipe"],
        "training_set_id": known.training_set["training_set_id"],
        "synthetic": bool(known.training_set["synthetic"]),
        "elements": list(known.elements),
        "n_seeds": len(known.committee.potentials) if known.committee else 1,
        "score_is": score_is(known),
        "n_candidates": len(found),
        "n_covered": sum(one.is_covered for one in found),
        "stop": all(one.is_covered for one in found),
        "verdict": verdict(known, found, best, trust_mev_per_angstrom=request.trust_mev_per_angstrom),
        "proposals": [told(known, one, rank) for rank, one in enumerate(best, start=1)],
        "path": None,
        "start": None,
    }


def _require_sense(request: ProposalRequest) -> None:
    for name, value in (
        ("number of proposals", request.n_wanted),
        ("temperature", request.temperature_k),
        ("deviation to trust", request.trust_mev_per_angstrom),
    ):
        if value is not None and not value > 0:
            raise MeltlakeError(f"The {name} must be more than 0, found {value:g}.", "Give another, or leave it out.")


def _untrained_frames(settings: Settings, known: Knowledge) -> list[Row]:
    """Frames that are there and that the committee disagrees on most: they cost nothing."""
    if known.committee is None:
        return []
    sql = f"""select composition, split, run_id, frame, max_deviation_force_mev_per_angstrom
from untrained_frames
where committee_id = '{known.committee.committee_id}' and isfinite(max_deviation_force_mev_per_angstrom)
order by max_deviation_force_mev_per_angstrom desc, run_id, frame limit {_MOST_FRAMES}"""
    return list(query(settings, sql, tables=_TABLES))


def _inputs(
    lake: Lake, known: Knowledge, start: AimdStart, one: Candidate, *, request: ProposalRequest
) -> dict[str, str]:
    """Texts by the name of their file."""
    composition, reason = one.composition, reason_of(known, one)
    run = start.nearest.runs[0]
    comment = f"{composition} from frame {start.frame} of run {start.run_id}"
    scf_steps = _scf_steps(lake, str(run["run_id"]), int(run["n_frames"]))
    synthetic = bool(known.training_set["synthetic"])
    return {
        "POSCAR": poscar(start.atomic_numbers, start.positions_angstrom, cell=start.cell_angstrom, comment=comment),
        "INCAR": incar(start, composition, temperature_k=request.temperature_k or run["temperature_target_k"]),
        "KPOINTS": kpoints(start),
        "README.md": readme(start, composition, reason=reason, scf_steps=scf_steps, synthetic=synthetic),
    }


def _write(target: Path, texts: Mapping[str, str], *, overwrite: bool) -> None:
    with whole_folder(target, overwrite=overwrite, marker=CARD) as unfinished:
        for name, text in texts.items():
            (unfinished / name).write_text(text)
            flush_to_disk(unfinished / name)


def _scf_steps(lake: Lake, run_id: str, n_frames: int) -> float | None:
    """Electronic steps per ionic step, the mean over a sample; None where the run does not tell."""
    wanted = set(evenly(range(n_frames), _SCF_SAMPLE))
    known = [
        row["scf_steps"]
        for batch in lake.frame_batches(run_id, ("frame", "scf_steps"))
        for row in batch.to_pylist()
        if row["frame"] in wanted and row["scf_steps"]
    ]
    return float(np.mean(known)) if known else None
