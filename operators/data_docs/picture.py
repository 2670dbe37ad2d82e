"""The picture of one run: energy, temperature, pressure and shortest pair over time, with what the gate rejected.

Reading values belongs in `scalars`, judging them in `lake.gate`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from operators.data_docs.scalars import Row, RunScalars, Span, spans
from operators.physics.temperature import runaway_temperature_k
from operators.svg import BLUE, GREY, RED, SYNTHETIC, as_svg, styled
from schemas.frames import Floats
from schemas.units import FS_PER_PS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_AMBER, _INK, _LINE = "#b8740a", "#1f2328", "#e6e8eb"
_THEME = {
    _INK: "--ink",
    _LINE: "--line",
    BLUE: "--blue",
    RED: "--red",
    _AMBER: "--amber",
    SYNTHETIC: "--amber",
    GREY: "--grey",
}
"""Colours that a page may draw otherwise in the dark."""

_WIDTH_INCHES, _PANEL_INCHES, _TOP_INCHES, _BOTTOM_INCHES, _LEFT_INCHES, _RIGHT_INCHES = 10.0, 1.3, 0.36, 0.5, 1.1, 1.4
_MOST_POINTS = 1600
_POINTS_MARKED = 60
_MOST_MARKS = 400
_MANY_REJECTED = 50
"""Crosses on a line that is all crosses tell nothing; the shading does."""

_THINNEST_SPAN = 0.004
"""Of the picture's width: one frame of 30,000 is still seen."""
_SPANS_SEEN = 250
_FEWEST_FOR_MEDIAN = 20
"""As the gate has it."""

_DOTS = (0, (1, 1.5))


@dataclass(frozen=True, slots=True)
class Limit:
    """Where a rule draws its line."""

    value: float
    severity: str
    is_upper: bool

    @property
    def words(self) -> str:
        return f"{'rejects' if self.severity == 'reject' else 'flags'} {'above' if self.is_upper else 'below'}"


@dataclass(frozen=True, slots=True)
class Panel:
    """One quantity over the run."""

    name: str
    label: str
    values: Floats
    """(n_frames,); NaN where it is not known."""
    limits: Sequence[Limit] = ()
    target: float | None = None


def picture(run: Row, results: Sequence[Row], scalars: RunScalars) -> Markup | None:
    """Every quantity that the run has, one panel each; None where it has none."""
    shown = [panel for panel in panels(run, results, scalars) if np.isfinite(panel.values).any()]
    if not shown:
        return None
    x = _Horizontal.of(scalars)
    with styled():
        figure, axes = _stacked(len(shown))
        for panel, one in zip(shown, axes, strict=True):
            _shade(one, panel.name, scalars, x)
            _draw(one, panel, scalars, x)
            _mark_equilibration(one, panel.name, run, x)
        axes[-1].set_xlabel(x.label)
        axes[0].set_xlim(x.first_edge, x.last_edge)
        _legend(figure, scalars, has_start=_equilibrated_at(run, x) is not None)
        if run["origin"] == "dnnp":
            figure.text(0.995, 0.035, "simulation", color=_INK, size=8, ha="right", va="bottom", style="italic")
        drawn = as_svg(figure, "run", synthetic=bool(run["synthetic"]), told=told(run, scalars))
    # A page in the dark has other colours; outside of any page the fallback stands.
    return Markup(re.sub(r"#[0-9a-f]{6}\b", _of_theme, drawn))  # noqa: S704  # as_svg's own text


def panels(run: Row, results: Sequence[Row], scalars: RunScalars) -> Iterator[Panel]:
    """What is drawn, with the lines that the rules draw in it."""
    rules = {row["expectation"]: row for row in results}
    energy = scalars.energy_ev_per_atom
    yield Panel("energy", "Energy\n(eV/atom)", energy)
    target = run["temperature_target_k"]
    temperature = scalars.columns["temperature_k"]
    hottest = runaway_temperature_k(target, n_atoms=run["n_atoms"]) if target and run["n_atoms"] else None
    limits = _limits(rules, "temperature_bounded", unit=hottest)
    yield Panel("temperature", "Temperature\n(K)", temperature, limits, target)
    middle, width = _robust(scalars.pressure_gpa)
    usual = _limits(rules, "pressure_usual", unit=width, origin=middle, both=True)
    yield Panel("pressure", "Virial pressure\n(GPa)", scalars.pressure_gpa, usual)
    distance = scalars.columns["min_distance_angstrom"]
    shortest = _one_value(distance / scalars.columns["min_distance_over_limit"])
    closest = [*_limits(rules, "pairs_apart", unit=shortest), *_limits(rules, "pairs_not_close", unit=shortest)]
    yield Panel("distance", "Shortest pair\n(Å)", distance, closest)


def told(run: Row, scalars: RunScalars) -> str:
    """The picture in words."""
    rejected, flagged = int(scalars.rejected.sum()), int(scalars.flagged.sum())
    kind = "synthetic run" if run["synthetic"] else "simulation" if run["origin"] == "dnnp" else "run"
    stretches = spans(scalars.rejected)
    where = ", ".join(map(str, stretches[:8])) + (" and more" if len(stretches) > 8 else "")
    return (
        f"Energy, temperature, pressure and shortest pair distance of {kind} {run['run_id']}, {run['composition']}, "
        f"as far as they are known. {scalars.n_frames:,} frames: {scalars.n_frames - rejected:,} accepted, "
        f"{rejected:,} rejected{f' (frames {where})' if rejected else ''}, {flagged:,} flagged."
    )


def kept_when_thinned(values: Floats, n_points: int = _MOST_POINTS) -> NDArray[np.intp]:
    """Positions of at most about `n_points` values to draw: the lowest and the highest of every stretch."""
    known = np.flatnonzero(np.isfinite(values))
    if len(known) <= n_points:
        return known
    edges = np.linspace(0, len(known), n_points // 2 + 1).astype(int)
    parts = [known[start:stop] for start, stop in pairwise(edges)]
    extremes = {int(part[end]) for part in parts for end in (values[part].argmin(), values[part].argmax())}
    return np.array(sorted({int(known[0]), int(known[-1]), *extremes}), dtype=np.intp)


@dataclass(frozen=True, slots=True)
class _Horizontal:
    """Where along the picture each frame lies."""

    at: Floats
    label: str
    is_time: bool

    @classmethod
    def of(cls, scalars: RunScalars) -> "_Horizontal":
        if (times := scalars.time_ps) is not None and len(times) > 1:
            return cls(times, "Time (ps)", is_time=True)
        return cls(np.arange(scalars.n_frames, dtype=np.float64), "Frame", is_time=False)

    @property
    def edges(self) -> Floats:
        """(n_frames + 1,): a frame reaches halfway to its neighbours."""
        middles = (self.at[1:] + self.at[:-1]) / 2
        half = (self.at[-1] - self.at[0]) / (2 * (len(self.at) - 1)) if len(self.at) > 1 else 0.5
        return np.concatenate([[self.at[0] - half], middles, [self.at[-1] + half]])

    @property
    def first_edge(self) -> float:
        return float(self.edges[0])

    @property
    def last_edge(self) -> float:
        return float(self.edges[-1])

    def reach(self, span: Span) -> tuple[float, float]:
        """Where a span begins and ends, no thinner than can be seen."""
        start, stop = self.edges[span.first], self.edges[span.last + 1]
        missing = max(0.0, _THINNEST_SPAN * (self.last_edge - self.first_edge) - (stop - start))
        return float(start - missing / 2), float(stop + missing / 2)


def _stacked(n_panels: int) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    height = _TOP_INCHES + _BOTTOM_INCHES + _PANEL_INCHES * n_panels
    figure = Figure(figsize=(_WIDTH_INCHES, height))
    axes = figure.subplots(n_panels, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(
        left=_LEFT_INCHES / _WIDTH_INCHES,
        right=1 - _RIGHT_INCHES / _WIDTH_INCHES,
        bottom=_BOTTOM_INCHES / height,
        top=1 - _TOP_INCHES / height,
        hspace=0.14,
    )
    for one in axes:
        one.grid(color=_LINE)
        one.tick_params(colors=_INK)
        one.spines[["left", "bottom"]].set_color(GREY)
        one.xaxis.label.set_color(_INK)
        # Where the labels of ticks end differs from run to run.
        one.yaxis.set_label_coords(-0.73 / (_WIDTH_INCHES - _LEFT_INCHES - _RIGHT_INCHES), 0.5)
    return figure, list(axes)


def _shade(axes: "Axes", name: str, scalars: RunScalars, x: _Horizontal) -> None:
    bridged = scalars.n_frames // _SPANS_SEEN
    looks: tuple[tuple[str, NDArray[np.bool_], dict[str, Any]], ...] = (
        ("flagged", scalars.flagged, {"facecolor": "none", "edgecolor": _AMBER, "hatch": "////", "alpha": 0.65}),
        ("rejected", scalars.rejected, {"facecolor": RED, "alpha": 0.3}),
    )
    for kind, chosen, look in looks:
        for span in spans(chosen, bridged=bridged):
            gid = f"{name}-{kind}-{span.first}-{span.last}"
            axes.axvspan(*x.reach(span), linewidth=0, gid=gid, zorder=0.5, **look)


def _draw(axes: "Axes", panel: Panel, scalars: RunScalars, x: _Horizontal) -> None:
    low, high = _view(panel, scalars.rejected)
    axes.set_ylim(low, high)
    axes.set_ylabel(panel.label, color=_INK)
    axes.locator_params(axis="y", nbins=4)
    axes.ticklabel_format(axis="y", useOffset=False)
    kept = kept_when_thinned(panel.values)
    marker: dict[str, Any] = {"marker": "o", "markersize": 2.5} if len(kept) <= _POINTS_MARKED else {}
    axes.plot(x.at[kept], panel.values[kept], color=BLUE, linewidth=0.9, gid=f"{panel.name}-values", **marker)
    rejected = np.where(scalars.rejected, panel.values, np.nan)
    marked = kept_when_thinned(rejected, _MOST_MARKS)
    _mark(axes, f"{panel.name}-marks", x.at[marked], rejected[marked])
    if panel.target is not None:
        axes.axhline(panel.target, color=_INK, linewidth=0.8, linestyle=(0, (5, 3)), gid=f"{panel.name}-target")
        arrow = "↑ " if panel.target > high else "↓ " if panel.target < low else ""
        _beside(axes, panel.target, f"{arrow}target {panel.target:.5g}", _INK)
    for limit in panel.limits:
        _draw_limit(axes, panel.name, limit)


def _mark(axes: "Axes", gid: str, x: Floats, y: Floats) -> None:
    """Rejected values; those far outside stand at the edge, as an arrow."""
    low, high = axes.get_ylim()
    inside = (y >= low) & (y <= high) & (len(y) <= _MANY_REJECTED)
    for name, chosen, at, marker in (
        ("", inside, y, "x"),
        ("-above", y > high, np.full_like(y, high), "^"),
        ("-below", y < low, np.full_like(y, low), "v"),
    ):
        if chosen.any():
            look: dict[str, Any] = {"color": RED, "s": 16, "linewidths": 0.9, "clip_on": False, "zorder": 4}
            axes.scatter(x[chosen], at[chosen], marker=marker, gid=f"{gid}{name}", **look)


def _view(panel: Panel, rejected: NDArray[np.bool_]) -> tuple[float, float]:
    """The accepted values, and what lies near them: one exploded frame must not flatten all others."""
    known = np.isfinite(panel.values)
    usual = panel.values[known & ~rejected] if (known & ~rejected).any() else panel.values[known]
    if rejected[known].all():
        _, width = _robust(usual)
        usual = usual[np.abs(usual - np.median(usual)) <= 30 * width] if width > 0 else usual
    low, high = float(usual.min()), float(usual.max())
    extent = high - low if high - low > 1e-9 * max(abs(low), 1.0) else max(abs(low) * 1e-3, 1e-3)
    near = [*panel.values[known], *(limit.value for limit in panel.limits), panel.target or np.nan]
    near = [value for value in near if low - extent <= value <= high + extent]
    low, high = min(near), max(near)
    margin = 0.08 * max(high - low, extent)
    return low - margin, high + margin


def _draw_limit(axes: "Axes", name: str, limit: Limit) -> None:
    colour = RED if limit.severity == "reject" else _AMBER
    low, high = axes.get_ylim()
    words = f"{limit.words} {limit.value:.4g}"
    if low <= limit.value <= high:
        side = "upper" if limit.is_upper else "lower"
        axes.axhline(limit.value, color=colour, linewidth=0.9, linestyle=":", gid=f"{name}-{side}-{limit.severity}")
        _beside(axes, limit.value, words, colour)
    else:
        _beside(axes, high if limit.value > high else low, f"{'↑' if limit.value > high else '↓'} {words}", colour)


def _beside(axes: "Axes", y: float, words: str, colour: str) -> None:
    """A word to the right of the panel, not over another one."""
    low, high = axes.get_ylim()
    taken = [text.get_position()[1] for text in axes.texts]
    line = 0.13 * (high - low)
    y = min(max(y, low + line / 2), high - line / 2)
    is_low = y < (low + high) / 2  # and goes on upwards, or it would come back for ever
    while near := [other for other in taken if abs(y - other) < 0.95 * line]:
        y = max(near) + line if is_low else min(near) - line
    axes.text(1.008, y, words, color=colour, size=7.5, va="center", transform=axes.get_yaxis_transform())


def _mark_equilibration(axes: "Axes", name: str, run: Row, x: _Horizontal) -> None:
    if (start := _equilibrated_at(run, x)) is not None:
        axes.axvspan(x.first_edge, start, facecolor=GREY, alpha=0.13, linewidth=0, zorder=0.4, gid=f"{name}-early")
        axes.axvline(start, color=_INK, linewidth=1.0, linestyle=_DOTS, gid=f"{name}-equilibrated")


def _equilibrated_at(run: Row, x: _Horizontal) -> float | None:
    start = run.get("equilibrated_from_fs")
    return start / FS_PER_PS if start is not None and x.is_time else None


def _legend(figure: "Figure", scalars: RunScalars, *, has_start: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries: list[Any] = []
    if scalars.rejected.any():
        entries.append(Patch(facecolor=RED, alpha=0.3, linewidth=0, label="rejected"))
    if scalars.flagged.any():
        entries.append(Patch(facecolor="none", edgecolor=_AMBER, hatch="////", linewidth=0, label="flagged"))
    if has_start:
        entries.append(Patch(facecolor=GREY, alpha=0.25, linewidth=0, label="before equilibration"))
        entries.append(Line2D([], [], color=_INK, linewidth=1.0, linestyle=_DOTS, label="averages begin"))
    if entries:
        drawn = figure.legend(
            handles=entries,
            loc="upper left",
            ncols=len(entries),
            bbox_to_anchor=(_LEFT_INCHES / _WIDTH_INCHES, 1.0),
            borderaxespad=0.3,
        )
        for text in drawn.get_texts():
            text.set_color(_INK)


def _limits(
    rules: Mapping[str, Row], name: str, *, unit: float | None, origin: float = 0.0, both: bool = False
) -> list[Limit]:
    """Lines of a rule that was applied, in the panel's unit; none where that is not known."""
    rule = rules.get(name)
    if rule is None or not rule["expected"] or unit is None or not np.isfinite(unit) or unit <= 0:
        return []
    # Thresholds may be a campaign's: what the verdict says was expected holds, not the house's rule.
    # Where it names no number, what it names is the limit itself.
    found = re.findall(r"at (least|most)(?: ([-+.\de]+)(?= |$))?", rule["expected"])
    bounds = {word: float(number or 1) for word, number in found}
    limits = [Limit(origin + bound * unit, rule["severity"], is_upper=word == "most") for word, bound in bounds.items()]
    if both and "most" in bounds:
        limits.append(Limit(origin - bounds["most"] * unit, rule["severity"], is_upper=False))
    return limits


def _robust(values: Floats) -> tuple[float, float]:
    """Median and robust standard deviation."""
    known = values[np.isfinite(values)]
    if len(known) < _FEWEST_FOR_MEDIAN:
        return np.nan, np.nan
    middle = float(np.median(known))
    return middle, 1.4826 * float(np.median(np.abs(known - middle)))


def _one_value(values: Floats) -> float | None:
    """What all values are; None where they differ."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) and np.ptp(known) < 1e-3 * np.median(known) else None


def _of_theme(colour: re.Match[str]) -> str:
    name = _THEME.get(colour[0])
    return f"var({name}, {colour[0]})" if name else colour[0]
