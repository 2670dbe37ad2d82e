"""The section that compares densities with experiment and lists the averages of every run (Fig. 7 of the paper)."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, groupby
from operator import itemgetter

from operators.report.drawing.pictures import picture
from operators.report.drawing.plots import Axis, Plot
from operators.report.drawing.series import Drawn, Series
from operators.report.drawing.style import BLACK, BLUE, MEASURED_COLOURS, POTENTIAL_COLOURS, RED
from operators.report.main_potential import compared, main_potential
from operators.report.page import (
    NOTHING,
    Ask,
    Figure,
    Grid,
    Group,
    Row,
    Section,
    column,
    number,
    plain,
    simulation,
    with_error,
)

_KELVIN, _DENSITY = Axis("T (K)"), Axis("density (g/cm³)")
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
        title="Figure 7: density against temperature",
        caption="Averages over the accepted frames of every run from where it is equilibrated. Standard errors count "
        "correlation; a run too short for one has none. A density is a prediction only at constant "
        "pressure; otherwise it was imposed and the pressure is the prediction. Measurements appear only inside their "
        "range of validity, with the uncertainty that their authors state: bands around lines, bars at points.",
        sql=sql,
        command="meltlake simulate POTENTIAL --protocol npt --composition COMPOSITION",
        figures=_figures(group, rows, ask),
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


def _figures(group: Group, rows: Sequence[Row], ask: Ask) -> list[Figure]:
    lines = ask("""select *, dense_rank() over (
    partition by element_or_alloy order by not preferred, not is_line, not added, source) as place
from experiment_lines where quantity = 'density_g_per_cm3'
order by element_or_alloy, place, temperature_k""")
    measured = {
        composition: measured_series([row for row in found if row["place"] <= _MOST_SOURCES])
        for composition, found in groupby(lines, key=itemgetter("element_or_alloy"))
    }
    main = main_potential(compared(group, ask))
    plots = [
        Plot(composition, [*measured.get(composition, ()), *_points(list(found), main)], _KELVIN, _DENSITY)
        for composition, found in groupby(rows, key=itemgetter("composition"))
        if composition in measured or any(_is_predicted(row) for row in rows if row["composition"] == composition)
    ]
    plots += _virials_plots(group, rows, measured, ask)
    drawn = picture(f"figure-7-{group.anchor}", plots, columns=3, lettered=True, synthetic=group.synthetic)
    return [Figure(drawn)] if plots else []


def _virials_plots(
    group: Group, rows: Sequence[Row], measured: Mapping[str, Sequence[Series]], ask: Ask
) -> Iterator[Plot]:
    """What becomes of the density where virials were no part of the loss (Fig. 7b)."""
    predicted = [row for row in rows if row["origin"] == "dnnp" and _is_predicted(row)]
    for pair in ask(f"select * from virials_worth where {group.where} order by n_steps desc, potential_id"):
        with_them, without = pair["potential_id"], pair["potential_id_without"]
        told = {with_them: f"{pair['recipe']}, with virials", without: f"{pair['recipe_without']}, without virials"}
        how: dict[str, tuple[str, Drawn]] = {with_them: (RED, "star"), without: (BLACK, "square")}
        for composition, found in groupby(predicted, key=itemgetter("composition")):
            of_both = [row for row in found if row["potential_id"] in told]
            if len({row["potential_id"] for row in of_both}) == len(told):
                ours = [
                    _series([row for row in of_both if row["potential_id"] == key], told[key], *how[key])
                    for key in told
                ]
                yield Plot(
                    f"{composition}: virials in the loss", [*measured.get(composition, ()), *ours], _KELVIN, _DENSITY
                )


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
        drawn: Drawn = "circle" if not is_line else "solid" if points[0]["preferred"] else "dashed"
        x, y = column(points, "temperature_k"), column(points, "value")
        series.append(Series(source, x, y, next(colours), drawn, column(points, "uncertainty")))
    return series


def _is_telling(row: Row) -> bool:
    # A simulation at the volume of its AIMD run repeats that run's density.
    return row["origin"] == "aimd" or _is_predicted(row)


def _is_predicted(row: Row) -> bool:
    return bool(row["density_is"] == "predicted")


def _points(rows: Sequence[Row], main: str | None) -> list[Series]:
    """AIMD, the main potential as red stars, and the other potentials."""
    telling = [row for row in rows if _is_telling(row)]
    aimd = [row for row in telling if row["origin"] == "aimd"]
    series = [_series(aimd, "AIMD", BLUE, "circle")] if aimd else []
    simulated = sorted((row for row in telling if row["origin"] == "dnnp"), key=lambda row: str(row["potential_id"]))
    colours = cycle(POTENTIAL_COLOURS)
    for potential_id, found in groupby(simulated, key=itemgetter("potential_id")):
        points = list(found)
        how: tuple[str, Drawn] = (RED, "star") if potential_id == main else (next(colours), "triangle")
        series.append(_series(points, points[0]["recipe"] or potential_id, *how))
    return series


def _series(rows: Sequence[Row], label: str, colour: str, drawn: Drawn) -> Series:
    x, y = column(rows, "temperature_k"), column(rows, "density_g_per_cm3")
    error = [row["density_error_g_per_cm3"] if _is_predicted(row) else None for row in rows]
    return Series(label, x, y, colour, drawn, [float("nan") if one is None else one for one in error])
