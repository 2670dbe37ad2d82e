"""Values over the composition space as inline SVG: points of a triangle, or of a line for two elements. No queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from operators.report.figures import draw_triangle
from operators.svg import as_svg, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = {"train": "o", "held_out": "s", "unused": "^"}
"""The shape tells the role, so that colour is free for the value."""
WORDED = {"train": "trained on", "held_out": "held out", "unused": "no role"}

_TRIANGLE_INCHES = (4.2, 3.5)
_LINE_INCHES = (4.2, 2.9)
_SEQUENTIAL, _DIVERGING = "viridis", "PuOr"
"""Both are read alike by people who do not see colours."""


@dataclass(frozen=True, slots=True)
class ValuePlace:
    """A value at a composition."""

    x: float
    y: float
    value: float
    role: str


@dataclass(frozen=True, slots=True)
class Label:
    """What values are, and their unit."""

    name: str
    unit: str = ""

    @property
    def text(self) -> str:
        return f"{self.name} ({self.unit})" if self.unit else self.name


def value_triangle(
    name: str, corners: Sequence[str], places: Sequence[ValuePlace], *, label: Label, synthetic: bool = False
) -> Markup:
    """Values as colours of points in the triangle of three elements; values of both signs around white.

    Parameters
    ----------
    name
        Begins every id in the figure.
    corners
        The three elements: lower left, lower right, top.
    places
        Where the values are.
    label
        What the values are; the unit stands beside the colours.
    synthetic
        Whether it says so.
    """
    from matplotlib.figure import Figure

    with styled():
        figure = Figure(figsize=_TRIANGLE_INCHES)
        axes = figure.add_axes((0.0, 0.0, 0.8, 1.0))
        draw_triangle(axes, corners)
        colours = _colours([place.value for place in places])
        shown: Any = None
        for role, marker in MARKERS.items():
            if of_role := [place for place in places if place.role == role]:
                shown = axes.scatter(
                    [place.x for place in of_role],
                    [place.y for place in of_role],
                    c=[place.value for place in of_role],
                    marker=marker,
                    s=70,
                    edgecolor="#333",
                    linewidths=0.7,
                    zorder=3,
                    **colours,
                )
        bar = figure.colorbar(shown, cax=figure.add_axes((0.8, 0.2, 0.025, 0.6)))
        bar.set_label(label.unit)
        _legend(axes, places)
        return as_svg(figure, name, synthetic=synthetic, told=_told(label.text, places))


def value_line(
    name: str, corners: Sequence[str], places: Sequence[ValuePlace], *, label: Label, synthetic: bool = False
) -> Markup:
    """The same for two elements, over the at.% of the second."""
    from matplotlib.figure import Figure

    with styled():
        figure = Figure(figsize=_LINE_INCHES)
        figure.subplots_adjust(left=0.18, right=0.97, bottom=0.17, top=0.96)
        axes = figure.subplots()
        for role, marker in MARKERS.items():
            if of_role := [place for place in places if place.role == role]:
                axes.scatter(
                    [100 * place.x for place in of_role],
                    [place.value for place in of_role],
                    marker=marker,
                    s=40,
                    color="#2166ac",
                    edgecolor="#333",
                    linewidths=0.7,
                )
        axes.set_xlim(-4, 104)
        axes.set_xlabel(f"{corners[1]} (at.%)")
        axes.set_ylabel(label.text)
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.25 * (high - low))
        _legend(axes, places)
        return as_svg(figure, name, synthetic=synthetic, told=_told(label.text, places))


def _colours(values: Sequence[float]) -> dict[str, Any]:
    """Colour map and its ends, common to all roles."""
    low, high = float(np.min(values)), float(np.max(values))
    if low < 0 < high:
        end = max(-low, high)
        return {"cmap": _DIVERGING, "vmin": -end, "vmax": end}
    margin = 0.0 if high > low else max(abs(high), 1.0) * 0.05
    return {"cmap": _SEQUENTIAL, "vmin": low - margin, "vmax": high + margin}


def _legend(axes: "Axes", places: Sequence[ValuePlace]) -> None:
    """The shapes, in grey: colour is the value."""
    for role, marker in MARKERS.items():
        if any(place.role == role for place in places):
            axes.scatter(
                [], [], marker=marker, color="#777", edgecolor="#333", s=50, linewidths=0.7, label=WORDED[role]
            )
    axes.legend(loc="upper left", handletextpad=0.2)


def _told(what: str, places: Sequence[ValuePlace]) -> str:
    values = [place.value for place in places]
    return f"{what} at {len(places)} compositions, from {min(values):.3g} to {max(values):.3g}"
