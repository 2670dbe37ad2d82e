"""Atoms of one frame as spheres, the nearest drawn last."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from markupsafe import escape
from numpy.typing import ArrayLike, NDArray

from operators.report.drawing.pictures import Picture, sheet
from operators.report.drawing.style import EDGE, INK, POTENTIAL_COLOURS, TEXT, number, width_of

_COLOURS: Final = {"Al": "#e0342b", "Cu": "#2f5fd0", "Ni": "#90ee90"}
"""Those of the paper's figure 2; other elements take the next of the palette."""
_SIZE, _TOP = 480.0, 30.0
_RADIUS_ANGSTROM, _MARGIN_ANGSTROM = 1.25, 1.4
_TURN, _TILT = np.radians(24.0), np.radians(16.0)
_EDGES: Final = tuple((a, a | bit) for a in range(8) for bit in (1, 2, 4) if not a & bit)


def spheres(
    name: str, elements: Sequence[str], cell_angstrom: ArrayLike, positions_angstrom: ArrayLike, *, synthetic: bool
) -> Picture:
    """The atoms, folded into their cell, from a little above and beside it.

    Parameters
    ----------
    name
        Of the picture's files.
    elements
        Symbol of each atom.
    cell_angstrom
        *(3, 3)*, Å. Rows are the cell's vectors.
    positions_angstrom
        *(n_atoms, 3)*, Å.
    synthetic
        Whether the picture says so.
    """
    cell = np.asarray(cell_angstrom, dtype=float).reshape(3, 3)
    positions = np.asarray(positions_angstrom, dtype=float).reshape(-1, 3)
    folded = ((positions @ np.linalg.inv(cell)) % 1.0) @ cell
    corners = np.array([[k & 1, k >> 1 & 1, k >> 2 & 1] for k in range(8)]) @ cell
    seen, outline = _turned(folded, about=corners.mean(axis=0)), _turned(corners, about=corners.mean(axis=0))
    low, high = outline.min(axis=0), outline.max(axis=0)
    scale = _SIZE / (max(high[0] - low[0], high[1] - low[1]) + 2 * _MARGIN_ANGSTROM)
    height = _TOP + scale * (high[1] - low[1] + 2 * _MARGIN_ANGSTROM)
    offset = scale * (_MARGIN_ANGSTROM - low[:2]) + (0, _TOP)
    ids = {element: f"{name}-{element}" for element in dict.fromkeys(elements)}
    radius = scale * _RADIUS_ANGSTROM
    atoms = [
        f'<use href="#{ids[elements[atom]]}" x="{number(x)}" y="{number(y)}"/>'
        for atom, (x, y) in zip(*_sorted(seen, scale, offset), strict=True)
    ]
    edges = _edges(outline, scale, offset)
    drawn = f"<defs>{_balls(ids, radius)}</defs>{edges[0]}{''.join(atoms)}{edges[1]}{_legend(ids)}"
    counts = ", ".join(f"{list(elements).count(element):,} {element}" for element in ids)
    rows: list[Sequence[object]] = [("element", "x (Å)", "y (Å)", "z (Å)")]
    rows += [(e, *(f"{v:.4f}" for v in at)) for e, at in zip(elements, folded.tolist(), strict=True)]
    return Picture(name, sheet(drawn, _SIZE, height, synthetic=synthetic, told=f"Atoms of a melt: {counts}"), rows)


def _turned(points: NDArray[np.float64], *, about: NDArray[np.float64]) -> NDArray[np.float64]:
    """*(n, 3)* As seen: to the right, down, and towards who looks."""
    x, y, z = (points - about).T
    right, towards = np.cos(_TURN) * x + np.sin(_TURN) * y, np.sin(_TURN) * x - np.cos(_TURN) * y
    up, near = np.cos(_TILT) * z - np.sin(_TILT) * towards, np.sin(_TILT) * z + np.cos(_TILT) * towards
    return np.stack([right, -up, near], axis=1)


def _sorted(
    seen: NDArray[np.float64], scale: float, offset: NDArray[np.float64]
) -> tuple[list[int], list[tuple[float, float]]]:
    order = np.argsort(seen[:, 2], kind="stable")
    places = scale * seen[order, :2] + offset
    return order.tolist(), [(x, y) for x, y in places.tolist()]


def _balls(ids: dict[str, str], radius: float) -> str:
    palette = iter(POTENTIAL_COLOURS * 4)
    balls = []
    for element, name in ids.items():
        colour = _COLOURS.get(element) or next(palette)
        stops = f'<stop offset="0" stop-color="#ffffff" stop-opacity=".9"/><stop offset=".35" stop-color="{colour}"/>'
        shine = f'<radialGradient id="{name}-shine" cx=".36" cy=".34" r=".75">{stops}'
        shine += f'<stop offset="1" stop-color="{_dimmed(colour)}"/></radialGradient>'
        ball = f'<circle id="{name}" r="{number(radius)}" fill="url(#{name}-shine)" stroke="{_dimmed(colour)}"'
        balls.append(f'{shine}{ball} stroke-width=".5"/>')
    return "".join(balls)


def _dimmed(colour: str) -> str:
    return "#" + "".join(f"{round(int(colour[at : at + 2], 16) * 0.45):02x}" for at in (1, 3, 5))


def _edges(outline: NDArray[np.float64], scale: float, offset: NDArray[np.float64]) -> tuple[str, str]:
    """The cell's edges behind the atoms, and those that meet at its nearest corner, before them."""
    nearest = int(np.argmax(outline[:, 2]))
    places = scale * outline[:, :2] + offset
    drawn = ["", ""]
    for start, end in _EDGES:
        (a, b), (c, d) = places[start], places[end]
        drawn[nearest in (start, end)] += f"M{number(a)} {number(b)}L{number(c)} {number(d)}"
    behind, before = (f'<path d="{path}" stroke="{EDGE}" fill="none" stroke-linecap="round"/>' for path in drawn)
    return behind, before


def _legend(ids: dict[str, str]) -> str:
    x, drawn = 14.0, []
    palette = iter(POTENTIAL_COLOURS * 4)
    for element in ids:
        colour = _COLOURS.get(element) or next(palette)
        drawn.append(f'<circle cx="{number(x)}" cy="16" r="6" fill="{colour}" stroke="{_dimmed(colour)}"/>')
        drawn.append(
            f'<text x="{number(x + 11)}" y="20" font-size="{number(TEXT)}" fill="{INK}">{escape(element)}</text>'
        )
        x += 34 + width_of(element, TEXT)
    return "".join(drawn)
