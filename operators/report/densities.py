"""The section that compares densities with experiment and lists the averages of every run (Fig. 7 of the paper)."""

from collections.abc import Sequence
from itertools import cycle, groupby
from operator import itemgetter

from operators.report.figures import MEASURED_COLOURS, Axis, Drawn, Series, curves
from operators.report.page import (
    NOTHING,
    Ask,
    Grid,
    Group,
    Panel,
    Row,
    Section,
    column,
    number,
    plain,
    simulation,
    with_error,
)
from operators.svg import BLUE, RED

_MOST_SOURCES = 3
"""In one panel; the others are in `experiment_lines`."""


def density_section(group: Group, ask: Ask) -> Section:
    """Density and the other averages of every run, beside experiment (Fig. 7)."""
    sql = f"""select view.*, n_frames, n_averaged, temperature_error_k, energy_ev_per_atom, energy_error_ev_per_atom
from density_vs_experiment view join thermodynamics using (run_id)
where {group.where}
order by view.composition, view.origin, view.temperature_k, run_id"""
    rows = ask(sql)
    return Section(
        anchor=f"{group.anchor}-density",
        title="Density and thermodynamics",
        caption="Averages over the accepted frames of every run from where it is equilibrated. Standard errors count "
        "correlation; a run too short for one has none. A density is a prediction only at constant "
        "pressure; otherwise it was imposed and the pressure is the prediction. Measurements appear only inside their "
        "range of validity, with the uncertainty that their authors state: bands around lines, bars at points.",
        sql=sql,
        command="meltlake simulate POTENTIAL --protocol npt --composition COMPOSITION",
        panels=_density_panels(group, rows, ask),
        grids=[_thermodynamics(rows), *_citations(rows)] if rows else [],
        synthetic=group.synthetic,
    )


def _thermodynamics(rows: Sequence[Row]) -> Grid:
    head = (
        "composition", "source", "run", "density is", "frames", "averaged", "T (K)", "pressure (GPa)",
        "energy (eV/atom)", "density (g/cm³)", "AIMD (g/cm³)", "from AIMD (%)",
        "experiment (g/cm³)", "from experiment (%)",
    )  # fmt: skip
    cells = [
        (
            row["composition"],
            "AIMD" if row["origin"] == "aimd" else simulation(row),
            row["run_id"],
            row["density_is"],
            number(row["n_frames"]),
            number(row["n_averaged"]),
            with_error(row["temperature_k"], row["temperature_error_k"], 1),
            with_error(row["pressure_gpa"], row["pressure_error_gpa"], 3),
            with_error(row["energy_ev_per_atom"], row["energy_error_ev_per_atom"], 4),
            with_error(row["density_g_per_cm3"], row["density_error_g_per_cm3"] if _is_predicted(row) else None, 3),
            with_error(row["aimd_density_g_per_cm3"], None, 3),
            _percent(row["deviation_from_aimd_percent"] if _is_predicted(row) else None),
            with_error(row["experiment_density_g_per_cm3"], row["experiment_uncertainty_g_per_cm3"], 3),
            _percent(row["deviation_from_experiment_percent"]),
        )
        for row in rows
    ]
    return Grid(head, cells, n_text=4)


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:+.2f}"


def _citations(rows: Sequence[Row]) -> list[Grid]:
    cited = sorted(
        {(row["composition"], row["citation"], plain(row["experiment_note"])) for row in rows if row["citation"]}
    )
    return [Grid(("composition", "measured by", "note"), cited, "Measurements", n_text=3, folded=True)] if cited else []


def _density_panels(group: Group, rows: Sequence[Row], ask: Ask) -> list[Panel]:
    lines = ask("""select *, dense_rank() over (
    partition by element_or_alloy order by not preferred, not is_line, not added, source) as place
from experiment_lines where quantity = 'density_g_per_cm3'
order by element_or_alloy, place, temperature_k""")
    measured = {composition: list(found) for composition, found in groupby(lines, key=itemgetter("element_or_alloy"))}
    panels = []
    for composition, found in groupby(rows, key=itemgetter("composition")):
        if composition in measured:
            ours = _density_points(list(found))
            theirs = measured_series([row for row in measured[composition] if row["place"] <= _MOST_SOURCES])
            series = [*theirs, *ours]
            name = f"{group.anchor}-density-{composition}"
            svg = curves(name, series, Axis("T (K)"), Axis("density (g/cm³)"), synthetic=group.synthetic)
            panels.append(Panel(f"{composition}: density against temperature", svg))
    return panels


def measured_series(rows: Sequence[Row]) -> list[Series]:
    """One series per source: what is judged by as a solid line, other lines dashed, points as they are.

    Parameters
    ----------
    rows
        Of `experiment_lines`, one composition and quantity, those of a source together.
    """
    series = []
    colours = cycle(MEASURED_COLOURS)
    for (source, is_line), found in groupby(rows, key=itemgetter("source", "is_line")):
        points = list(found)
        drawn: Drawn = "points" if not is_line else "solid" if points[0]["preferred"] else "dashed"
        x, y = column(points, "temperature_k"), column(points, "value")
        series.append(Series(source, x, y, next(colours), drawn, column(points, "uncertainty")))
    return series


def _is_telling(row: Row) -> bool:
    # A simulation at the volume of its AIMD run repeats that run's density.
    return row["origin"] == "aimd" or _is_predicted(row)


def _is_predicted(row: Row) -> bool:
    return bool(row["density_is"] == "predicted")


def _density_points(rows: Sequence[Row]) -> list[Series]:
    kinds: tuple[tuple[str, str, str], ...] = (("AIMD", "aimd", BLUE), ("DNNP", "dnnp", RED))
    series = []
    for label, origin, colour in kinds:
        of_origin = [row for row in rows if row["origin"] == origin and _is_telling(row)]
        if of_origin:
            x, y = column(of_origin, "temperature_k"), column(of_origin, "density_g_per_cm3")
            error = column(of_origin, "density_error_g_per_cm3")
            series.append(Series(label, x, y, colour, "stars" if origin == "dnnp" else "points", error))
    return series
