"""Compositions in the triangle of three elements, or along a line of two: by role, or coloured by a value."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
from markupsafe import escape

from operators.report.drawing.pictures import Picture, sheet
from operators.report.drawing.scales import Scale
from operators.report.drawing.series import Drawn
from operators.report.drawing.style import (
    EDGE,
    GREY,
    GRID,
    INK,
    MARKERS,
    ROLE_COLOURS,
    SMALL,
    SOFT,
    TEXT,
    number,
    width_of,
)

WORDED: Final = {"train": "trained on", "test": "test split", "held_out": "held out", "unused": "no role"}
SHAPES: Final[dict[str, Drawn]] = {"train": "circle", "held_out": "square", "unused": "triangle"}
"""The shape tells the role, so that colour is free for the value."""

_SIDE, _LEFT, _TOP, _LEGEND = 400.0, 60.0, 52.0, 24.0
_HEIGHT = _SIDE * sqrt(3) / 2
_VIRIDIS: Final = ("#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725")
_PURPLE_ORANGE: Final = ("#542788", "#998ec3", "#d8daeb", "#f7f7f7", "#fee0b6", "#f1a340", "#b35806")
"""Both are read alike by people who do not see all colours."""


@dataclass(frozen=True, slots=True)
class Place:
    """A composition in the triangle, with what stands beside it or what colours it."""

    label: str
    x: float
    y: float
    role: str
    value: float
    told: str
    """What somebody reads who points at it."""


def role_triangle(name: str, corners: Sequence[str], places: Sequence[Place], *, synthetic: bool) -> Picture:
    """Compositions coloured by role, the number of frames beside each (Fig. 1 of the paper)."""
    marks = [
        _mark(place, MARKERS["circle"], ROLE_COLOURS[place.role], radius=1.5)
        + _beside(place, f"{place.value:,.0f}", above=True)
        for place in places
    ]
    roles = [role for role in ROLE_COLOURS if any(place.role == role for place in places)]
    legend = _legend([(WORDED[role], MARKERS["circle"], ROLE_COLOURS[role]) for role in roles])
    rows = [("composition", "role", "frames"), *((p.label, p.role, f"{p.value:.0f}") for p in places)]
    told = f"{'-'.join(corners)} triangle with the frames of {len(places)} compositions"
    drawn = _ground(corners) + "".join(marks) + legend
    size = (_SIDE + 2 * _LEFT, _TOP + _HEIGHT + 26)
    return Picture(name, sheet(drawn, *size, synthetic=synthetic, told=told), rows)


def value_triangle(
    name: str, corners: Sequence[str], places: Sequence[Place], *, label: str, unit: str, synthetic: bool
) -> Picture:
    """Values as colours; those of both signs around white.

    Parameters
    ----------
    name
        Of the picture's files.
    corners
        The three elements: lower left, lower right, top.
    places
        Where the values are.
    label
        What they are, with their unit.
    unit
        What stands over the colours.
    synthetic
        Whether the picture says so.
    """
    scale, colours = _colours([place.value for place in places])
    marks = [
        _mark(place, MARKERS[SHAPES[place.role]], _colour(place.value, scale, colours), radius=1.6) for place in places
    ]
    roles = [role for role in SHAPES if any(place.role == role for place in places)]
    legend = _legend([(WORDED[role], MARKERS[SHAPES[role]], GREY) for role in roles])
    drawn = _ground(corners) + "".join(marks) + legend + _bar(name, scale, colours, unit)
    values = [place.value for place in places]
    told = f"{label} at {len(places)} compositions, from {min(values):.3g} to {max(values):.3g}"
    rows = [("composition", "role", label), *((p.label, p.role, f"{p.value:.6g}") for p in places)]
    size = (_SIDE + 2 * _LEFT + 62, _TOP + _HEIGHT + 26)
    return Picture(name, sheet(drawn, *size, synthetic=synthetic, told=told), rows)


def _at(x: float, y: float) -> tuple[float, float]:
    return _LEFT + _SIDE * x, _TOP + _HEIGHT - _SIDE * y


def _mark(place: Place, shape: str, colour: str, *, radius: float) -> str:
    x, y = _at(place.x, place.y)
    # The shape begins at the centre, so that it grows about its place.
    where = f'transform="translate({number(x)} {number(y)}) scale({radius:g})"'
    path = f'<path d="M0,0{shape}" fill="{colour}" stroke="{INK}" stroke-width=".5"/>'
    told = f'data-tip="{escape(place.told)}" data-at="{place.x:.6f} {place.y:.6f}"'
    return f'<g class="place" {where} {told}>{path}</g>'


def _beside(place: Place, text: str, *, above: bool) -> str:
    x, y = _at(place.x, place.y)
    at = f'x="{number(x)}" y="{number(y - 11 if above else y + 20)}"'
    halo = 'stroke="#ffffff" stroke-width="3" paint-order="stroke"'
    return f'<text {at} text-anchor="middle" font-size="{number(SMALL)}" fill="{INK}" {halo}>{escape(text)}</text>'


def _ground(corners: Sequence[str]) -> str:
    """The triangle with lines of equal share, every 20 at.%."""
    lines = []
    for share in np.arange(0.2, 0.99, 0.2):
        up, rest = share * sqrt(3) / 2, (1 - share) * sqrt(3) / 2
        ends = (((share / 2, up), (1 - share / 2, up)), ((share, 0), ((1 + share) / 2, rest)))
        for start, end in (*ends, ((1 - share, 0), ((1 - share) / 2, rest))):
            (a, b), (c, d) = _at(*start), _at(*end)
            lines.append(f"M{number(a)} {number(b)}L{number(c)} {number(d)}")
    left, right, top = (_at(*corner) for corner in ((0, 0), (1, 0), (0.5, sqrt(3) / 2)))
    outline = "L".join(f"{number(x)} {number(y)}" for x, y in (left, right, top))
    names = zip(corners, (left, right, top), ((-16, 6, "end"), (16, 6, "start"), (0, -26, "middle")), strict=True)
    texts = [
        f'<text x="{number(x + dx)}" y="{number(y + dy)}" text-anchor="{side}" font-size="15" font-weight="700" '
        f'fill="{INK}">{escape(corner)}</text>'
        for corner, (x, y), (dx, dy, side) in names
    ]
    grid = f'<path d="{"".join(lines)}" stroke="{GRID}" fill="none"/>'
    return f'{grid}<path d="M{outline}z" stroke="{EDGE}" fill="none"/>{"".join(texts)}'


def _legend(entries: Sequence[tuple[str, str, str]]) -> str:
    drawn = []
    for row, (text, shape, colour) in enumerate(entries):
        y = 18 + 19 * row
        drawn.append(f'<path d="M14,{number(y - 4)}{shape}" fill="{colour}" stroke="{INK}" stroke-width=".5"/>')
        drawn.append(f'<text x="{_LEGEND}" y="{y}" font-size="{number(TEXT)}" fill="{INK}">{escape(text)}</text>')
    return "".join(drawn)


def _bar(name: str, scale: Scale, colours: Sequence[str], label: str) -> str:
    """The colours with their values."""
    left, top, height = _SIDE + 2 * _LEFT - 22, _TOP + 40, 220.0
    stops = "".join(
        f'<stop offset="{place / (len(colours) - 1):.3f}" stop-color="{colour}"/>'
        for place, colour in enumerate(colours)
    )
    gradient = f'<linearGradient id="{name}-colours" x1="0" y1="1" x2="0" y2="0">{stops}</linearGradient>'
    box = f'x="{number(left)}" y="{number(top)}" width="14" height="{number(height)}"'
    bar = f'<defs>{gradient}</defs><rect {box} fill="url(#{name}-colours)" stroke="{EDGE}"/>'
    texts = []
    for value, text in scale.ticks(5):
        y = top + height * (1 - float(scale.share(np.asarray(value))))
        texts.append(
            f'<text x="{number(left + 19)}" y="{number(y + 4)}" font-size="{number(SMALL)}" fill="{SOFT}">{text}</text>'
        )
    at = min(left + 7, _SIDE + 2 * _LEFT + 60 - width_of(label) / 2)
    middle = f'x="{number(at)}" y="{number(top - 12)}" text-anchor="middle" font-size="{number(SMALL)}" fill="{INK}"'
    return f"{bar}{''.join(texts)}<text {middle}>{escape(label)}</text>"


def _colours(values: Sequence[float]) -> tuple[Scale, Sequence[str]]:
    low, high = float(np.min(values)), float(np.max(values))
    if low < 0 < high:
        end = max(-low, high)
        return Scale(-end, end), _PURPLE_ORANGE
    room = 0.0 if high > low else max(abs(high), 1.0) * 0.05
    return Scale(low - room, high + room), _VIRIDIS


def _colour(value: float, scale: Scale, colours: Sequence[str]) -> str:
    """Between the two nearest colours of the map."""
    place = float(np.clip(scale.share(np.asarray(value)), 0, 1)) * (len(colours) - 1)
    one = min(int(place), len(colours) - 2)
    parts = zip(_rgb(colours[one]), _rgb(colours[one + 1]), strict=True)
    return "#" + "".join(f"{round(a + (place - one) * (b - a)):02x}" for a, b in parts)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
