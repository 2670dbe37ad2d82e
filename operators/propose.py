"""The verb `propose`: which composition to compute next by AIMD and why, and a folder with what VASP needs for it.

It reads; only `out` is written. What is known is in `proposals.knowledge`, the score in `proposals.ranking`, atoms and
texts in `proposals.start` and `proposals.vasp_inputs`.
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
from operators.proposals.ranking import COVERED_FRAC, Candidate, Ranked, candidates, ranked
from operators.proposals.start import AimdStart, aimd_start
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
    proposals = [_told(known, one, rank) for rank, one in enumerate(best, start=1)]
    answer: dict[str, object] = {
        "potential_id": known.potential["potential_id"],
        "recipe": known.potential["recipe"],
        "training_set_id": known.training_set["training_set_id"],
        "synthetic": bool(known.training_set["synthetic"]),
        "elements": list(known.elements),
        "n_seeds": len(known.committee.potentials) if known.committee else 1,
        "score_is": _score_is(known),
        "n_candidates": len(found),
        "n_covered": sum(one.is_covered for one in found),
        "stop": all(one.is_covered for one in found),
        "verdict": _verdict(known, found, best, request),
        "proposals": proposals,
        "untrained_frames": _untrained_frames(settings, known),
        "path": None,
        "start": None,
    }
    # Of those that are not computed the first, also where better ones are computed and wait to be trained on.
    new = ranked(known, [one for one in found if not one.is_computed], n_wanted=1)
    if out is not None and new:
        composition, target = new[0].candidate.composition, out.absolute()
        start = aimd_start(lake, known, composition, temperature_k=request.temperature_k)
        reason = _reason(known, new[0].candidate)
        inputs = _inputs(lake, known, start, composition=composition, request=request, reason=reason)
        answer |= {"path": str(target), "start": _start_told(start, composition)}
        _write(target, {**inputs, CARD: json.dumps(answer, indent=1, default=str) + "\n"}, overwrite=overwrite)
    elif out is not None:
        log.warning("propose", note=f"{out} was not made: no composition is left to be computed")
    log.info("propose", best=[row["composition"] for row in proposals], stop=answer["stop"], path=answer["path"])
    return answer


def _require_sense(request: ProposalRequest) -> None:
    for name, value in (
        ("number of proposals", request.n_wanted),
        ("temperature", request.temperature_k),
        ("deviation to trust", request.trust_mev_per_angstrom),
    ):
        if value is not None and not value > 0:
            raise MeltlakeError(f"The {name} must be more than 0, found {value:g}.", "Give another, or leave it out.")


def _told(known: Knowledge, one: Ranked, rank: int) -> dict[str, object]:
    candidate = one.candidate
    return {
        "rank": rank,
        "composition": candidate.composition,
        "action": "train" if candidate.is_computed else "compute",
        "score": round(one.score, 4),
        "distance_at_percent": candidate.distance_at_percent,
        "nearest_composition": candidate.nearest_composition,
        "apart_at_percent": one.apart_at_percent,
        "coverage_frac": round(candidate.coverage_frac, 4),
        "deviation_mev_per_angstrom": candidate.deviation_mev_per_angstrom,
        "reason": _reason(known, candidate),
    }


def _reason(known: Knowledge, one: Candidate) -> str:
    told = (
        f"{one.distance_at_percent:g} at.% from {one.nearest_composition}, the nearest composition trained on; "
        f"{100 * one.coverage_frac:.0f} % of its environments within {known.r_cut_angstrom:g} angstrom are known"
    )
    if one.deviation_mev_per_angstrom is not None:
        judged = known.deviations_mev_per_angstrom
        how = "differ" if one.composition in judged else f"are expected to differ (from {len(judged)} judged melts)"
        told += f"; forces of {_seeds(known)} {how} by up to {one.deviation_mev_per_angstrom:.0f} meV/angstrom"
    if one.is_computed:
        melt = known.melts[one.composition]
        told += (
            f". It is computed already ({len(melt.runs)} {'run' if len(melt.runs) == 1 else 'runs'}, {melt.n_accepted} "
            "accepted frames): train on it instead of computing more"
        )
    return f"{told}."


def _seeds(known: Knowledge) -> str:
    return f"{len(known.committee.potentials)} seeds" if known.committee else "one seed"


def _score_is(known: Knowledge) -> str:
    if known.deviations_mev_per_angstrom:
        return "committee deviation x (1 - coverage) x distance"
    why = "its frames outside training were not judged" if known.committee else "the potential has no committee"
    return f"(1 - coverage) x distance: {why}"


def _verdict(known: Knowledge, found: Sequence[Candidate], best: Sequence[Ranked], request: ProposalRequest) -> str:
    if best:
        first = best[0].candidate
        what = "Train on" if first.is_computed else "Compute"
        return f"{what} {first.composition} next: {_reason(known, first)}"
    told = (
        f"Stop: each of {len(found)} compositions has at least {100 * COVERED_FRAC:.0f} % of its environments covered"
    )
    if known.deviations_mev_per_angstrom:
        return f"{told}, and the committee's deviation is below {request.trust_mev_per_angstrom:g} meV/angstrom."
    return f"{told}. Whether its forces are right no committee tells: train a further seed, and observe it."


def _untrained_frames(settings: Settings, known: Knowledge) -> list[Row]:
    """Frames that are there and that the committee disagrees on most: they cost nothing."""
    if known.committee is None:
        return []
    sql = f"""select composition, split, run_id, frame, max_deviation_force_mev_per_angstrom
from untrained_frames
where committee_id = '{known.committee.committee_id}' and isfinite(max_deviation_force_mev_per_angstrom)
order by max_deviation_force_mev_per_angstrom desc, run_id, frame limit {_MOST_FRAMES}"""
    return list(query(settings, sql, tables=_TABLES))


def _start_told(start: AimdStart, composition: str) -> dict[str, object]:
    return {
        "composition": composition,
        "run_id": start.run_id,
        "frame": start.frame,
        "n_atoms": len(start.atomic_numbers),
        "n_exchanged": start.n_exchanged,
        "volume_per_atom_angstrom3": start.volume_per_atom_angstrom3,
        "volume_is_guessed": start.volume_is_guessed,
        "min_distance_angstrom": start.min_distance_angstrom,
        "min_distance_over_limit": start.min_distance_over_limit,
    }


def _inputs(
    lake: Lake, known: Knowledge, start: AimdStart, *, composition: str, request: ProposalRequest, reason: str
) -> dict[str, str]:
    """Texts by the name of their file."""
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
    told = [
        row["scf_steps"]
        for batch in lake.frame_batches(run_id, ("frame", "scf_steps"))
        for row in batch.to_pylist()
        if row["frame"] in wanted and row["scf_steps"]
    ]
    return float(np.mean(told)) if told else None


def propose_text(answer: Mapping[str, object]) -> str:
    """The answer for a person: the verdict, then each proposal with its reason."""
    proposals: Any = answer["proposals"]
    frames: Any = answer["untrained_frames"]
    lines = [str(answer["verdict"]), "", f"potential: {answer['potential_id']} ({answer['recipe']})"]
    lines += [
        f"score: {answer['score_is']}; {answer['n_covered']} of {answer['n_candidates']} compositions are covered"
    ]
    for row in proposals:
        lines += [
            "",
            f"{row['rank']}. {row['composition']}: {row['action']}, score {row['score']:.2f}",
            f"   {row['reason']}",
        ]
    if frames:
        lines += [
            "",
            "Frames that are there and were not trained on, by committee deviation (view `untrained_frames`):",
        ]
        lines += [
            f"  run {row['run_id']} frame {row['frame']}: {row['composition']}, {row['split']}, "
            f"{row['max_deviation_force_mev_per_angstrom']:.0f} meV/angstrom"
            for row in frames
        ]
    start: Any = answer["start"]
    if start:
        lines += ["", f"POSCAR, INCAR, KPOINTS and README.md of {start['composition']} are in {answer['path']}"]
    return "\n".join(lines)
