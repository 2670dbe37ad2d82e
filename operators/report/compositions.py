"""The section that shows which compositions there are and what each is for (Fig. 1 of the paper)."""

from collections.abc import Sequence

from operators.report.drawing.bars import role_bars
from operators.report.drawing.pictures import Picture
from operators.report.drawing.triangles import WORDED, Place, role_triangle
from operators.report.page import Ask, Figure, Grid, Group, Row, Section, number, plain


def map_section(group: Group, ask: Ask) -> Section:
    """Which compositions there are, with how many frames, and what each is for (Fig. 1 of the paper)."""
    sql = f"""select composition, n_runs, n_frames, n_accepted, split_role, training_set_id, ternary_x, ternary_y
from composition_map
where map_system = '{group.chemical_system}' and {"synthetic" if group.synthetic else "not synthetic"}
order by composition"""
    rows = ask(sql)
    grid = Grid(
        ("composition (at.%)", "role", "training set", "runs", "frames stored", "frames accepted"),
        [
            (
                row["composition"],
                row["split_role"].replace("_", "-"),
                plain(row["training_set_id"]),
                *(number(row[name]) for name in ("n_runs", "n_frames", "n_accepted")),
            )
            for row in rows
        ],
        n_text=3,
    )
    return Section(
        anchor=f"{group.anchor}-map",
        title="Figure 1: compositions",
        caption="AIMD frames stored for each composition. Blue: trained on in the newest training set that has it; "
        "red: held out, never trained on; grey: in no training set yet.",
        sql=sql,
        command="meltlake ingest SOURCE",
        figures=[Figure(_picture(group, rows))] if rows else [],
        grids=[grid] if rows else [],
        synthetic=group.synthetic,
    )


def _picture(group: Group, rows: Sequence[Row]) -> Picture:
    name = f"figure-1-{group.anchor}"
    if len(group.elements) == 3:
        places = [
            Place(
                row["composition"],
                row["ternary_x"],
                row["ternary_y"],
                row["split_role"],
                row["n_frames"],
                f"{row['composition']}, {WORDED[row['split_role']]}: {row['n_frames']:,} frames, "
                f"{row['n_accepted']:,} accepted",
            )
            for row in rows
        ]
        return role_triangle(name, group.elements, places, synthetic=group.synthetic)
    counts = [(row["composition"], row["split_role"], row["n_frames"]) for row in rows]
    return role_bars(name, counts, synthetic=group.synthetic)
