"""Figures 4, 5 and 8 of the paper: curves of simulations over those of the AIMD runs that they repeat."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from operators.report.drawing.pictures import picture
from operators.report.drawing.plots import Axis, Plot
from operators.report.drawing.series import Drawn, Series
from operators.report.drawing.style import BLACK, BLUE, POTENTIAL_COLOURS, RED
from operators.report.main_potential import compared, main_potential, named_apart
from operators.report.page import Ask, Figure, Group, Row, Section, column, counted

_AXES = {"rdf": (Axis("r (Å)"), Axis("g(r)")), "vacf": (Axis("lag (fs)"), Axis("VACF / VACF(0)"))}
_PAPERS_THREE = ("DP-2", "DP-13", "DP-8")
_PAPERS_HELD_OUT = ("Al50Cu25Ni25", "Al70Cu20Ni10")
_MOST_POTENTIALS = 6
_TWIN = "meltlake simulate POTENTIAL --protocol twin --composition COMPOSITION"
_HOW = "AIMD is the solid blue line, the potential the dashed red one."


def motion_figure(group: Group, ask: Ask) -> Section:
    """Velocity autocorrelation of the most even melt, several potentials against AIMD (Fig. 4)."""
    pairs = compared(group, ask)
    even = sorted(pairs, key=lambda row: (-row["n_elements"], row["spread_at_percent"], row["composition"]))
    alike = [row for row in even if row["aimd_run_id"] == even[0]["aimd_run_id"]]
    chosen = sorted(alike, key=lambda row: (_place(row["recipe"], _PAPERS_THREE), _error(row)))[:_MOST_POTENTIALS]
    return _section(
        group,
        ask,
        "4",
        pairs=(pairs, chosen),
        title="velocity autocorrelation",
        caption=f"{_melt(chosen)}, the most even mixture that was simulated. AIMD is dashed, potentials are solid.",
        curves=("vacf",),
    )


def structure_figure(group: Group, ask: Ask) -> Section:
    """Partial radial distribution functions at the compositions that a potential was trained on (Fig. 5)."""
    pairs = compared(group, ask)
    main = main_potential(pairs)
    home = [row for row in pairs if row["potential_id"] == main and row["is_home"]]
    chosen = [next(rows) for _, rows in groupby(home, key=itemgetter("composition"))]
    return _section(
        group,
        ask,
        "5",
        pairs=(pairs, chosen),
        title="structure where it was trained",
        caption=f"Partial g(r) of {counted(len(chosen), 'melt')} that {_whose(pairs, chosen)} was trained on. {_HOW}",
        curves=("rdf",),
    )


def transfer_figure(group: Group, ask: Ask) -> Section:
    """Structure and motion of a melt that a potential never saw (Fig. 8)."""
    pairs = compared(group, ask)
    main = main_potential(pairs)
    away = [row for row in pairs if row["is_home"] is False]
    chosen = sorted(
        away, key=lambda row: (row["potential_id"] != main, _place(row["composition"], _PAPERS_HELD_OUT), _error(row))
    )[:1]
    return _section(
        group,
        ask,
        "8",
        pairs=(pairs, chosen),
        title="a melt that was held out",
        caption=f"{_melt(chosen)}, which {_whose(pairs, chosen)} was never trained on. {_HOW}",
        curves=("rdf", "vacf"),
    )


def _section(
    group: Group,
    ask: Ask,
    number: str,
    *,
    pairs: tuple[Sequence[Row], Sequence[Row]],
    title: str,
    caption: str,
    curves: tuple[str, ...],
) -> Section:
    """The figure of the chosen ones among the pairs."""
    every, chosen = pairs
    sql = _sql(chosen, curves)
    names = named_apart(every)
    draw = _many if number == "4" else _one
    plots = [
        Plot(f"{composition} {label}" if number == "5" else label, draw(list(rows), names), *_AXES[curve])
        for (curve, composition, label), rows in groupby(
            ask(sql) if chosen else (), key=itemgetter("curve", "composition", "label")
        )
    ]
    columns = min(6, max(3, len(plots))) if number == "5" else 3
    drawn = picture(f"figure-{number}-{group.anchor}", plots, columns=columns, lettered=True, synthetic=group.synthetic)
    return Section(
        anchor=f"{group.anchor}-figure-{number}",
        title=f"Figure {number}: {title}",
        caption=f"{caption} Bands are standard errors within a run.",
        sql=sql,
        command=_TWIN,
        figures=[Figure(drawn, below=_judged(ask, chosen, curves))] if plots else [],
        synthetic=group.synthetic,
    )


def _sql(pairs: Sequence[Row], curves: tuple[str, ...]) -> str:
    listed = ", ".join(f"('{row['aimd_run_id']}', '{row['dnnp_run_id']}')" for row in pairs)
    parts = {
        "rdf": f"""select 'rdf' as curve, composition, potential_id, pair as label, r_angstrom as x,
       g_aimd as aimd, g_error_aimd as aimd_error, g_dnnp as dnnp, g_error_dnnp as dnnp_error
from rdf_comparison
where (aimd_run_id, dnnp_run_id) in ({listed}) and pair <> 'all'""",
        "vacf": f"""select 'vacf' as curve, composition, potential_id, element as label, lag_fs as x,
       vacf_aimd as aimd, vacf_error_aimd as aimd_error, vacf_dnnp as dnnp, vacf_error_dnnp as dnnp_error
from vacf_comparison
where (aimd_run_id, dnnp_run_id) in ({listed})""",
    }
    joined = "\nunion all\n".join(parts[curve] for curve in curves)
    # Pure melts before binary ones before ternary ones: their labels grow.
    return (
        f"{joined}\norder by curve, len(regexp_extract_all(composition, '[A-Z]')), composition, label, potential_id, x"
    )


def _many(rows: Sequence[Row], names: dict[str, str]) -> list[Series]:
    """Potentials in the order of their names, each with a colour of its own."""
    by_potential = {key: list(found) for key, found in groupby(rows, key=itemgetter("potential_id"))}
    ordered = sorted(by_potential, key=lambda key: _place(names[key], _PAPERS_THREE))
    drawn = [
        _simulated(by_potential[key], names[key], colour, "solid")
        for key, colour in zip(ordered, POTENTIAL_COLOURS, strict=False)
    ]
    return [_aimd(by_potential[ordered[0]], BLACK, "dashed"), *drawn]


def _one(rows: Sequence[Row], names: dict[str, str]) -> list[Series]:
    return [_aimd(rows, BLUE, "solid"), _simulated(rows, names[rows[0]["potential_id"]], RED, "dashed")]


def _aimd(rows: Sequence[Row], colour: str, drawn: Drawn) -> Series:
    return Series("AIMD", column(rows, "x"), column(rows, "aimd"), colour, drawn, column(rows, "aimd_error"))


def _simulated(rows: Sequence[Row], label: str, colour: str, drawn: Drawn) -> Series:
    return Series(label, column(rows, "x"), column(rows, "dnnp"), colour, drawn, column(rows, "dnnp_error"))


def _judged(ask: Ask, pairs: Sequence[Row], curves: Sequence[str]) -> str:
    """How many of the curves in the figure agree, as a sentence."""
    listed = ", ".join(f"('{row['aimd_run_id']}', '{row['dnnp_run_id']}')" for row in pairs)
    if not listed:
        return ""
    kinds = " or ".join(f"starts_with(observable, '{curve} ')" for curve in curves)
    rows = ask(f"""select coalesce(verdict, 'undecided') as verdict, count(*) as n from curve_agreement
where (aimd_run_id, run_id) in ({listed}) and ({kinds}) and observable <> 'rdf all' group by all order by n desc""")
    return (
        "Against the noise between halves of the AIMD run: "
        + ", ".join(f"{counted(row['n'], 'curve')} {row['verdict']}" for row in rows)
        + "."
        if rows
        else ""
    )


def _melt(pairs: Sequence[Row]) -> str:
    if not pairs:
        return "A melt"
    kelvin = pairs[0]["aimd_temperature_k"]
    return str(pairs[0]["composition"]) + ("" if kelvin is None else f" at {kelvin:.0f} K")


def _whose(pairs: Sequence[Row], chosen: Sequence[Row]) -> str:
    return named_apart(pairs)[chosen[0]["potential_id"]] if chosen else "a potential"


def _place(name: str | None, favourites: Sequence[str]) -> tuple[int, str]:
    """Favourites in their order before all others in theirs."""
    return (favourites.index(name) if name in favourites else len(favourites)), name or ""


def _error(row: Row) -> float:
    error = row["rmse_force_mev_per_angstrom"]
    return float("inf") if error is None else float(error)
