"""Figure 2 of the paper: the atoms of a simulated melt."""

from operators.report.drawing.atoms import spheres
from operators.report.drawing.pictures import Picture
from operators.report.page import Ask, Figure, Group, Row, Section
from schemas.elements import SYMBOLS

_PAPERS = "Al70Cu20Ni10"
_NEEDED = ("atomic_numbers", "cell_angstrom", "positions_angstrom")


def melt_figure(group: Group, ask: Ask) -> Section:
    """The last frame of the largest simulation, the paper's own melt before others of its size (Fig. 2)."""
    chosen = ask(f"""select run_id, composition, origin, recipe, potential_id, n_atoms, n_frames
from runs left join (select potential_id, recipe from potentials) using (potential_id)
where {group.where} and n_frames > 0 and n_atoms is not null and not starts_with(coalesce(outcome, ''), 'unphysical')
order by origin = 'dnnp' desc, n_atoms desc, composition = '{_PAPERS}' desc,
         len(string_split(chemical_system, '-')) desc, n_frames desc, run_id
limit 1""")
    # A warehouse of a lake in a bucket has frames without their positions.
    known = {row["column_name"] for row in ask("select column_name from (describe frames)")}
    [run] = chosen if chosen and known.issuperset(_NEEDED) else [None]
    sql = "" if run is None else _last_frame_sql(run)
    frames = ask(sql) if sql else []
    return Section(
        anchor=f"{group.anchor}-figure-2",
        title="Figure 2: the melt",
        caption=_caption(run) if run else "",
        sql=sql,
        command="meltlake simulate POTENTIAL --protocol nvt --composition COMPOSITION",
        figures=[Figure(_drawn(group, frames[0]))] if frames else [],
        synthetic=group.synthetic,
    )


def _last_frame_sql(run: Row) -> str:
    return f"""select frame, {", ".join(_NEEDED)}
from frames
where composition = '{run["composition"]}' and run_id = '{run["run_id"]}'
order by frame desc
limit 1"""


def _caption(run: Row) -> str:
    source = "an AIMD run" if run["origin"] == "aimd" else f"a simulation by {run['recipe'] or run['potential_id']}"
    return (
        f"{run['composition']}, {run['n_atoms']:,} atoms: the last frame of {source} (run {run['run_id']}), atoms "
        "folded into the cell. Gaps, clumps or crystals would be seen here."
    )


def _drawn(group: Group, frame: Row) -> Picture:
    elements = [SYMBOLS[atomic_number] for atomic_number in frame["atomic_numbers"]]
    where = frame["cell_angstrom"], frame["positions_angstrom"]
    return spheres(f"figure-2-{group.anchor}", elements, *where, synthetic=group.synthetic)
