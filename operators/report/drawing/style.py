"""Colours and sizes of all pictures. Each colour has its twin on a dark page."""

from math import cos, pi, sin
from typing import Final

BLACK, INK, SOFT, EDGE, GRID, GREY = "#000000", "#1f2328", "#59636e", "#6e7781", "#e6e8eb", "#8a8f98"
BLUE, RED, SKY, STRAW = "#1a5fb4", "#c01c28", "#67a9cf", "#9a6700"
POTENTIAL_COLOURS: Final = ("#d55e00", "#009e73", "#cc79a7", "#e69f00", "#7b3294", "#56b4e9", "#8c6d31", "#0072b2")
"""After Okabe and Ito: told apart by people who do not see all colours. Blues come late, since AIMD is blue."""
MEASURED_COLOURS: Final = (GREY, "#333333", "#a6761d", "#b8b8b8", "#666666")
"""Of measurements, so that nobody takes one for a simulation."""
ROLE_COLOURS: Final = {"train": BLUE, "test": SKY, "held_out": RED, "unused": GREY}

DARK: Final = {
    "#ffffff": "#0d1117", BLACK: "#f0f6fc", INK: "#e6edf3", SOFT: "#9aa4ae", EDGE: "#8b949e", GRID: "#262c34",
    GREY: "#9ea7b3", BLUE: "#6cb6ff", RED: "#ff8079", SKY: "#a5d8ff", STRAW: "#e3b341", "#0072b2": "#5aa9e6",
    "#d55e00": "#ff8c42", "#009e73": "#3fd0a4", "#7b3294": "#c792ea", "#8c6d31": "#d2b06a", "#333333": "#d0d7de",
    "#a6761d": "#dcae5c", "#b8b8b8": "#7d8590", "#666666": "#b1bac4",
}  # fmt: skip
"""What a colour becomes on a dark page."""

TEXT, SMALL = 12.0, 11.0
FONT: Final = "Helvetica, Arial, 'Liberation Sans', sans-serif"


def number(value: float) -> str:
    """A length on the picture, to a tenth of a unit."""
    return f"{value:.1f}".removesuffix(".0")


def width_of(text: str, size: float = SMALL) -> float:
    """About how wide a text is; renderers have other fonts, so it is on the safe side."""
    return size * sum(0.3 if letter in "iljt.,:;|' ()[]-" else 0.9 if letter in "mwMW" else 0.58 for letter in text)


def star(radius: float) -> str:
    """The outline of a star about the origin, relative to its centre."""
    corners = [
        (radius * share * sin(pi * k / 5), -radius * share * cos(pi * k / 5))
        for k in range(10)
        for share in ((1, 0.42)[k % 2],)
    ]
    steps = [(x - u, y - v) for (x, y), (u, v) in zip(corners, [(0.0, 0.0), *corners], strict=False)]
    return "m" + "l".join(f"{number(x)} {number(y)}" for x, y in steps) + "z"


MARKERS: Final = {
    "star": star(7),
    "square": "m-4 -4h8v8h-8z",
    "triangle": "m0 -5l4.8 8.4h-9.6z",
    "circle": "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
}
"""Outlines that begin at the centre of a marker; steps are apart by blanks, so that only centres have commas."""
