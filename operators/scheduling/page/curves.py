"""Curves and points as numbers for an SVG: scales, ticks, paths. Colours belong to the stylesheet, rows to the tabs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 360, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 20, 10, 40
_MOST_POINTS = 300
_SIDE, _MARGIN = 340.0, 40.0

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """A curve: its name, which of the stylesheet's colours it has, whether it is dashed, and its points."""

    name: str
    colour: int
    points: Sequence[Point]
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    place: float
    text: str


@dataclass(frozen=True, slots=True)
class Path:
    """A curve in the units of the SVG."""

    name: str
    colour: int
    is_dashed: bool
    path: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One diagram."""

    title: str
    x_label: str
    y_label: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    paths: list[Path]


@dataclass(frozen=True, slots=True)
class Figure:
    """Diagrams that share their curves' names, which can be shown and hidden."""

    title: str
    panels: list[Panel]
    empty: str

    @property
    def names(self) -> list[Path]:
        """One curve of each name, for the legend."""
        return list({path.name: path for panel in self.panels for path in panel.paths}.values())


def panel(title: str, lines: Iterable[Line], *, x_label: str, y_label: str, is_log: bool = False) -> Panel | None:
    """A diagram of some curves; None when none of them has two points that can be drawn."""
    lines = [Line(line.name, line.colour, _drawable(line, is_log=is_log), line.is_dashed) for line in lines]
    lines = [line for line in lines if len(line.points) > 1]
    if not lines:
        return None
    x_ends = _ends([x for line in lines for x, _ in line.points])
    y_ends = _ends([y for line in lines for _, y in line.points], is_padded=True)
    return Panel(
        title,
        x_label,
        y_label,
        [Tick(_x(value, x_ends), f"{value:g}") for value in _ticks(*x_ends)],
        [Tick(_y(value, y_ends), _text(value, is_log=is_log)) for value in _ticks(*y_ends, is_log=is_log)],
        [Path(line.name, line.colour, line.is_dashed, _path(line.points, x_ends, y_ends)) for line in lines],
    )


def _drawable(line: Line, *, is_log: bool) -> list[Point]:
    known = [(x, y) for x, y in line.points if x is not None and y is not None and math.isfinite(y)]
    if is_log:
        known = [(x, math.log10(y)) for x, y in known if y > 0]
    stride = -(-len(known) // _MOST_POINTS) or 1
    return known[::stride]


def _ends(values: Sequence[float], *, is_padded: bool = False) -> tuple[float, float]:
    low, high = min(values), max(values)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    room = 0.05 * (high - low) if is_padded else 0.0
    return low - room, high + room


def _ticks(low: float, high: float, *, is_log: bool = False) -> list[float]:
    """About five round numbers; powers of ten of logarithms where two of them fit."""
    if is_log and math.floor(high) - math.ceil(low) >= 1:
        return [float(power) for power in range(math.ceil(low), math.floor(high) + 1)]
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _text(value: float, *, is_log: bool) -> str:
    return f"{round(10.0**value, 12):g}" if is_log else f"{value:g}"


def _x(value: float, ends: Point) -> float:
    return round(_LEFT + (value - ends[0]) / (ends[1] - ends[0]) * (WIDTH - _LEFT - _RIGHT), 1)


def _y(value: float, ends: Point) -> float:
    return round(HEIGHT - _BOTTOM - (value - ends[0]) / (ends[1] - ends[0]) * (HEIGHT - _TOP - _BOTTOM), 1)


def _path(points: Sequence[Point], x_ends: Point, y_ends: Point) -> str:
    return "M" + "L".join(f"{_x(x, x_ends)} {_y(y, y_ends)}" for x, y in points)


@dataclass(frozen=True, slots=True)
class Place:
    """A composition on a map, in the units of the SVG."""

    x: float
    y: float
    composition: str
    role: str
    told: str
    is_label_left: bool


@dataclass(frozen=True, slots=True)
class CompositionMap:
    """Compositions in the triangle of three elements, or on the line between two."""

    system: str
    corners: list[str]
    synthetic: bool
    places: list[Place]

    @property
    def is_triangle(self) -> bool:
        return len(self.corners) == 3


def place(composition: str, role: str, told: str, *, x: float, y: float) -> Place:
    """A point of the unit triangle: (0, 0) lower left, (1, 0) lower right, (0.5, 0.87) on top."""
    right = _MARGIN + x * _SIDE
    return Place(round(right, 1), round(_MARGIN + (0.866 - y) * _SIDE, 1), composition, role, told, x > 0.75)
