"""The section that leaves one composition out at a time: how errors grow with the distance to what was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np

from operators.report.drawing.pictures import picture
from operators.report.drawing.plots import Axis, Plot
from operators.report.drawing.series import Series
from operators.report.drawing.style import POTENTIAL_COLOURS
from operators.report.page import Ask, Figure, Grid, Group, Row, Section, column, number, plain
from operators.report.potentials import RMSE

_FEWEST_FOR_A_LINE = 3
_ENDS = 25


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line through points, and how far the points scatter about it."""

    slope: float
    slope_error: float
    intercept: float
    scatter: float


def line_through(x: Sequence[float], y: Sequence[float]) -> Line | None:
    """The line of least squares; None under three points, or where all are at one place."""
    if len(x) < _FEWEST_FOR_A_LINE or np.ptp(x) == 0:
        return None
    slope, intercept = np.polyfit(x, y, 1)
    left = np.asarray(y) - slope * np.asarray(x) - intercept
    scatter = float(np.sqrt((left**2).sum() / (len(x) - 2)))
    apart = np.asarray(x) - np.mean(x)
    return Line(float(slope), scatter / float(np.sqrt((apart**2).sum())), float(intercept), scatter)


def leave_one_out_section(group: Group, ask: Ask) -> Section:
    """Errors on compositions that were left out one at a time, against their distance."""
    sql = f"""select * from leave_one_out
where {group.where}
order by recipe, n_steps, distance_at_percent, composition"""
    rows = ask(sql)
    grid = Grid(
        ("left out", "nearest trained", "recipe", "distance (at.%)", "coverage", "frames", "RMSE E (meV/atom)",
         "RMSE F (meV/Å)", "RMSE V (meV/atom)", "RMSE F when trained on (meV/Å)", "times"),
        [
            (
                row["composition"],
                plain(row["nearest_composition"]),
                row["recipe"],
                *(number(row[name]) for name in ("distance_at_percent", "coverage_frac", "n_frames", *RMSE)),
                number(row[f"trained_{RMSE[1]}"]),
                number(row["times_the_force_error"]),
            )
            for row in rows
        ],
        n_text=3,
    )  # fmt: skip
    return Section(
        anchor=f"{group.anchor}-leave-one-out",
        title="One composition left out at a time",
        caption="For each composition, a potential that was trained without it, judged on it: error against the "
        "distance to the nearest composition that was left (half-L1). The line is that of least squares, the band how "
        "far the points scatter about it. Beside it the error on test frames of the potential that was trained on all.",
        sql=sql,
        command="leave_one_out = true in campaign.toml, then meltlake status",
        figures=_figures(group, rows),
        grids=[grid] if rows else [],
        synthetic=group.synthetic,
    )


def _figures(group: Group, rows: Sequence[Row]) -> list[Figure]:
    series, told = [], []
    for place, ((recipe, _), alike) in enumerate(groupby(rows, key=itemgetter("recipe", "n_steps"))):
        found = [row for row in alike if row["distance_at_percent"] is not None and row[RMSE[1]] is not None]
        x, y = column(found, "distance_at_percent"), column(found, RMSE[1])
        if not found:
            continue
        colour = POTENTIAL_COLOURS[place % len(POTENTIAL_COLOURS)]
        series.append(Series(recipe, x, y, colour, "circle"))
        if (line := line_through(x, y)) is not None:
            ends = np.linspace(min(x), max(x), _ENDS)
            fitted, band = line.intercept + line.slope * ends, np.full(_ENDS, line.scatter)
            series.append(Series(f"{recipe}, line", ends, fitted, colour, "dashed", band))
            slopes = f"{number(line.slope, 2)} ± {number(line.slope_error, 1)} meV/Å per at.%"
            told.append(f"{recipe}: {slopes}, scatter {number(line.scatter, 2)} meV/Å")
        else:
            told.append(f"{recipe}: no line through fewer than three distances")
    if not series:
        return []
    axes = (Axis("distance to training (at.%)"), Axis("force RMSE (meV/Å)"))
    plot = Plot("Force error of what was left out", series, *axes)
    return [Figure(picture(f"leave-one-out-{group.anchor}", [plot], synthetic=group.synthetic), below="; ".join(told))]
