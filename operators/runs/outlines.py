"""What little of each run tells that it cannot go on from another one, so that most pairs need no second look.

Hundreds of runs of one kind are thousands of pairs. An outline is made once for every state of a run, and kept beside
the lake. It may let a wrong pair pass and never keeps a right one back; who is right is told by `restarts`.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.delta import Lake
from lake.kept_rows import NAME, KeptRows
from lake.raw_store import name_of
from operators.physics.continuation import farthest_off_angstrom, predicted_ways
from operators.runs.stored_run import SAME_DISTANCE_ANGSTROM, SAME_ENERGY_EV, StoredRun
from schemas.elements import masses_amu
from schemas.ids import content_id

_MOST_ATOMS = 8
"""Atoms of an outline: it is by chance that so few are where another run would have them."""

_SLACK = 1.0 + 1e-6
_NUMBERS = pa.list_(pa.float64())
_SCHEMA = pa.schema(
    [
        ("energy_ev", _NUMBERS),  # of every frame of the raw file, as the next
        ("min_distance_angstrom", _NUMBERS),
        ("first_angstrom", _NUMBERS),  # (n_atoms, 3), where the first frame has some of the atoms
        ("cell_angstrom", _NUMBERS),  # (3, 3), of the last frame
        ("next_angstrom", _NUMBERS),  # (n_steps, n_atoms, 3), where the steps after the end would have them
        ("off_angstrom2", _NUMBERS),  # (n_steps,), what may be missed there, summed over all atoms of the run
    ]
)


class Outlines:
    """Outlines of runs, numbered as these come.

    Parameters
    ----------
    lake
        Where the runs are.
    runs
        Runs of the same atoms in the same order.
    kind
        What they have in common.
    """

    def __init__(self, lake: Lake, runs: Sequence[StoredRun], kind: Sequence[str]) -> None:
        by_name = dict(zip(_names(lake, runs), runs, strict=True))

        def made(names: Sequence[str]) -> pa.Table:
            outlines = [{NAME: name, **_outline(by_name[name])} for name in names]
            return pa.Table.from_pylist(outlines, schema=_SCHEMA.append(pa.field(NAME, pa.string())))

        kept = KeptRows(lake.cache / "outlines" / f"{content_id(list(kind))}.arrow", _SCHEMA)
        self._rows = kept.rows(list(by_name), made)

    def pairs(self, *, earlier: Collection[int], later: Collection[int]) -> Iterator[tuple[int, int]]:
        """Pairs (earlier, later) of different runs of which the later one may go on from the earlier one."""
        if earlier and later:
            yield from self._sharing(sorted(earlier), sorted(later))
            yield from self._following(sorted(earlier), sorted(later))

    def _sharing(self, earlier: Sequence[int], later: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Pairs of which the later run begins with a frame that the earlier one seems to have, too."""
        energies, distances = (self._rows[name].combine_chunks() for name in ("energy_ev", "min_distance_angstrom"))
        run, energy_ev, distance = (
            values.to_numpy(zero_copy_only=False)
            for values in (pc.list_parent_indices(energies), energies.flatten(), distances.flatten())
        )
        is_first = np.diff(run, prepend=-1) != 0
        is_asked = ~is_first & np.isin(run, earlier)
        order = np.flatnonzero(is_asked)[np.argsort(distance[is_asked])]
        sorted_distance = distance[order]
        for place in np.flatnonzero(is_first & np.isin(run, later)):
            span = distance[place] + np.array([-1, 1]) * SAME_DISTANCE_ANGSTROM
            low, high = np.searchsorted(sorted_distance, span)
            near = order[low:high]
            unknown = np.isnan(energy_ev[near]) & np.isnan(energy_ev[place])
            alike = unknown | (np.abs(energy_ev[near] - energy_ev[place]) < SAME_ENERGY_EV)
            yield from ((int(one), int(run[place])) for one in np.unique(run[near[alike]]) if one != run[place])

    def _following(self, earlier: Sequence[int], later: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Pairs of which the later run has some atoms where the earlier one was taking them."""
        column = {name: self._rows[name].to_pylist() for name in _SCHEMA.names[2:]}
        going = np.array([number for number in earlier if column["next_angstrom"][number] is not None], dtype=np.int64)
        if not len(going):
            return
        cells = np.array([column["cell_angstrom"][number] for number in going]).reshape(-1, 1, 3, 3)
        allowed = np.array([column["off_angstrom2"][number] for number in going])
        ways = np.array([column["next_angstrom"][number] for number in going]).reshape(*allowed.shape, -1, 3)
        ways, to_fractions = ways @ np.linalg.inv(cells), np.linalg.inv(cells)
        for number in later:
            if column["first_angstrom"][number] is not None:
                off = np.array(column["first_angstrom"][number]).reshape(-1, 3) @ to_fractions - ways
                off_angstrom = (off - np.rint(off)) @ cells
                is_near = ((off_angstrom**2).sum(axis=(2, 3)) <= allowed).any(axis=1)
                yield from ((int(one), number) for one in going[is_near] if one != number)


def _names(lake: Lake, runs: Sequence[StoredRun]) -> Iterator[str]:
    """Of the state that each run is in: its rows, and which of its frames are others' rows."""
    files = [lake.log(table).files_by_key() for table in ("frames", "repeated_frames")]
    for run in runs:
        of_run = [[name_of(file.path) for file in of_table.get(run.run_id, ())] for of_table in files]
        yield content_id([run.run_id, *of_run])


def _outline(run: StoredRun) -> dict[str, Any]:
    frames = run.frames
    told = {"energy_ev": frames.energy_ev, "min_distance_angstrom": frames.min_distance_angstrom}
    if not run.n_frames:
        return told
    some = np.linspace(0, len(run.first.positions) - 1, _MOST_ATOMS).astype(np.int64)
    told["first_angstrom"] = run.first.positions[some].ravel()
    if not run.goes_on:
        return told
    before, last = run.end
    ways = predicted_ways(
        np.stack([before.positions, last.positions]),
        cell=last.cell,
        forces=last.forces,
        masses_amu=masses_amu(run.atomic_numbers),
        time_step_fs=run.time_step_fs or 1.0,  # without one there are no forces either
    )
    told["cell_angstrom"] = last.cell.ravel()
    told["next_angstrom"] = (last.positions + ways)[:, some].ravel()
    told["off_angstrom2"] = np.array([_SLACK * way.size * farthest_off_angstrom(way) ** 2 for way in ways])
    return told
