"""Committees: potentials that differ in nothing but their seed, and what their disagreement says of their error.

A committee is named by what its potentials share, so its rows are the same in whatever order they were trained and
observed. Its rows in `committees`, written last, say of which model files they are: a further seed makes them stale.
It is judged on every frame of its training set, and on a sample of those that the lake has besides.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lake.deep_potential import DeepPotential
from lake.delta import Lake
from operators.log import log
from operators.physics.committee import Calibration, Spread, calibration, disagreement, pooled, true_error
from operators.potentials.chosen_run import SPLITS
from operators.potentials.judged_frames import ALL, JudgedFrames, frame_names, judged_frames
from operators.potentials.model_file import model_file
from operators.potentials.unused_frames import UNUSED, UnusedFrames, unused_frames, unused_judged_frames
from schemas.errors import TryAgainLater
from schemas.ids import content_id
from schemas.settings import Settings
from schemas.units import MEV_PER_EV

SHARED = ("recipe", "recipe_id", "training_set_id", "n_steps", "backend", "init_from")
"""Columns of `potentials` in which the potentials of a committee agree, where the table has them."""
FEWEST = 2

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Committee:
    """Potentials that differ in nothing but their seed."""

    committee_id: str
    potentials: tuple[Row, ...]
    """Rows of `potentials`, in the order of their seeds."""

    @property
    def potential_ids(self) -> list[str]:
        return [row["potential_id"] for row in self.potentials]

    @property
    def sha256s(self) -> list[str]:
        """Of their model files."""
        return [row["sha256"] for row in self.potentials]


def committees(potentials: Sequence[Row]) -> list[Committee]:
    """Every committee of these rows of `potentials`; a potential without a sibling is in none."""
    alike: dict[str, list[Row]] = defaultdict(list)
    for row in potentials:
        shared = {name: row[name] for name in SHARED if row.get(name) is not None}
        if "recipe" in shared and row.get("trained_elsewhere") is None:
            alike[content_id(shared)].append(row)
    return [
        Committee(committee_id, tuple(sorted(rows, key=lambda row: (row["seed"], row["potential_id"]))))
        for committee_id, rows in sorted(alike.items())
        if len(rows) >= FEWEST
    ]


def committee_of(lake: Lake, potential_id: str) -> Committee | None:
    """The committee that a potential is in now; None while it has no sibling."""
    rows = lake.rows("potentials").to_pylist()
    return next((one for one in committees(rows) if potential_id in one.potential_ids), None)


def stale_committees(lake: Lake, potentials: Sequence[Row]) -> list[Committee]:
    """Those of which the lake has no rows, or rows of other model files."""
    judged: dict[str, list[list[str]]] = defaultdict(list)
    for row in lake.rows("committees", columns=["committee_id", "model_sha256s"]).to_pylist():
        judged[row["committee_id"]].append(row["model_sha256s"])
    return [
        one
        for one in committees(potentials)
        if not (found := judged.get(one.committee_id)) or any(sha256s != one.sha256s for sha256s in found)
    ]


def observe_committee(settings: Settings, lake: Lake, potential_id: str) -> Committee | None:
    """Bring the rows of a potential's committee up to date; returns it, or None while there is none.

    Raises
    ------
    MeltlakeError
        If a model file or the training set's folder is gone.
    """
    # Whoever writes the rows looks again whether a sibling came meanwhile: the last to look has seen all of them, and
    # who finds another process at it may leave it to that one.
    has_looked = False
    while committee := committee_of(lake, potential_id):
        is_stale = bool(stale_committees(lake, committee.potentials))
        if not is_stale and (has_looked or not _has_other_frames(lake, committee)):
            break
        with ExitStack() as held:
            try:
                held.enter_context(lake.writing(committee.committee_id, doing="judging a committee", wait_s=0.0))
            except TryAgainLater:
                log.info("observe", committee_id=committee.committee_id, note="another process is judging it")
                break
            committee = committee_of(lake, potential_id) or committee  # a sibling may have come while we waited
            if stale_committees(lake, committee.potentials):
                _observe(settings, lake, committee)
            elif _has_other_frames(lake, committee):
                _observe_new_frames(settings, lake, committee)
        has_looked = True
    return committee


def _observe(settings: Settings, lake: Lake, committee: Committee) -> None:
    training_set_id = committee.potentials[0]["training_set_id"]
    names = frame_names(lake, training_set_id)
    folder = settings.artifacts / "training_sets" / training_set_id
    of_set = (some for split in SPLITS for some in judged_frames(folder, names, split=split))
    parts = _judged(settings, committee, chain(of_set, unused_judged_frames(lake, _unused(lake, committee))))
    _store(lake, committee, parts, keeping={"committee_frames": [], "committees": []})


def _has_other_frames(lake: Lake, committee: Committee) -> bool:
    """Whether the sample of frames outside the training set is not the one that was judged, or not to its end."""
    wanted = {(str(one.run["run_id"]), frame) for one in _unused(lake, committee) for frame in one.frames}
    name, columns = committee.committee_id, ["split", "composition", "run_id", "frame"]
    frames = lake.rows("committee_frames", key=name, columns=columns).to_pylist()
    pools = lake.rows("committees", key=name, columns=["split", "composition", "n_frames"]).to_pylist()
    n_told = sum(row["n_frames"] for row in pools if (row["split"], row["composition"]) == (UNUSED, ALL))
    judged = {(row["run_id"], row["frame"]) for row in frames if row["split"] == UNUSED}
    return wanted != judged or n_told != len(wanted)


def _observe_new_frames(settings: Settings, lake: Lake, committee: Committee) -> None:
    """Judge the sample of frames outside the training set again."""
    parts = _judged(settings, committee, unused_judged_frames(lake, _unused(lake, committee)))
    name = committee.committee_id
    kept = {
        table: [row for row in lake.rows(table, key=name).to_pylist() if row["split"] != UNUSED]
        for table in ("committee_frames", "committees")
    }
    # What was told of other frames goes first: a kill between the two tables leaves no summary of frames that are gone.
    lake.replace("committees", name, kept["committees"])
    _store(lake, committee, parts, keeping=kept)


def _unused(lake: Lake, committee: Committee) -> list[UnusedFrames]:
    rows = lake.rows("training_sets", key=committee.potentials[0]["training_set_id"]).to_pylist()
    return unused_frames(lake, rows[0]) if rows else []


def _judged(settings: Settings, committee: Committee, frames: Iterable[JudgedFrames]) -> list["_Part"]:
    models = [DeepPotential(model_file(settings, row)) for row in committee.potentials]
    return [_Part.of(some, models) for some in frames]


def _store(lake: Lake, committee: Committee, parts: Sequence["_Part"], *, keeping: Mapping[str, Sequence[Row]]) -> None:
    """Write what was found beside the rows to keep, those of `committees` last."""
    name, first = committee.committee_id, committee.potentials[0]
    frames = [_or_null(row) for part in parts for row in part.rows()]
    lake.replace("committee_frames", name, [*keeping["committee_frames"], *frames])
    about = {
        "potential_ids": committee.potential_ids,
        "model_sha256s": committee.sha256s,
        **{column: first[column] for column in ("recipe", "training_set_id", "n_steps")},
    }
    lake.replace("committees", name, [*keeping["committees"], *(_or_null(about | row) for row in _summaries(parts))])
    log.info("observe", committee_id=name, n_potentials=len(committee.potentials), n_frames=_n_frames(parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What the committee says of some frames of one run; what is large is not kept."""

    composition: str
    split: str
    run_id: str
    frames: NDArray[np.int64]
    n_atoms: int
    deviation: Spread
    error: Spread

    @classmethod
    def of(cls, some: JudgedFrames, models: Sequence[DeepPotential]) -> "_Part":
        predictions = [some.predicted_by(model) for model in models]
        return cls(
            composition=some.composition,
            split=some.split,
            run_id=some.run_id,
            frames=some.frames,
            n_atoms=some.n_atoms,
            deviation=disagreement(predictions),
            error=true_error(predictions, some.labels),
        )

    def rows(self) -> Iterator[dict[str, object]]:
        """Rows of `committee_frames`."""
        about = {name: getattr(self, name) for name in ("composition", "split", "run_id", "n_atoms")}
        for place, frame in enumerate(self.frames):
            spreads = _columns("deviation", self.deviation, place) | _columns("error", self.error, place)
            yield {**about, "frame": int(frame), **spreads}


def _columns(kind: str, spread: Spread, place: int) -> dict[str, object]:
    return {
        f"{kind}_energy_mev_per_atom": spread.energy_ev_per_atom[place] * MEV_PER_EV,
        f"{kind}_force_mev_per_angstrom": spread.force_ev_per_angstrom[place] * MEV_PER_EV,
        f"mean_{kind}_force_mev_per_angstrom": spread.mean_force_ev_per_angstrom[place] * MEV_PER_EV,
        f"max_{kind}_force_mev_per_angstrom": spread.max_force_ev_per_angstrom[place] * MEV_PER_EV,
        f"{kind}_virial_mev_per_atom": spread.virial_ev_per_atom[place] * MEV_PER_EV,
    }


def _summaries(parts: Sequence[_Part]) -> Iterator[dict[str, object]]:
    """Rows of `committees`: every composition and split, and the pool of each split."""
    for split in (*SPLITS, UNUSED):
        of_split = [part for part in parts if part.split == split]
        for name in sorted({part.composition for part in of_split}):
            yield _summary(name, split, [part for part in of_split if part.composition == name])
        if of_split:
            yield _summary(ALL, split, of_split)


def _summary(name: str, split: str, parts: Sequence[_Part]) -> dict[str, object]:
    deviation, error = (Spread.joined([getattr(part, kind) for part in parts]) for kind in ("deviation", "error"))
    n_atoms = np.concatenate([np.full(len(part.frames), part.n_atoms) for part in parts]).astype(float)
    once = np.ones_like(n_atoms)
    judged = calibration(deviation.force_ev_per_angstrom, error.force_ev_per_angstrom, weights=n_atoms)
    row: dict[str, object] = {"composition": name, "split": split, "n_frames": _n_frames(parts)}
    for kind, spread in (("deviation", deviation), ("error", error)):
        row |= {
            f"{kind}_energy_mev_per_atom": pooled(spread.energy_ev_per_atom, once) * MEV_PER_EV,
            f"{kind}_force_mev_per_angstrom": pooled(spread.force_ev_per_angstrom, n_atoms) * MEV_PER_EV,
            f"{kind}_virial_mev_per_atom": pooled(spread.virial_ev_per_atom, once) * MEV_PER_EV,
        }
    row["max_deviation_force_mev_per_angstrom"] = float(deviation.max_force_ev_per_angstrom.max()) * MEV_PER_EV
    return row | _calibration_columns(judged)


def _calibration_columns(judged: Calibration) -> dict[str, object]:
    return {
        "force_error_over_deviation": judged.error_over_deviation,
        "force_correlation": judged.correlation,
        "within_2_deviations_frac": judged.within_2_deviations_frac,
        "within_3_deviations_frac": judged.within_3_deviations_frac,
        "deviations_for_95_percent": judged.deviations_for_95_percent,
    }


def _n_frames(parts: Sequence[_Part]) -> int:
    return sum(len(part.frames) for part in parts)


def _or_null(row: Mapping[str, object]) -> dict[str, object]:
    return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()}
