"""Sections that lay curves of simulations over those of AIMD (Figs. 4, 5, 6 and 8 of the paper)."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, groupby
from operator import itemgetter

from markupsafe import Markup

from operators.report.drawing.pictures import picture
from operators.report.drawing.plots import Axis, Plot
from operators.report.drawing.series import Series
from operators.report.drawing.style import MEASURED_COLOURS, POTENTIAL_COLOURS
from operators.report.page import (
    Ask,
    Cell,
    Figure,
    Fold,
    Grid,
    Group,
    Row,
    Section,
    column,
    number,
    simulation,
)
from operators.report.verdicts import is_undecided, verdict, why_undecided

_SEVERITY = ("undecided", "indistinguishable", "good", "visible", "disagrees")
_ONE_PAIR_AND_ALL = 2
_MOST_DRAWN = 4
"""Simulations in one panel; more are a tangle."""
_MOST_AIMD_RUNS = 3
"""Of one composition: those that most simulations stand beside."""
_ONE_MEASURED_BIN_IN = 4
"""Symbols in every bin would hide the curves behind them."""


def rdf_section(group: Group, ask: Ask) -> Section:
    """Partial radial distribution functions (Figs. 5, 6 and 8)."""
    return _comparison(
        group,
        ask,
        view="rdf_comparison",
        label="pair",
        abscissa="r_angstrom",
        value="g",
        title="Structure of every melt",
        axes=(Axis("r (Å)"), Axis("g(r)")),
        caption="Partial g(r): AIMD as a solid blue line, simulations driven by a potential as dashed lines, "
        "experiment as grey symbols under the name of its source; bands and bars are standard errors.",
    )


def vacf_section(group: Group, ask: Ask) -> Section:
    """Velocity autocorrelation functions (Figs. 4 and 8)."""
    return _comparison(
        group,
        ask,
        view="vacf_comparison",
        label="element",
        abscissa="lag_fs",
        value="vacf",
        title="Motion in every melt",
        axes=(Axis("lag (fs)"), Axis("VACF / VACF(0)")),
        caption="Normalised velocity autocorrelation of each element: AIMD as a solid blue line, simulations as dashed "
        "lines; bands are standard errors from blocks.",
    )


def _comparison(
    group: Group,
    ask: Ask,
    *,
    view: str,
    label: str,
    abscissa: str,
    value: str,
    title: str,
    axes: tuple[Axis, Axis],
    caption: str,
) -> Section:
    kind = view.removesuffix("_comparison")
    measured = ", g_experiment, g_error_experiment, experiment_source" if kind == "rdf" else ""
    sql = f"""with melts as (
    select composition, aimd_run_id,
           row_number() over (partition by composition order by count(dnnp_run_id) desc, aimd_run_id) as place
    from run_pairs
    where {group.where}
    group by composition, aimd_run_id
)
select curve.composition, curve.aimd_run_id, dnnp_run_id, potential_id, recipe, protocol, set_k,
       measured.mean_k, own.mean_k as dnnp_mean_k,
       {label} as label, {abscissa} as x, {value}_aimd as aimd, {value}_error_aimd as aimd_error,
       {value}_dnnp as dnnp, {value}_error_dnnp as dnnp_error{measured}
from {view} curve
join melts on melts.composition = curve.composition and melts.aimd_run_id is not distinct from curve.aimd_run_id
left join (select run_id, temperature_target_k as set_k from runs) target
  on target.run_id = coalesce(curve.aimd_run_id, dnnp_run_id)
left join (select run_id, temperature_k as mean_k from thermodynamics) measured
  on measured.run_id = coalesce(curve.aimd_run_id, dnnp_run_id)
left join (select run_id, temperature_k as mean_k from thermodynamics) own on own.run_id = dnnp_run_id
where place <= {_MOST_AIMD_RUNS} and {group.where}
qualify dense_rank() over (
    partition by curve.composition, curve.aimd_run_id, {label}
    order by protocol <> 'twin', recipe, dnnp_run_id) <= {_MOST_DRAWN}
order by curve.composition, curve.aimd_run_id nulls last, label, protocol <> 'twin', recipe, protocol, dnnp_run_id, x"""
    verdicts = _verdicts(group, ask, kind)
    folds: list[Fold] = []
    for (composition, aimd_run_id), of_run in groupby(ask(sql), key=itemgetter("composition", "aimd_run_id")):
        rows = _without_repetition(list(of_run))
        by_label = {name: list(found) for name, found in groupby(rows, key=itemgetter("label"))}
        plots = [
            Plot("all pairs" if name == "all" else name, _series(found), *axes) for name, found in by_label.items()
        ]
        told = [(name, _judged(verdicts, found, f"{kind} {name}")) for name, found in by_label.items()]
        name = f"{kind}-{composition}-{aimd_run_id or 'alone'}-{group.anchor}"
        figure = Figure(picture(name, plots, synthetic=group.synthetic), below=_listed(told))
        folds.append(Fold(f"{composition}: {_sources(rows)}", [figure], _verdict_grid(rows, verdicts)))
    # Open the richest comparison: most curves with a verdict, or just most curves.
    shown = max(folds, key=lambda fold: (len(fold.grids), len(fold.figures[0].picture.rows)), default=None)
    return Section(
        anchor=f"{group.anchor}-{kind}",
        title=title,
        caption=f"{caption} Of a composition, at most {_MOST_AIMD_RUNS} "
        f"AIMD runs are drawn, each with at most {_MOST_DRAWN} simulations. "
        "A verdict compares the difference of the curves with its noise floor, "
        "measured between halves of the AIMD run: z up to 1.5 is indistinguishable, up to 3 good, up to 6 visible, and "
        "beyond that it disagrees. It is undecided where a run is too short or the floor too high to tell.",
        sql=sql,
        command="meltlake observe --run RUN_ID",
        folds=[replace(fold, opened=fold is shown) for fold in folds],
        synthetic=group.synthetic,
    )


def _listed(told: Sequence[tuple[str, Cell]]) -> Markup:
    """What is to tell of panels, those of which the same is told together."""
    alike: dict[Cell, list[str]] = {}
    for name, cell in told:
        if cell:
            alike.setdefault(cell, []).append("all pairs" if name == "all" else name)
    return Markup("<br>").join(Markup("<b>{}</b> {}").format(", ".join(names), cell) for cell, names in alike.items())


def _without_repetition(rows: Sequence[Row]) -> list[Row]:
    # With one element, the curve of all pairs is that of its only pair.
    labels = {row["label"] for row in rows}
    return [row for row in rows if len(labels) != _ONE_PAIR_AND_ALL or row["label"] != "all"]


def _sources(rows: Sequence[Row]) -> str:
    simulated = len({row["dnnp_run_id"] for row in rows if row["dnnp"] is not None})
    simulations = f"{simulated} simulation{'' if simulated == 1 else 's'}"
    temperatures = (("set", rows[0]["set_k"]), ("mean", rows[0]["mean_k"]))
    known = ", ".join(f"{kind} {kelvin:.0f} K" for kind, kelvin in temperatures if kelvin is not None)
    at = f" ({known})" if known else ""
    if rows[0]["aimd_run_id"] is None:
        return f"{simulations}{at} without an AIMD run"
    beside = f" and {simulations}" if simulated else ", not simulated yet"
    return f"AIMD run {rows[0]['aimd_run_id']}{at}{beside}"


def _verdicts(group: Group, ask: Ask, kind: str) -> dict[tuple[str, str, str], Row]:
    rows = ask(f"""select curve_agreement.*, protocol, recipe from curve_agreement join runs using (run_id)
left join (select potential_id as id, recipe from potentials) on id = runs.potential_id
where starts_with(observable, '{kind} ') and {group.where}""")
    return {(row["aimd_run_id"], row["run_id"], row["observable"]): row for row in rows}


def _series(rows: Sequence[Row]) -> list[Series]:
    by_simulation = [list(found) for _, found in groupby(rows, key=itemgetter("dnnp_run_id"))]
    first = by_simulation[0]
    series = _measured(first)
    if first[0]["aimd_run_id"]:
        series.append(Series("AIMD", column(first, "x"), column(first, "aimd"), error=column(first, "aimd_error")))
    observed = [points for points in by_simulation if any(row["dnnp"] is not None for row in points)]
    for points, colour in zip(observed, cycle(POTENTIAL_COLOURS), strict=False):
        values, error = column(points, "dnnp"), column(points, "dnnp_error")
        series.append(Series(simulation(points[0]), column(points, "x"), values, colour, "dashed", error))
    return series


def _measured(rows: Sequence[Row]) -> list[Series]:
    points = [row for row in rows if row.get("g_experiment") is not None][::_ONE_MEASURED_BIN_IN]
    if not points:
        return []
    y, error = column(points, "g_experiment"), column(points, "g_error_experiment")
    return [Series(points[0]["experiment_source"], column(points, "x"), y, MEASURED_COLOURS[0], "circle", error)]


def _judged(verdicts: dict[tuple[str, str, str], Row], rows: Sequence[Row], observable: str) -> Cell:
    runs = dict.fromkeys((row["aimd_run_id"], row["dnnp_run_id"]) for row in rows)
    found = [verdicts[key] for run in runs if (key := (*run, observable)) in verdicts]
    if len(found) > 1:
        worst = max(found, key=lambda row: _SEVERITY.index(row["verdict"] or "undecided"))
        return f"{worst['verdict'] or 'undecided'} at worst; see the table"
    return verdict(found[0]) if found else _not_judged(rows)


def _not_judged(rows: Sequence[Row]) -> str:
    compared = {row["dnnp_run_id"]: row for row in rows if row["aimd_run_id"] and row["dnnp"] is not None}
    if not compared:
        return ""
    means = [(row["dnnp_mean_k"], row["mean_k"]) for row in compared.values() if row["dnnp_mean_k"] and row["mean_k"]]
    if all(row["protocol"] == "npt" for row in compared.values()):
        return "not judged: simulated at constant pressure, and so at another density"
    own, its = max(means, key=lambda pair: abs(pair[0] - pair[1]), default=(0, 0))
    return "not judged" + (f": simulation at {own:.0f} K, AIMD at {its:.0f} K on average" if means else "")


def _verdict_grid(rows: Sequence[Row], verdicts: dict[tuple[str, str, str], Row]) -> list[Grid]:
    aimd_run_id, labels = rows[0]["aimd_run_id"], {row["label"] for row in rows}
    judged = [
        (
            simulation(row),
            run_id,
            row["observable"],
            f"undecided: {why_undecided(row)}" if is_undecided(row) else row["verdict"],
            *(number(row[name]) for name in ("l1_percent", "floor_percent", "z")),
        )
        for (reference, run_id, _), row in sorted(verdicts.items())
        if reference == aimd_run_id and row["observable"].split(" ", 1)[1] in labels
    ]
    head = ("simulation", "run", "observable", "verdict", "difference (%)", "noise floor (%)", "z")
    return [Grid(head, judged, f"Verdicts on {len(judged)} curves", n_text=4, folded=True)] if judged else []
