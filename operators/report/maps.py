"""The section that maps properties of melts, and how far a potential is at home, over the composition space."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from operators.report.drawing.pictures import Picture, picture
from operators.report.drawing.plots import Axis, Plot
from operators.report.drawing.series import Series
from operators.report.drawing.style import ROLE_COLOURS
from operators.report.drawing.triangles import SHAPES, WORDED, Place, value_triangle
from operators.report.page import Ask, Figure, Grid, Group, Row, Section, column, number, plain

_LABELS = {
    "density_g_per_cm3": ("Density", "g/cm³"),
    "diffusion_angstrom2_per_ps": ("Diffusion", "Å²/ps"),
    "warren_cowley": ("Warren-Cowley", ""),
    "max_deviation_force_mev_per_angstrom": ("Committee deviation of the force", "meV/Å"),
    "coverage_frac": ("Coverage", "share of environments"),
    "distance_at_percent": ("Distance to training", "at.%"),
}
_ORIGINS = {"aimd": "AIMD", "dnnp": "potential"}
_LARGEST_TO_DRAW = 3


def maps_section(group: Group, ask: Ask) -> Section:
    """Density, diffusion, order, committee deviation, coverage and distance at each composition."""
    sql = f"""select composition, split_role, quantity, species, value, error, origin, temperature_k, potential_id,
       run_id, ternary_x, ternary_y
from map_points
where map_system = '{group.chemical_system}' and {"synthetic" if group.synthetic else "not synthetic"}
order by quantity, species, origin, composition"""
    rows = [row for row in ask(sql) if row["quantity"] in _LABELS]
    maps = _maps(rows)
    can_draw = 2 <= len(group.elements) <= _LARGEST_TO_DRAW
    return Section(
        anchor=f"{group.anchor}-maps",
        title="Maps",
        caption="What is known of each composition. The shape is its role: trained on (circle), held out (square), "
        "neither (triangle); the colour is the value. Deviation, coverage and distance are those of the newest "
        "potential; coverage is the share of a melt's environments within its cutoff that lie where the training "
        "frames are dense. "
        + _how_drawn(group)
        + " Temperatures differ from point to point: the table has them; diffusion is that in the simulated cell.",
        sql=sql,
        command="meltlake observe --run RUN_ID",
        figures=[_figure(group, found) for found in maps] if can_draw else [],
        grids=[_grid(maps, folded=can_draw)] if maps else [],
        synthetic=group.synthetic,
    )


def _maps(rows: Sequence[Row]) -> list[list[Row]]:
    """Points by quantity and species, each of the origin that has more of them; of one origin all are comparable."""
    maps = []
    for _, alike in groupby(rows, key=itemgetter("quantity", "species")):
        origins = [list(found) for _, found in groupby(alike, key=itemgetter("origin"))]
        maps.append(max(origins, key=lambda found: (len(found), found[0]["origin"] == "dnnp")))
    return sorted(maps, key=lambda found: list(_LABELS).index(found[0]["quantity"]))


def _figure(group: Group, rows: Sequence[Row]) -> Figure:
    first = rows[0]
    quantity, unit = _LABELS[first["quantity"]]
    title = quantity if first["species"] == "all" else f"{quantity} of {first['species']}"
    name = f"map-{first['quantity']}-{first['species']}-{group.anchor}".replace("_", "-")
    is_triangle = len(group.elements) == _LARGEST_TO_DRAW
    drawn = _triangle(name, group, rows, title, unit) if is_triangle else _line(name, group, rows, title, unit)
    return Figure(drawn, title, _below(rows))


def _triangle(name: str, group: Group, rows: Sequence[Row], title: str, unit: str) -> Picture:
    places = [
        Place(
            row["composition"],
            row["ternary_x"],
            row["ternary_y"],
            row["split_role"],
            row["value"],
            f"{row['composition']}, {WORDED[row['split_role']]}: {_with_error(row)} {unit}".rstrip(),
        )
        for row in rows
    ]
    label = f"{title} ({unit})" if unit else title
    return value_triangle(name, group.elements, places, label=label, unit=unit or title, synthetic=group.synthetic)


def _line(name: str, group: Group, rows: Sequence[Row], title: str, unit: str) -> Picture:
    """Two elements have no triangle: values over the at.% of the second."""
    series = []
    for role, shape in SHAPES.items():
        if found := [row for row in rows if row["split_role"] == role]:
            x, errors = [100 * row["ternary_x"] for row in found], column(found, "error")
            series.append(Series(WORDED[role], x, column(found, "value"), ROLE_COLOURS[role], shape, errors))
    axes = Axis(f"{group.elements[1]} (at.%)"), Axis(unit or title)
    return picture(name, [Plot(title, series, *axes)], synthetic=group.synthetic)


def _with_error(row: Row) -> str:
    """A value and its error, with three digits each."""
    return number(row["value"]) + ("" if row["error"] is None else f" ± {number(row['error'], 2)}")


def _below(rows: Sequence[Row]) -> str:
    """Where the numbers come from, and at which temperatures."""
    temperatures = [row["temperature_k"] for row in rows if row["temperature_k"] is not None]
    if rows[0]["run_id"] is None:
        return f"{len(rows)} compositions, potential {rows[0]['potential_id']}"
    at = f", {min(temperatures):.0f} to {max(temperatures):.0f} K" if temperatures else ""
    return f"{len(rows)} compositions, {_ORIGINS[rows[0]['origin']]}{at}"


def _grid(maps: Sequence[Sequence[Row]], *, folded: bool) -> Grid:
    cells = [
        (
            _LABELS[row["quantity"]][0] + ("" if row["species"] == "all" else f" {row['species']}"),
            row["composition"],
            WORDED[row["split_role"]],
            _ORIGINS[row["origin"]],
            plain(row["run_id"] or row["potential_id"]),
            number(row["value"]),
            number(row["error"]),
            _LABELS[row["quantity"]][1],
            number(row["temperature_k"], 4),
        )
        for rows in maps
        for row in rows
    ]
    head = ("quantity", "composition", "role", "origin", "run or potential", "value", "error", "unit", "T (K)")
    return Grid(head, cells, "The same as numbers", n_text=5, folded=folded)


def _how_drawn(group: Group) -> str:
    n_elements = len(group.elements)
    if n_elements == _LARGEST_TO_DRAW:
        return "Corners are pure elements."
    if n_elements == 2:
        return f"Two elements have a line and no triangle: values over the at.% of {group.elements[1]}."
    if n_elements > _LARGEST_TO_DRAW:
        return f"{n_elements} elements have no triangle: the table alone is shown."
    return "One element has no map: the table alone is shown."
