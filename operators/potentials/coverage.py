"""How much of a melt's environments a training set knows: rows of `coverage`. What coverage is stands in `physics`.

An even sample of frames is enough: 64 frames of 512 atoms are 33,000 environments. One frame is in memory at a time.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lake.delta import Lake
from operators.log import log
from operators.potentials.stored_frames import evenly, geometries, sound_frames
from operators.potentials.unused_frames import UNUSED
from schemas.errors import MeltlakeError
from schemas.ids import content_id
from schemas.rows import Row, real_or_none, text, texts, whole

if TYPE_CHECKING:
    from operators.physics.local_composition import Environments  # with numba, which `status` does without

MOST_FRAMES = 64
"""Of a composition and split."""
_TABLE = "coverage"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeltFrames:
    """Frames of one composition and split; all of one formula, the one with the most frames."""

    composition: str
    split: str
    origin: str
    frames: Mapping[str, Sequence[int]]
    """By run: an even sample."""

    @property
    def n_frames(self) -> int:
        return sum(len(frames) for frames in self.frames.values())

    @property
    def sample_id(self) -> str:
        return content_id({run_id: list(frames) for run_id, frames in sorted(self.frames.items())})


def cutoff_angstrom(lake: Lake, potential: Mapping[str, object]) -> float | None:
    """Of a row of `potentials`; that of its recipe for potentials of before the column; None where neither tells."""
    if (own := real_or_none(potential, "r_cut_angstrom")) is not None:
        return own
    recipes = lake.rows("recipes", key=text(potential, "recipe"), columns=["r_cut_angstrom"]).to_pylist()
    return real_or_none(recipes[0], "r_cut_angstrom") if recipes else None


def bring_coverage_up_to_date(lake: Lake, training_set: Row, *, r_cut_angstrom: float) -> int:
    """Store the coverage of every composition of a training set, and of those of the lake that have its elements.

    What the lake has is not computed again. Returns the number of rows of that set and cutoff.
    """
    name = text(training_set, "training_set_id")
    wanted = melts_of_set(lake, training_set) + unused_melts(lake, training_set)
    known: list[Row] = lake.rows(_TABLE, key=name).to_pylist()
    here = [row for row in known if row["r_cut_angstrom"] == r_cut_angstrom]
    told = {(row["composition"], row["split"], row["sample_id"]) for row in here}
    if told == {(one.composition, one.split, one.sample_id) for one in wanted}:
        return len(here)
    rows = _rows(lake, training_set, wanted, r_cut_angstrom=r_cut_angstrom)
    with lake.writing(f"coverage-{name}", doing="storing how much a training set covers"):
        others = [row for row in lake.rows(_TABLE, key=name).to_pylist() if row["r_cut_angstrom"] != r_cut_angstrom]
        lake.replace(_TABLE, name, [*others, *rows])
    return len(rows)


def training_environments(lake: Lake, training_set: Row, *, r_cut_angstrom: float) -> "dict[str, Environments]":
    """Environments of the training frames, by composition."""
    version = whole(training_set, "lake_version")
    return {
        one.composition: found
        for one in melts_of_set(lake, training_set)
        if one.split == "train"
        and (found := _environments(lake, one, version=version, r_cut_angstrom=r_cut_angstrom)) is not None
    }


def melts_of_set(lake: Lake, training_set: Row) -> list[MeltFrames]:
    """A sample of the frames of each composition and split of a training set, as its version of the lake has them."""
    name = text(training_set, "training_set_id")
    runs = {row["run_id"]: row for row in lake.rows("training_set_runs", key=name).to_pylist()}
    used: dict[tuple[str, str], dict[str, dict[str, list[int]]]] = defaultdict(lambda: defaultdict(dict))
    for row in lake.rows("training_set_frames", key=name, columns=["run_id", "frame", "split"]).to_pylist():
        if (run := runs.get(row["run_id"])) is not None:
            of_formula = used[run["composition"], row["split"]][run["formula"]]
            of_formula.setdefault(row["run_id"], []).append(row["frame"])
    return [
        MeltFrames(composition=melt, split=split, origin="aimd", frames=_sample(formulas.values()))
        for (melt, split), formulas in sorted(used.items())
    ]


def unused_melts(lake: Lake, training_set: Row) -> list[MeltFrames]:
    """The same of compositions that a training set does not have, of its elements: of AIMD, else of simulations."""
    present = {*texts(training_set, "compositions"), *texts(training_set, "held_out")}
    elements, found = set(texts(training_set, "type_map")), []
    melts: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for run in lake.rows("runs").to_pylist():
        is_ours = bool(run["synthetic"]) == bool(training_set["synthetic"]) and run["composition"] not in present
        if is_ours and run["n_frames"] and set(run["chemical_system"].split("-")) <= elements:
            melts[run["composition"]][run["origin"]].append(run)
    for melt, origins in sorted(melts.items()):
        for origin in ("aimd", "dnnp"):
            formulas: dict[str, dict[str, list[int]]] = defaultdict(dict)
            for run in origins.get(origin, []):
                if frames := sound_frames(lake, run_id := text(run, "run_id")):
                    formulas[text(run, "formula")][run_id] = frames
            if formulas:
                sample = _sample(formulas.values())
                found.append(MeltFrames(composition=melt, split=UNUSED, origin=origin, frames=sample))
                break
    return found


def _rows(lake: Lake, training_set: Row, melts: Sequence[MeltFrames], *, r_cut_angstrom: float) -> list[Row]:
    from operators.physics.local_composition import known_region

    version = whole(training_set, "lake_version")
    taught = list(training_environments(lake, training_set, r_cut_angstrom=r_cut_angstrom).values())
    region = known_region(taught) if taught else None
    rows: list[Row] = []
    for melt in melts:
        at = None if melt.split == UNUSED else version
        found = _environments(lake, melt, version=at, r_cut_angstrom=r_cut_angstrom)
        rows.append(
            {
                "r_cut_angstrom": r_cut_angstrom,
                "composition": melt.composition,
                "split": melt.split,
                "origin": melt.origin,
                "coverage_frac": region.share_of(found) if found and region else None,
                "n_frames": melt.n_frames,
                "sample_id": melt.sample_id,
                "n_environments": found.n_environments if found else 0,
            }
        )
    return rows


def _environments(lake: Lake, melt: MeltFrames, *, version: int | None, r_cut_angstrom: float) -> "Environments | None":
    """Of a sample of frames; None where they have none, as where an atom has no neighbour."""
    from operators.physics.local_composition import environments

    files, merged = lake.files_by_key("frames", version=version), None
    try:
        for run_id, frames in melt.frames.items():
            read = list(geometries(lake, run_id, frames[:1], files=files.get(run_id, [])))
            if not read:
                continue
            shapes = (
                (one.positions_angstrom, one.cell_angstrom)
                for one in geometries(lake, run_id, frames, files=files.get(run_id, []))
            )
            found = environments(read[0].atomic_numbers, shapes, r_cut_angstrom=r_cut_angstrom)
            merged = found if merged is None else merged.merged(found)
    except MeltlakeError as reason:
        log.warning("coverage", composition=melt.composition, split=melt.split, note=reason.problem)
        return None
    return merged


def _sample(formulas: Iterable[Mapping[str, Sequence[int]]]) -> dict[str, list[int]]:
    """An even sample over the runs of the formula that has the most frames."""
    runs = max(formulas, key=lambda one: sum(len(frames) for frames in one.values()))
    named = [(run_id, frame) for run_id in sorted(runs) for frame in sorted(runs[run_id])]
    sample: dict[str, list[int]] = {}
    for place in evenly(range(len(named)), MOST_FRAMES):
        run_id, frame = named[place]
        sample.setdefault(run_id, []).append(frame)
    return sample
