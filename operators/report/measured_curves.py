"""Figure 6 of the paper: structure of the pure melts at several temperatures, beside what was measured."""

from collections.abc import Sequence
from itertools import groupby
from math import ceil
from operator import itemgetter

from operators.report.drawing.pictures import picture
from operators.report.drawing.plots import Axis, Note, Plot
from operators.report.drawing.series import Drawn, Series
from operators.report.drawing.style import BLACK, GREY, RED
from operators.report.main_potential import compared, main_potential
from operators.report.page import Ask, Figure, Group, Row, Section, column

_NOT_MEASURED = " No measured curve is at their temperatures and pressures yet: meltlake experiments add FILE."
_ONE_MEASURED_BIN_IN = 3
"""Symbols in every bin would hide the curves behind them."""


def measured_structure_figure(group: Group, ask: Ask) -> Section:
    """Radial distribution functions of pure melts against diffraction, hotter ones moved up (Fig. 6)."""
    main = main_potential(compared(group, ask))
    sql = f"""with told as (
    select run_id, runs.composition, origin, runs.potential_id, recipe,
           coalesce(temperature_target_k, round(temperature_k)) as kelvin
    from runs left join thermodynamics using (run_id)
    left join potentials on potentials.potential_id = runs.potential_id
    where not contains(chemical_system, '-') and {group.where}
      and not starts_with(coalesce(outcome, ''), 'unphysical')
      and (origin = 'aimd' or runs.potential_id = '{main or ""}')
    qualify row_number() over (
        partition by runs.composition, kelvin, origin order by protocol <> 'npt' desc, runs.n_frames desc, run_id) = 1
)
select told.*, r_angstrom as x, rdf.g, rdf.g_error, g_experiment, g_error_experiment, measured.source
from told
join rdf using (run_id)
left join experimental_rdf_at_runs measured using (run_id, pair, r_angstrom)
where rdf.pair <> 'all'
order by told.composition, kelvin, origin, run_id, x"""
    plots = [_plot(composition, list(rows)) for composition, rows in groupby(ask(sql), key=itemgetter("composition"))]
    drawn = picture(f"figure-6-{group.anchor}", plots, columns=3, lettered=True, synthetic=group.synthetic)
    is_measured = any(one.drawn == "circle" for plot in plots for one in plot.series)
    return Section(
        anchor=f"{group.anchor}-figure-6",
        title="Figure 6: pure melts against diffraction",
        caption="g(r) at each temperature, hotter melts moved up. AIMD is dashed, the potential the solid red "
        "line, measurements are grey circles. Bands and bars are standard errors."
        + ("" if is_measured else _NOT_MEASURED),
        sql=sql,
        command="meltlake simulate POTENTIAL --protocol nvt --composition COMPOSITION --temperature-k T",
        figures=[Figure(drawn)] if plots else [],
        synthetic=group.synthetic,
    )


def _plot(composition: str, rows: Sequence[Row]) -> Plot:
    step = ceil(max(row["g"] for row in rows) / 2)
    series, notes = [], []
    for place, (kelvin, found) in enumerate(groupby(rows, key=itemgetter("kelvin"))):
        curves = [list(alike) for _, alike in groupby(found, key=itemgetter("run_id"))]
        series += _measured([row for curve in curves[-1:] for row in curve], place * step)
        series += [_simulated(curve, place * step) for curve in curves]
        if kelvin is not None:
            # Where no two atoms are so close, nothing else is drawn.
            notes.append(Note(curves[0][0]["x"] + 0.2, place * step, f"{kelvin:.0f} K"))
    return Plot(composition, series, Axis("r (Å)"), Axis("g(r), moved up"), notes=notes)


def _simulated(rows: Sequence[Row], raised: float) -> Series:
    is_aimd = rows[0]["origin"] == "aimd"
    label = "AIMD" if is_aimd else rows[0]["recipe"] or rows[0]["potential_id"]
    how: tuple[str, Drawn] = (BLACK, "dashed") if is_aimd else (RED, "solid")
    x, y, error = (column(rows, name) for name in ("x", "g", "g_error"))
    return Series(label, x, y, *how, error, raised)


def _measured(rows: Sequence[Row], raised: float) -> list[Series]:
    points = [row for row in rows if row["g_experiment"] is not None][::_ONE_MEASURED_BIN_IN]
    if not points:
        return []
    x, y, error = (column(points, name) for name in ("x", "g_experiment", "g_error_experiment"))
    return [Series(points[0]["source"], x, y, GREY, "circle", error, raised)]
