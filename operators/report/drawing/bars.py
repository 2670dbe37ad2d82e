"""Counts as lying bars, one for each label."""

from collections.abc import Sequence

from markupsafe import escape

from operators.report.drawing.pictures import Picture, sheet
from operators.report.drawing.style import INK, ROLE_COLOURS, TEXT, number, width_of

_ROW, _LONGEST = 24.0, 300.0


def role_bars(name: str, counts: Sequence[tuple[str, str, int]], *, synthetic: bool) -> Picture:
    """Frames of compositions that have no triangle: label, role and count of each."""
    left = max((width_of(label, TEXT) for label, _, _ in counts), default=0.0) + 14
    most = max((count for _, _, count in counts), default=0) or 1
    drawn = []
    for row, (label, role, count) in enumerate(counts):
        y, length = 8 + _ROW * row, _LONGEST * count / most
        box = f'x="{number(left)}" y="{number(y)}" width="{number(length)}" height="16"'
        drawn.append(f'<rect {box} fill="{ROLE_COLOURS[role]}" data-tip="{escape(f"{label}: {count:,} frames")}"/>')
        for x, side, text in ((left - 6, "end", label), (left + length + 6, "start", f"{count:,}")):
            place = f'x="{number(x)}" y="{number(y + 12.5)}" text-anchor="{side}" font-size="{number(TEXT)}"'
            drawn.append(f'<text {place} fill="{INK}">{escape(text)}</text>')
    size = (left + _LONGEST + 80, 16 + _ROW * len(counts))
    rows = [("composition", "role", "frames"), *counts]
    told = f"Frames of {len(counts)} compositions"
    return Picture(name, sheet("".join(drawn), *size, synthetic=synthetic, told=told), rows)
