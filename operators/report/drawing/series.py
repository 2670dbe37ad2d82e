"""One curve or cloud as SVG. Its points stand in the path, as `x,y`: what is drawn can be read back."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from operators.report.drawing.scales import Floats, Scale
from operators.report.drawing.style import BLUE, MARKERS, number

Drawn = Literal["solid", "dashed", "circle", "square", "triangle", "star"]
LINES = ("solid", "dashed")
_MANY = 300
"""Points that are drawn as dots, each place once."""
_DOT = 2.4


@dataclass(frozen=True, slots=True)
class Series:
    """One curve or cloud: its points, how they are drawn and, where known, the error of each."""

    label: str
    x: ArrayLike
    y: ArrayLike
    colour: str = BLUE
    drawn: Drawn = "solid"
    error: ArrayLike | None = None
    raised: float = 0.0
    """By how much it is moved up, so that curves do not lie on each other."""

    @property
    def places(self) -> Floats:
        return np.asarray(self.x, dtype=float)

    @property
    def values(self) -> Floats:
        return np.asarray(self.y, dtype=float)

    @property
    def errors(self) -> Floats:
        """*(n)* Errors, 0 where there is none."""
        return np.zeros(len(self.values)) if self.error is None else np.nan_to_num(np.asarray(self.error, dtype=float))

    @property
    def is_line(self) -> bool:
        return self.drawn in LINES

    @property
    def is_cloud(self) -> bool:
        return not self.is_line and len(self.values) > _MANY

    @property
    def spread(self) -> Floats:
        """*(2 n)* All that has to fit on the axis."""
        return np.concatenate([self.values - self.errors, self.values + self.errors]) + self.raised


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a panel is on the picture, and its scales."""

    left: float
    top: float
    width: float
    height: float
    x: Scale
    y: Scale

    def across(self, values: Floats) -> Floats:
        return np.asarray(self.left + self.width * self.x.share(values))

    def down(self, values: Floats) -> Floats:
        return np.asarray(self.top + self.height * (1 - self.y.share(values)))


def series_svg(one: Series, frame: Frame, key: int, *, has_band: bool = True) -> str:
    """The series as a group; `data-key` is its place in the legend."""
    drawn = _line(one, frame, has_band=has_band) if one.is_line else _points(one, frame)
    raised = f' data-raised="{one.raised:g}"' if one.raised else ""
    return f'<g class="series" data-key="{key}"{raised}>{drawn}</g>'


def stroke(one: Series) -> str:
    """How a curve's line looks, also in the legend."""
    dashes = ' stroke-dasharray="6 3"' if one.drawn == "dashed" else ""
    return f'fill="none" stroke="{one.colour}" stroke-width="1.6" stroke-linejoin="round"{dashes}'


def marker(one: Series) -> str:
    """How its markers look, also in the legend."""
    return f'fill="{one.colour}" fill-opacity=".85" stroke="#ffffff" stroke-width=".6"'


def _line(one: Series, frame: Frame, *, has_band: bool) -> str:
    shown = one.values + one.raised
    x, y = frame.across(one.places), frame.down(shown)
    pieces = _pieces(np.isfinite(x) & np.isfinite(y))
    line = "".join(_path(x[piece], y[piece]) for piece in pieces)
    band = ""
    if has_band and one.errors.any():
        # On a logarithmic axis an error can be larger than its value, whose band then ends at the axis.
        upper, lower = frame.down(shown + one.errors), frame.down(np.maximum(shown - one.errors, frame.y.low))
        around = "".join(
            _path(np.append(x[piece], x[piece][::-1]), np.append(upper[piece], lower[piece][::-1])) + "z"
            for piece in pieces
        )
        band = f'<path class="band" d="{around}" fill="{one.colour}" fill-opacity=".18"/>'
    return f'{band}<path class="line" d="{line}" {stroke(one)}/>'


def _points(one: Series, frame: Frame) -> str:
    x, y = frame.across(one.places), frame.down(one.values + one.raised)
    known = np.isfinite(x) & np.isfinite(y)
    if one.is_cloud:
        # What falls on a place that is drawn already would not be seen, and weighs as much.
        places = dict.fromkeys(zip(map(_half, x[known]), map(_half, y[known]), strict=True))
        dots = "".join(f"M{across},{down}h0" for across, down in places)
        how = f'stroke="{one.colour}" stroke-width="{_DOT}" stroke-linecap="round" stroke-opacity=".55" fill="none"'
        return f'<path class="dots" d="{dots}" {how}/>'
    marks = "".join(f"M{number(a)},{number(b)}{MARKERS[one.drawn]}" for a, b in zip(x[known], y[known], strict=True))
    bars = ""
    if one.errors.any():
        upper, lower = frame.down(one.spread.reshape(2, -1)[1]), frame.down(one.spread.reshape(2, -1)[0])
        lines = "".join(
            f"M{number(a)},{number(high)}V{number(low)}"
            for a, high, low, error in zip(x[known], upper[known], lower[known], one.errors[known], strict=True)
            if error
        )
        bars = f'<path class="bars" d="{lines}" stroke="{one.colour}" stroke-width="1.2" fill="none"/>'
    return f'{bars}<path class="marks" d="{marks}" {marker(one)}/>'


def _pieces(known: NDArray[np.bool_]) -> list[slice]:
    """Stretches without a gap."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int)))
    return [slice(start, end) for start, end in edges.reshape(-1, 2).tolist()]


def _path(x: Floats, y: Floats) -> str:
    return "M" + " ".join(f"{number(a)},{number(b)}" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def _half(length: float) -> str:
    return number(round(2 * length) / 2)
