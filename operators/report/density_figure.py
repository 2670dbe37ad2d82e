"""Figure 7 of the paper: densities of simulations and measurements over temperature, with and without virials."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, groupby
from operator import itemgetter

from operators.report.drawing.pictures import picture
from operators.report.drawing.plots import Axis, Plot
from operators.report.drawing.series import Drawn, Series
from operators.report.drawing.style import BLACK, BLUE, MEASURED_COLOURS, POTENTIAL_COLOURS, RED
from operators.report.main_potential import compared, main_potential
from operators.report.page import Ask, Figure, Group, Row, column

_KELVIN, _DENSITY = Axis("T (K)", least=100.0), Axis("density (g/cm³)", least=0.05)
_MOST_SOURCES = 3
"""In one panel; the others are in `experiment_lines`."""


def density_figure(group: Group, rows: Sequence[Row], ask: Ask) -> list[Figure]:
    """Densities over temperature, one panel per composition, pure melts first; none where nothing was predicted.

    Parameters
    ----------
    group
        Whose figure it is.
    rows
        Of `density_vs_experiment`, by composition.
    ask
        Answers SQL.
    """
    lines = ask("""select *, dense_rank() over (
    partition by element_or_alloy order by not preferred, not is_line, not added, source) as place
from experiment_lines where quantity = 'density_g_per_cm3'
order by element_or_alloy, place, temperature_k""")
    sources = sorted({row["source"] for row in lines})
    shades = dict(zip(sources, cycle(MEASURED_COLOURS), strict=False))
    measured = {
        composition: _measured([row for row in found if row["place"] <= _MOST_SOURCES], shades)
        for composition, found in groupby(lines, key=itemgetter("element_or_alloy"))
    }
    main = main_potential(compared(group, ask))
    others = sorted({row["potential_id"] for row in rows if is_predicted(row)} - {main, None})
    colours = dict(zip(others, cycle(POTENTIAL_COLOURS), strict=False))
    ordered = sorted(rows, key=lambda row: (row["chemical_system"].count("-"), row["composition"]))
    plots = [
        Plot(composition, [*measured.get(composition, ()), *_points(list(found), main, colours)], _KELVIN, _DENSITY)
        for composition, found in groupby(ordered, key=itemgetter("composition"))
        if composition in measured or any(is_predicted(row) for row in rows if row["composition"] == composition)
    ]
    plots += _virials_plots(group, rows, measured, ask)
    drawn = picture(f"figure-7-{group.anchor}", plots, columns=3, lettered=True, synthetic=group.synthetic)
    return [Figure(drawn)] if plots else []


def _virials_plots(
    group: Group, rows: Sequence[Row], measured: Mapping[str, Sequence[Series]], ask: Ask
) -> Iterator[Plot]:
    """What becomes of the density where virials were no part of the loss (Fig. 7b)."""
    predicted = [row for row in rows if row["origin"] == "dnnp" and is_predicted(row)]
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


def _measured(rows: Sequence[Row], shades: Mapping[str, str]) -> list[Series]:
    """One series per source: what is judged by as a solid line, other lines dashed, points as they are."""
    series = []
    for (source, is_line), found in groupby(rows, key=itemgetter("source", "is_line")):
        points = list(found)
        drawn: Drawn = "circle" if not is_line else "solid" if points[0]["preferred"] else "dashed"
        x, y = column(points, "temperature_k"), column(points, "value")
        series.append(Series(source, x, y, shades[source], drawn, column(points, "uncertainty")))
    return series


def _is_telling(row: Row) -> bool:
    # A simulation at the volume of its AIMD run repeats that run's density.
    return row["origin"] == "aimd" or is_predicted(row)


def is_predicted(row: Row) -> bool:
    return bool(row["density_is"] == "predicted")


def _points(rows: Sequence[Row], main: str | None, colours: Mapping[str, str]) -> list[Series]:
    """AIMD, the main potential as red stars, and the other potentials."""
    telling = [row for row in rows if _is_telling(row)]
    aimd = [row for row in telling if row["origin"] == "aimd"]
    series = [_series(aimd, "AIMD", BLUE, "circle")] if aimd else []
    simulated = sorted((row for row in telling if row["origin"] == "dnnp"), key=lambda row: str(row["potential_id"]))
    for potential_id, found in groupby(simulated, key=itemgetter("potential_id")):
        points = list(found)
        how: tuple[str, Drawn] = (RED, "star") if potential_id == main else (colours[potential_id], "triangle")
        series.append(_series(points, points[0]["recipe"] or potential_id, *how))
    return series


def _series(rows: Sequence[Row], label: str, colour: str, drawn: Drawn) -> Series:
    x, y = column(rows, "temperature_k"), column(rows, "density_g_per_cm3")
    error = [row["density_error_g_per_cm3"] if is_predicted(row) else None for row in rows]
    return Series(label, x, y, colour, drawn, [float("nan") if one is None else one for one in error])
