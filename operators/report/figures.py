"""Figures of the report as inline SVG: small panels that a phone shows one below the other. No queries belong here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike

from operators.svg import BLUE, GREY, RED, SKY, as_svg, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROLE_COLOURS = {"train": BLUE, "test": SKY, "held_out": RED, "unused": GREY}
Drawn = Literal["solid", "dashed", "points", "stars"]
MEASURED_COLOURS = (GREY, "#333333", "#a6761d", "#b8b8b8", "#666666")
"""Of measurements, so that nobody takes one for a simulation."""
POTENTIAL_COLOURS = (RED, "#e08214", "#1b7837", "#762a83", "#01665e")
_PANEL_INCHES = (3.5, 2.7)
_POINTS_DRAWN_ONE_BY_ONE = 400
MOST_IN_A_LEGEND = 6
_A_FEW = 5


@dataclass(frozen=True, slots=True)
class Series:
    """One curve or cloud: its points, how they are drawn and, where known, the error of each."""

    label: str
    x: ArrayLike
    y: ArrayLike
    colour: str = BLUE
    drawn: Drawn = "solid"
    error: ArrayLike | None = None


@dataclass(frozen=True, slots=True)
class Axis:
    """What is drawn along an axis, with its unit."""

    label: str
    logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A composition in the triangle."""

    label: str
    x: float
    y: float
    role: str
    n_frames: int


def curves(name: str, series: Sequence[Series], x: Axis, y: Axis, *, synthetic: bool = False) -> Markup:
    """Lines and points over a common axis; errors are bands around lines and bars at points."""
    figure, axes = _panel()
    with styled():
        for one in series:
            _draw(axes, one)
        _scale(axes, "x", x)
        _scale(axes, "y", y)
        if 1 < len(series) <= MOST_IN_A_LEGEND:
            _leave_headroom(axes, is_logarithmic=y.logarithmic)
            axes.legend(loc="upper right")
        return as_svg(figure, name, synthetic=synthetic)


def parity(name: str, clouds: Sequence[Series], quantity: str, *, synthetic: bool = False) -> Markup:
    """Predictions against their reference, with the line where both are equal."""
    figure, axes = _panel(left_inches=0.85, right_inches=0.25)
    with styled():
        values = np.concatenate([np.asarray(axis, dtype=float) for cloud in clouds for axis in (cloud.x, cloud.y)])
        ends = [values.min(), values.max()] if len(values) else [0.0, 1.0]
        axes.plot(ends, ends, color="#333", linewidth=0.8, zorder=3)
        many = max((len(np.atleast_1d(cloud.x)) for cloud in clouds), default=0) > _POINTS_DRAWN_ONE_BY_ONE
        for cloud in clouds:
            _draw_points(axes, cloud, many=many)
        axes.locator_params(nbins=5)
        axes.set_xlabel(f"DFT {quantity}")
        axes.set_ylabel(f"DNNP {quantity}")
        axes.legend(loc="upper left", markerscale=1.5, handletextpad=0.2)
        return as_svg(figure, name, synthetic=synthetic)


def ternary_map(name: str, corners: Sequence[str], places: Sequence[Place], *, synthetic: bool = False) -> Markup:
    """Compositions in their triangle, coloured by role, with the number of frames beside each."""
    figure, axes = _panel((5.2, 4.7), left_inches=0.1, bottom_inches=0.1)
    with styled():
        draw_triangle(axes, corners)
        for place in places:
            axes.scatter(place.x, place.y, s=46, color=ROLE_COLOURS[place.role], zorder=3, edgecolor="white")
            axes.annotate(
                f"{place.n_frames:,}",
                (place.x, place.y),
                xytext=(0, 7),
                textcoords="offset points",
                ha="center",
                size=8,
            )
        _role_legend(axes, {place.role for place in places})
        return as_svg(figure, name, synthetic=synthetic)


def draw_triangle(axes: "Axes", corners: Sequence[str]) -> None:
    """The triangle of three elements with lines of equal share, every 20 at.%."""
    axes.set_axis_off()
    axes.set_aspect("equal")
    height = np.sqrt(3) / 2
    for share in np.arange(0.2, 1.0, 0.2):
        _grid_line(axes, (share / 2, share * height), (1 - share / 2, share * height))
        _grid_line(axes, (share, 0), ((1 + share) / 2, (1 - share) * height))
        _grid_line(axes, (1 - share, 0), ((1 - share) / 2, (1 - share) * height))
    axes.plot([0, 1, 0.5, 0], [0, 0, height, 0], color="#555", linewidth=1)
    for corner, at, side in zip(corners, ((0, 0), (1, 0), (0.5, height)), ("right", "left", "center"), strict=True):
        axes.annotate(corner, at, xytext=_beside(side), textcoords="offset points", ha=side, weight="bold", size=12)
    axes.set_xlim(-0.12, 1.12)
    axes.set_ylim(-0.1, height + 0.13)


def frame_bars(name: str, counts: Mapping[str, tuple[int, str]], *, synthetic: bool = False) -> Markup:
    """Frames per composition as bars, for chemical systems that have no triangle."""
    figure, axes = _panel((5.2, 0.9 + 0.3 * len(counts)), left_inches=1.1)
    with styled():
        labels = list(counts)[::-1]
        for row, label in enumerate(labels):
            n_frames, role = counts[label]
            axes.barh(row, n_frames, color=ROLE_COLOURS[role], height=0.6)
            axes.annotate(f" {n_frames:,}", (n_frames, row), va="center", size=8)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_xlabel("AIMD frames stored")
        axes.margins(x=0.25)
        axes.set_ylim(-0.7, len(labels) - 0.3)
        axes.grid(visible=False, axis="y")
        axes.set_axisbelow(True)
        if len(roles := {role for _, role in counts.values()}) > 1:
            _role_legend(axes, roles)
        return as_svg(figure, name, synthetic=synthetic)


def _panel(
    size_inches: tuple[float, float] = _PANEL_INCHES,
    *,
    left_inches: float = 0.7,
    right_inches: float = 0.08,
    bottom_inches: float = 0.45,
) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    with styled():
        figure = Figure(figsize=size_inches)
        # Fixed margins: matplotlib's own layout engines double the time of a panel.
        width, height = size_inches
        figure.subplots_adjust(
            left=left_inches / width,
            right=1 - right_inches / width,
            bottom=bottom_inches / height,
            top=1 - 0.08 / height,
        )
        return figure, figure.subplots()


def _scale(axes: "Axes", direction: Literal["x", "y"], axis: Axis) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set(**{f"{direction}label": axis.label})
    if axis.logarithmic:
        axes.set(**{f"{direction}scale": "log"})
        drawn = axes.xaxis if direction == "x" else axes.yaxis
        low, high = drawn.get_view_interval()
        drawn.set_major_locator(LogLocator(subs=(1, 2, 5) if high > _A_FEW * low else range(1, 10)))
        drawn.set_major_formatter("{x:g}")
        drawn.set_minor_formatter(NullFormatter())


def _leave_headroom(axes: "Axes", *, is_logarithmic: bool) -> None:
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * 1.6 if is_logarithmic else high + 0.2 * (high - low))


def _draw(axes: "Axes", one: Series) -> None:
    x, y = np.asarray(one.x, dtype=float), np.asarray(one.y, dtype=float)
    error = None if one.error is None else np.asarray(one.error, dtype=float)
    if one.drawn in ("solid", "dashed"):
        dashes = "-" if one.drawn == "solid" else (0, (4, 2))
        axes.plot(x, y, color=one.colour, linestyle=dashes, linewidth=1.3, label=one.label)
        if error is not None and np.isfinite(error).any():
            axes.fill_between(x, y - error, y + error, color=one.colour, alpha=0.18, linewidth=0)
        return
    if error is not None and np.isfinite(error).any():
        axes.errorbar(x, y, np.nan_to_num(error), fmt="none", ecolor=one.colour, elinewidth=0.8)
    _draw_points(axes, one, many=len(x) > _POINTS_DRAWN_ONE_BY_ONE)


def _draw_points(axes: "Axes", one: Series, *, many: bool) -> None:
    axes.scatter(
        np.asarray(one.x, dtype=float),
        np.asarray(one.y, dtype=float),
        s=4 if many else 60 if one.drawn == "stars" else 22,
        marker="*" if one.drawn == "stars" else "o",
        color=one.colour,
        alpha=0.5 if many else 0.9,
        linewidths=0,
        label=one.label,
        rasterized=many,
    )


def _grid_line(axes: "Axes", start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.plot([start[0], end[0]], [start[1], end[1]], color="#dfe3e8", linewidth=0.7, zorder=1)


def _beside(side: str) -> tuple[int, int]:
    return {"right": (-8, -8), "left": (8, -8), "center": (0, 20)}[side]


def _role_legend(axes: "Axes", roles: set[str]) -> None:
    for role, colour in ROLE_COLOURS.items():
        if role in roles:
            axes.scatter([], [], color=colour, label=role.replace("_", "-"))
    axes.legend(loc="upper left" if not axes.axison else "lower right")
