"""What is said of proposals: to a program as names and values, to a person as sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from operators.proposals.knowledge import Knowledge
from operators.proposals.ranking import COVERED_FRAC, Candidate, Ranked
from operators.proposals.start import AimdStart


def verdict(
    known: Knowledge, found: Sequence[Candidate], best: Sequence[Ranked], *, trust_mev_per_angstrom: float
) -> str:
    """What to do next, in a sentence."""
    if best:
        first = best[0].candidate
        what = "Train on" if first.is_computed else "Compute"
        return f"{what} {first.composition} next: {reason_of(known, first)}"
    told = (
        f"Stop: each of {len(found)} compositions has at least {100 * COVERED_FRAC:.0f} % of its environments covered"
    )
    if known.deviations_mev_per_angstrom:
        return f"{told}, and the committee's deviation is below {trust_mev_per_angstrom:g} meV/angstrom."
    return f"{told}. Whether its forces are right no committee tells: train a further seed, and observe it."


def told(known: Knowledge, one: Ranked, rank: int) -> dict[str, object]:
    """A proposal as the answer has it."""
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
        "reason": reason_of(known, candidate),
    }


def reason_of(known: Knowledge, one: Candidate) -> str:
    """Why a composition is worth computing."""
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


def score_is(known: Knowledge) -> str:
    """What compositions are ranked by."""
    if known.deviations_mev_per_angstrom:
        return "committee deviation x (1 - coverage) x distance"
    why = "its frames outside training were not judged" if known.committee else "the potential has no committee"
    return f"(1 - coverage) x distance: {why}"


def start_told(start: AimdStart, composition: str) -> dict[str, object]:
    """The frame to start from as the answer has it."""
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


def _seeds(known: Knowledge) -> str:
    return f"{len(known.committee.potentials)} seeds" if known.committee else "one seed"
