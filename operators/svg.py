"""Matplotlib's figures as SVG that stands inside a page. What is drawn belongs to who draws it.

The same numbers give the same bytes: no date, no random ids, no font that is drawn as outlines.
"""

import io
import re
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, RED, GREY, SYNTHETIC = "#2166ac", "#c0392b", "#8a8f98", "#9a6700"
"""Told apart by people who do not see colours, too."""

_STYLE = {
    "svg.hashsalt": "meltlake",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555",
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e8eb",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "savefig.dpi": 160,
}


def styled() -> AbstractContextManager[None]:
    """Within it, figures are drawn in the house's style."""
    import matplotlib as mpl

    style: AbstractContextManager[None] = mpl.rc_context(_STYLE)
    return style


def as_svg(figure: "Figure", name: str, *, synthetic: bool, told: str = "") -> Markup:
    """The figure as one element.

    Parameters
    ----------
    figure
        What was drawn.
    name
        Begins every id in it, so that several figures share a page.
    synthetic
        Whether it says so.
    told
        What somebody hears who does not see it.
    """
    if synthetic:
        figure.text(0.995, 0.005, "synthetic", color=SYNTHETIC, size=8, ha="right", va="bottom", style="italic")
    written = io.StringIO()
    figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    inlined = _inlined(written.getvalue(), name)
    if told:
        inlined = inlined.replace("<svg ", f'<svg aria-label="{escape(told)}" ', 1)
    return Markup(inlined)  # noqa: S704  # matplotlib escapes the labels it draws


def _inlined(svg: str, name: str) -> str:
    # Inside HTML an SVG needs no prolog, no metadata and no namespaces, and its ids must be unique on the page.
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    svg = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), svg)
    return re.sub(r'(<svg) width="([\d.]+)pt" height="[\d.]+pt"', r'\1 role="img" style="max-width:\2pt"', svg, count=1)
