"""A panel: its frame, ticks and title around the series in it, with what turns places back into values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from markupsafe import escape

from operators.report.drawing.scales import Floats, Scale, scale_over
from operators.report.drawing.series import Frame, Series, series_svg
from operators.report.drawing.style import EDGE, GRID, INK, SMALL, SOFT, TEXT, number, width_of

TITLE_ROOM, TICK_ROOM, LABEL_ROOM = 22.0, 18.0, 18.0
_PIXELS_PER_TICK = 42.0
_MOST_BANDS = 4
"""In one panel; of more curves only the first one, which the others are held against, keeps its band."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What is drawn along an axis, with its unit."""

    label: str
    logarithmic: bool = False
    least: float = 0.0
    """The shortest stretch to show, so that noise does not fill a panel."""

    def scale(self, values: Floats) -> Scale:
        return scale_over(values, logarithmic=self.logarithmic, least=self.least)


@dataclass(frozen=True, slots=True)
class Note:
    """A few words that begin above a place, in values of the axes."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Plot:
    """One panel: series over common axes."""

    title: str
    series: Sequence[Series]
    x: Axis
    y: Axis
    is_parity: bool = False
    """Both axes show one quantity and have one scale; a line shows where they are equal."""
    notes: Sequence[Note] = field(default_factory=tuple)

    @property
    def scales(self) -> tuple[Scale, Scale]:
        across = _joined([one.places for one in self.series])
        up = _joined([one.spread for one in self.series])
        if self.is_parity:
            both = scale_over(_joined([across, up]))
            return both, both
        return self.x.scale(across), self.y.scale(up)

    def tick_room(self, height: float) -> float:
        """How wide the widest text at the upright axis is."""
        ticks = self.scales[1].ticks(_about(height))
        return max((width_of(text) for _, text in ticks), default=0.0) + 8


Keys = Mapping[tuple[str, str, str], int]
"""Places in the legend by label, colour and how it is drawn."""

_TEXT: Final = f'font-size="{number(SMALL)}" fill="{SOFT}"'


def key_of(one: Series) -> tuple[str, str, str]:
    return one.label, one.colour, one.drawn


def plot_svg(plot: Plot, box: tuple[float, float, float, float], keys: Keys, *, labelled: tuple[bool, bool]) -> str:
    """The panel as a group.

    Parameters
    ----------
    plot
        What to draw.
    box
        Left, top, width and height of what the axes enclose.
    keys
        Places in the legend.
    labelled
        Whether the labels of the lower and of the upright axis are written.
    """
    x, y = plot.scales
    frame = Frame(*box, x, y)
    drawn = [_grid(frame)]
    if plot.is_parity:
        ends = _line_ends(frame)
        drawn.append(f'<path class="equal" d="{ends}" stroke="{INK}" stroke-width="1"/>')
    is_calm = sum(one.is_line and bool(one.errors.any()) for one in plot.series) <= _MOST_BANDS
    drawn += [
        series_svg(one, frame, keys[key_of(one)], has_band=is_calm or one is plot.series[0])
        for one in sorted(plot.series, key=lambda one: one.drawn == "dashed")  # what is below shows between dashes
    ]
    drawn += [_note(note, frame) for note in plot.notes]
    drawn += [_edges(frame), _title(plot.title, frame), _labels(plot, frame, labelled)]
    scales = " ".join(f'data-{name}="{_told(scale)}"' for name, scale in (("x", x), ("y", y)))
    box_told = " ".join(map(number, box))
    told = f'data-title="{escape(plot.title)}" data-labels="{escape(plot.x.label)}|{escape(plot.y.label)}"'
    return f'<g class="plot" data-box="{box_told}" {scales} {told}>{"".join(drawn)}</g>'


def _told(scale: Scale) -> str:
    return f"{scale.low!r} {scale.high!r}{' log' if scale.logarithmic else ''}"


def _joined(parts: Sequence[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.zeros(0)


def _about(length: float) -> int:
    return max(2, round(length / _PIXELS_PER_TICK))


def _grid(frame: Frame) -> str:
    """Lines at the ticks, and their texts."""
    right, bottom = frame.left + frame.width, frame.top + frame.height
    parts = []
    for value, text in frame.x.ticks(_about(frame.width)):
        at = number(float(frame.across(np.asarray(value))))
        parts.append(f'<path d="M{at} {number(frame.top)}V{number(bottom)}" stroke="{GRID}"/>')
        parts.append(f'<text x="{at}" y="{number(bottom + 14)}" text-anchor="middle" {_TEXT}>{text}</text>')
    for value, text in frame.y.ticks(_about(frame.height)):
        height = float(frame.down(np.asarray(value)))
        parts.append(f'<path d="M{number(frame.left)} {number(height)}H{number(right)}" stroke="{GRID}"/>')
        place = f'x="{number(frame.left - 5)}" y="{number(height + 3.8)}"'
        parts.append(f'<text {place} text-anchor="end" {_TEXT}>{text}</text>')
    return "".join(parts)


def _edges(frame: Frame) -> str:
    bottom = number(frame.top + frame.height)
    path = f"M{number(frame.left)} {number(frame.top)}V{bottom}H{number(frame.left + frame.width)}"
    return f'<path d="{path}" stroke="{EDGE}" fill="none"/>'


def _line_ends(frame: Frame) -> str:
    return (
        f"M{number(frame.left)} {number(frame.top + frame.height)}L{number(frame.left + frame.width)} "
        f"{number(frame.top)}"
    )


def _title(title: str, frame: Frame) -> str:
    letter, _, rest = title.partition("  ")
    words = f'<tspan font-weight="700">{escape(letter)}</tspan>' + (f"  {escape(rest)}" if rest else "")
    place = f'x="{number(frame.left)}" y="{number(frame.top - 8)}"'
    return f'<text class="title" {place} font-size="{number(TEXT)}" fill="{INK}" xml:space="preserve">{words}</text>'


def _labels(plot: Plot, frame: Frame, labelled: tuple[bool, bool]) -> str:
    middle, bottom = frame.left + frame.width / 2, frame.top + frame.height
    below = f'<text x="{number(middle)}" y="{number(bottom + 30)}" text-anchor="middle" font-size="{number(TEXT)}" '
    left, centre = frame.left - plot.tick_room(frame.height) - 8, frame.top + frame.height / 2
    beside = f'<text transform="translate({number(left)} {number(centre)}) rotate(-90)" text-anchor="middle" '
    beside += f'font-size="{number(TEXT)}" '
    texts = (
        f'{below}fill="{INK}">{escape(plot.x.label)}</text>',
        f'{beside}fill="{INK}">{escape(plot.y.label)}</text>',
    )
    return "".join(text for text, is_written in zip(texts, labelled, strict=True) if is_written)


def _note(note: Note, frame: Frame) -> str:
    x, y = float(frame.across(np.asarray(note.x))), float(frame.down(np.asarray(note.y)))
    return f'<text class="note" x="{number(x)}" y="{number(y - 5)}" {_TEXT}>{escape(note.text)}</text>'
