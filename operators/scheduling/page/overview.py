"""The overview: how large the lake is, where its compositions lie, and its newest potentials."""

from operators.scheduling.page.curves import CompositionMap, Place, place
from operators.scheduling.page.questions import Question, Row, Run, rows_of

_SIZE = """
select count(distinct composition) as compositions,
       count(*) filter (origin = 'aimd') as aimd_runs, count(*) filter (origin = 'dnnp') as simulations,
       coalesce(sum(n_frames), 0)::bigint as frames, coalesce(sum(n_rejected), 0)::bigint as rejected,
       coalesce(sum(source_bytes), 0)::bigint as raw_bytes,
       count(*) filter (synthetic) as synthetic_runs,
       (select count(*) from training_sets) as training_sets, (select count(*) from potentials) as potentials
from runs
"""
_PLACES = """
select map_system, composition, synthetic, n_runs, n_accepted, split_role, ternary_x, ternary_y
from composition_map order by map_system, synthetic, composition
"""
LATEST = Question(
    "latest-potentials",
    "Latest potentials",
    """
select potentials.potential_id, recipe, seed, n_steps, synthetic,
       rmse_energy_mev_per_atom, rmse_force_mev_per_angstrom, created_at
from trained_potentials potentials
left join rmse on rmse.potential_id = potentials.potential_id and rmse.composition = 'all' and rmse.split = 'test'
order by created_at desc nulls last, potentials.potential_id
""",
    "No potential yet: `meltlake materialize` freezes a training set, `meltlake train TRAINING_SET --recipe DP-2` "
    "trains on it. The Dag train does both when frames of AIMD runs change.",
    "Errors are those on the test split of each training set.",
)
MOST_LATEST = 8
WORDED = {"train": "trained on", "held_out": "held out", "unused": "no role"}


def lake_size(run: Run) -> Row:
    """Counts of what is in the lake, in one row."""
    return rows_of(run, _SIZE)[0]


def not_drawn(run: Run) -> list[str]:
    """Compositions that no map shows: elements of no alloy, and alloys of four elements and more."""
    return [row["composition"] for row in rows_of(run, _PLACES) if not _is_drawn(row)]


def maps(run: Run) -> list[CompositionMap]:
    """One map per chemical system of two or three elements; real and synthetic melts never share one."""
    rows = [row for row in rows_of(run, _PLACES) if _is_drawn(row)]
    keys = dict.fromkeys((row["map_system"], bool(row["synthetic"])) for row in rows)
    return [
        _map(system, [row for row in rows if (row["map_system"], bool(row["synthetic"])) == (system, synthetic)])
        for system, synthetic in keys
    ]


def _map(system: str, rows: list[Row]) -> CompositionMap:
    return CompositionMap(system, system.split("-"), bool(rows[0]["synthetic"]), [_place(row) for row in rows])


def _is_drawn(row: Row) -> bool:
    return row["ternary_x"] is not None and row["map_system"].count("-") in {1, 2}


def _place(row: Row) -> Place:
    role = row["split_role"]
    runs = "1 run" if row["n_runs"] == 1 else f"{row['n_runs']} runs"
    told = f"{row['composition']}: {runs}, {row['n_accepted']} frames that may be trained on, {WORDED[role]}"
    return place(row["composition"], role, told, x=row["ternary_x"], y=row["ternary_y"])
