"""A picture: panels in rows under one legend, as SVG that stands inside a page or by itself, and as a table."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from string import ascii_lowercase

from markupsafe import Markup, escape

from operators.report.drawing.plots import LABEL_ROOM, TICK_ROOM, TITLE_ROOM, Keys, Plot, key_of, plot_svg
from operators.report.drawing.series import Series, marker, stroke
from operators.report.drawing.style import FONT, INK, MARKERS, SMALL, STRAW, TEXT, number, width_of

WIDTH = 1080.0
_KEY_ROW, _SAMPLE, _BETWEEN = 19.0, 26.0, 16.0
_LARGEST_PANEL, _LOWEST_PANEL, _ASPECT = 420.0, 130.0, 0.72
_FOOT = 16.0
_USUAL_COLUMNS = 4
_LETTERS = [*ascii_lowercase, *(first + second for first, second in product(ascii_lowercase, repeat=2))]


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing under a name that is its file's, with the numbers in it."""

    name: str
    svg: Markup
    rows: Sequence[Sequence[object]]
    """The table behind it, its head first."""

    @property
    def width(self) -> int:
        """In its own units, which are pixels where there is room."""
        return round(float(str(self.svg).split('width="', 1)[1].split('"', 1)[0]))

    @property
    def file(self) -> str:
        """The SVG as a file of its own, which has a namespace and a white ground."""
        head, _, body = str(self.svg).partition(">")
        ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
        return f'{head} xmlns="http://www.w3.org/2000/svg">{ground}{body}\n'

    @property
    def table(self) -> str:
        """The rows as CSV."""
        written = io.StringIO()
        csv.writer(written, lineterminator="\n").writerows(self.rows)
        return written.getvalue()


def picture(
    name: str, plots: Sequence[Plot], *, columns: int = _USUAL_COLUMNS, lettered: bool = False, synthetic: bool = False
) -> Picture:
    """Panels in rows, the legend above them.

    Parameters
    ----------
    name
        Of its files, unique in the report.
    plots
        What to draw.
    columns
        How many panels stand in a row at most; four when not given.
    lettered
        Whether panels are called a, b, c.
    synthetic
        Whether it says so.
    """
    if lettered:
        plots = [replace(plot, title=f"{letter}  {plot.title}") for letter, plot in zip(_LETTERS, plots, strict=False)]
    n_columns = max(1, min(columns, len(plots)))
    keys: dict[tuple[str, str, str], int] = {}
    samples: list[Series] = []
    for one in (series for plot in plots for series in plot.series if series.label):
        if key_of(one) not in keys:
            keys[key_of(one)] = len(keys)
            samples.append(one)
    width = min(WIDTH, n_columns * _LARGEST_PANEL + 30)
    legend, top = _legend(samples, width) if len(samples) > 1 else ("", 4.0)
    drawn, height = _grid(plots, keys, n_columns=n_columns, width=width, top=top)
    spoken = f"{len(plots)} panels: {', '.join(plot.title for plot in plots)}"
    return Picture(name, sheet(legend + drawn, width, height, synthetic=synthetic, told=spoken), list(_rows(plots)))


def sheet(drawn: str, width: float, height: float, *, synthetic: bool, told: str) -> Markup:
    """What was drawn as one element; synthetic data say so in its lower right corner."""
    mark = ""
    if synthetic:
        place = f'x="{number(width - 4)}" y="{number(height + _FOOT - 5)}"'
        mark = f'<text class="mark" {place} text-anchor="end" font-size="{number(SMALL)}" font-style="italic" '
        mark += f'fill="{STRAW}">synthetic</text>'
    size = f"{number(width)} {number(height + _FOOT)}"
    return Markup(  # noqa: S704  # texts were escaped where they were drawn
        f'<svg viewBox="0 0 {size}" width="{number(width)}" height="{number(height + _FOOT)}" role="img" '
        f'aria-label="{escape(told)}" font-family="{FONT}">{drawn}{mark}</svg>'
    )


def _grid(plots: Sequence[Plot], keys: Keys, *, n_columns: int, width: float, top: float) -> tuple[str, float]:
    """Panels row by row, and where the last row ends. Labels that a neighbour bears are not repeated.

    Panels have whole numbers as edges, so that places turn back into values.
    """
    aspect = 1.0 if any(plot.is_parity for plot in plots) else _ASPECT
    height = max(_LOWEST_PANEL, round((width / n_columns - 60) * aspect))
    ticks = max((plot.tick_room(height) for plot in plots), default=0.0)
    # Where neighbours show different quantities, each has room for the label of its own.
    is_each_labelled = len({plot.y.label for plot in plots}) > 1
    once, each = (0.0, LABEL_ROOM + 2) if is_each_labelled else (LABEL_ROOM + 2, 0.0)
    cell = (width - once) / n_columns
    row = TITLE_ROOM + height + TICK_ROOM + LABEL_ROOM
    drawn = []
    for place, plot in enumerate(plots):
        at_row, at_column = divmod(place, n_columns)
        left, inner = round(once + each + at_column * cell + ticks), round(cell - each - ticks - 14)
        below = plots[place + n_columns] if place + n_columns < len(plots) else None
        labelled = (below is None or below.x != plot.x, is_each_labelled or at_column == 0)
        drawn.append(plot_svg(plot, (left, top + at_row * row + TITLE_ROOM, inner, height), keys, labelled=labelled))
    return "".join(drawn), top + -(-len(plots) // n_columns) * row


def _legend(samples: Sequence[Series], width: float) -> tuple[str, float]:
    """Entries in rows above the panels, where they hide no curve; and where they end."""
    x, y, entries = 4.0, 14.0, []
    for key, one in enumerate(samples):
        needed = _SAMPLE + width_of(one.label, TEXT) + _BETWEEN
        if x > 4 and x + needed > width:
            x, y = 4.0, y + _KEY_ROW
        if one.is_line:
            sample = f'<path d="M{number(x)} {number(y - 4)}h20" {stroke(one)}/>'
        else:
            shape = MARKERS["circle" if one.is_cloud else one.drawn]
            sample = f'<path d="M{number(x + 10)},{number(y - 4)}{shape}" {marker(one)}/>'
        text = f'<text x="{number(x + _SAMPLE)}" y="{number(y)}" font-size="{number(TEXT)}" fill="{INK}">'
        entries.append(f'<g class="key" data-key="{key}">{sample}{text}{escape(one.label)}</text></g>')
        x += needed
    return "".join(entries), y + 8


def _rows(plots: Sequence[Plot]) -> Iterable[Sequence[object]]:
    """The numbers of every series; what the axes are stands in the head, or in each row where panels differ."""
    axes = {(plot.x.label, plot.y.label) for plot in plots}
    is_alike = len(axes) <= 1
    x, y = next(iter(axes)) if is_alike and axes else ("x", "y")
    yield ("panel", "series", *(() if is_alike else ("x is", "y is")), x, y, "error")
    for plot in plots:
        labels = () if is_alike else (plot.x.label, plot.y.label)
        for one in plot.series:
            errors = one.errors if one.error is not None else [None] * len(one.values)
            for a, b, error in zip(one.places, one.values, errors, strict=True):
                yield (plot.title, one.label, *labels, f"{a:.6g}", f"{b:.6g}", "" if not error else f"{error:.3g}")
