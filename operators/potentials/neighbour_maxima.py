"""Largest neighbour counts of a training set within a cutoff, computed once and stored. Counting is `physics`'s."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lake.deepmd_npy import deepmd_systems, read_deepmd_system
from lake.delta import Lake
from operators.physics.neighbours import SEL_MARGIN, max_neighbours, sel
from operators.potentials.chosen_run import SPLITS
from schemas.rows import Row

_TABLE = "neighbour_maxima"
_FRAMES_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourMaxima:
    """What DeePMD's `sel` must hold, and the slots that hold it; in the order of the type map."""

    most: tuple[int, ...]
    sel: tuple[int, ...]


def neighbour_maxima(lake: Lake, training_set_id: str, folder: Path, *, r_cut_angstrom: float) -> NeighbourMaxima:
    """Of a training set at a cutoff: as the lake has it, else counted over its files and stored.

    Every frame counts, those of the test and held-out parts too: slots are room, not labels, and a potential whose
    slots overflow on a held-out composition would be judged for the wrong reason.
    """
    if (found := _stored(lake, training_set_id, r_cut_angstrom)) is not None:
        return found
    systems = [system for split in SPLITS for system in deepmd_systems(folder / split)]
    type_map = read_deepmd_system(systems[0]).type_map
    counted = [_most_of(system, r_cut_angstrom) for system in systems]
    most: list[int] = np.max(counted, axis=0).tolist()
    row: Row = {
        "r_cut_angstrom": r_cut_angstrom,
        "type_map": list(type_map),
        "max_neighbours": most,
        "sel": sel(most),
        "margin": SEL_MARGIN,
    }
    with lake.writing(f"neighbours-{training_set_id}", doing="storing neighbour counts"):
        others = [other for other in _rows(lake, training_set_id) if other["r_cut_angstrom"] != r_cut_angstrom]
        lake.replace(_TABLE, training_set_id, [*others, row])
    return NeighbourMaxima(most=tuple(most), sel=tuple(sel(most)))


def _stored(lake: Lake, training_set_id: str, r_cut_angstrom: float) -> NeighbourMaxima | None:
    for row in _rows(lake, training_set_id):
        # Slots of another margin would make another potential of the same name.
        if row["r_cut_angstrom"] == r_cut_angstrom and row["margin"] == SEL_MARGIN:
            return NeighbourMaxima(most=_whole_numbers(row["max_neighbours"]), sel=_whole_numbers(row["sel"]))
    return None


def _rows(lake: Lake, training_set_id: str) -> list[Row]:
    rows: list[Row] = lake.rows(_TABLE, key=training_set_id).to_pylist()
    return rows


def _whole_numbers(values: object) -> tuple[int, ...]:
    return tuple(int(value) for value in values) if isinstance(values, Sequence) else ()


def _most_of(system: Path, r_cut_angstrom: float) -> NDArray[np.int64]:
    read = read_deepmd_system(system)
    most = np.zeros(len(read.type_map), dtype=np.int64)
    for first in range(0, read.frames.n_frames, _FRAMES_AT_ONCE):
        part = slice(first, first + _FRAMES_AT_ONCE)
        counted = max_neighbours(
            read.frames.positions_angstrom[part],
            read.frames.cell_angstrom[part],
            read.types,
            r_cut_angstrom=r_cut_angstrom,
            n_types=len(read.type_map),
        )
        most = np.maximum(most, counted)
    return most
