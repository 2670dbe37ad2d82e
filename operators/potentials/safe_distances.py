"""How close two atoms came in any frame that was trained on, by pair of elements: found once per training set."""

from collections.abc import Mapping
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np

from lake.delta import Lake
from operators.physics.closest_pairs import closest_by_pair
from operators.potentials.judged_frames import JudgedFrames, frame_names, judged_frames
from schemas.elements import SYMBOLS

Row = dict[str, Any]


def closest_pairs(lake: Lake, training_set_id: str, folder: Path) -> list[Row]:
    """Rows of `closest_pairs` of a training set, stored by the first who asks; pairs that never came close have none.

    Raises
    ------
    MeltlakeError
        If the training set's folder is not what the lake has listed.
    """
    if not lake.n_rows("closest_pairs", training_set_id):
        found: dict[str, Row] = {}
        for some in judged_frames(folder, frame_names(lake, training_set_id), split="train"):
            for pair, row in _closest_of(some).items():
                if pair not in found or row["min_distance_angstrom"] < found[pair]["min_distance_angstrom"]:
                    found[pair] = {"pair": pair, **row}
        lake.replace("closest_pairs", training_set_id, [found[pair] for pair in sorted(found)])
    rows: list[Row] = lake.rows("closest_pairs", key=training_set_id).to_pylist()
    return rows


def stored_safe_distances(lake: Lake, training_set_id: str) -> dict[str, float]:
    """Angstrom by pair, such as Al-Ni; empty where no model card was made yet."""
    rows = lake.rows("closest_pairs", key=training_set_id, columns=["pair", "min_distance_angstrom"]).to_pylist()
    return {row["pair"]: row["min_distance_angstrom"] for row in rows}


def _closest_of(some: JudgedFrames) -> Mapping[str, Row]:
    elements = sorted({SYMBOLS[number] for number in some.atomic_numbers})
    kinds = np.array([elements.index(SYMBOLS[number]) for number in some.atomic_numbers])
    distances = closest_by_pair(some.positions_angstrom, some.cell_angstrom, kinds, n_types=len(elements))
    rows = {}
    for (a, one), (b, other) in combinations_with_replacement(enumerate(elements), 2):
        place = int(distances[:, a, b].argmin())
        if np.isfinite(distance := float(distances[place, a, b])):
            frame = int(some.frames[place])
            rows[f"{one}-{other}"] = {"min_distance_angstrom": distance, "run_id": some.run_id, "frame": frame}
    return rows
