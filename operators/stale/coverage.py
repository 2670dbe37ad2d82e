"""Whether the stored coverage of a training set is of the runs that the lake has now. Computing it is `observe`'s.

Told from rows of runs alone, so that it costs nothing in a large lake: which frames are sampled is not asked here.
"""

from collections import defaultdict
from collections.abc import Iterator

from operators.potentials.coverage import MOST_FRAMES, cutoff_angstrom
from operators.potentials.unused_frames import UNUSED
from operators.stale.holdings import Holdings, Row


def outdated_coverage(holdings: Holdings, potential: Row) -> str | None:
    """Why the coverage of a potential's training set is to be computed again; None where it is not, or never was."""
    name, r_cut = potential["training_set_id"], cutoff_angstrom(holdings.lake, potential)
    rows = [row for row in holdings.coverage.get(name, ()) if row["r_cut_angstrom"] == r_cut]
    made = next((row for row in holdings.training_sets if row["training_set_id"] == name), None)
    if made is None or not rows:
        return None
    known = {row["composition"]: row for row in rows if row["split"] == UNUSED}
    for composition, n_accepted in _unused(holdings, made):
        row = known.get(composition)
        if row is None or row["origin"] != "aimd" or row["n_frames"] < min(MOST_FRAMES, n_accepted):
            return f"the lake has other AIMD of {composition} than its coverage was computed of"
    return None


def _unused(holdings: Holdings, made: Row) -> Iterator[tuple[str, int]]:
    """Compositions of its elements that a training set does not have, with the frames of their largest formula."""
    present, elements = {*(made["compositions"] or ()), *(made["held_out"] or ())}, set(made["type_map"] or ())
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for run in holdings.trainable:
        is_ours = bool(run["synthetic"]) == bool(made["synthetic"]) and run["composition"] not in present
        if is_ours and set(run["chemical_system"].split("-")) <= elements:
            found[run["composition"]][run["formula"]] += run["n_accepted"]
    for composition, formulas in sorted(found.items()):
        yield composition, max(formulas.values())
