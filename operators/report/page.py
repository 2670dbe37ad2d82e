"""What the page is made of: figures, tables, sections, groups; how a number is written; and the HTML they become."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from markupsafe import Markup

from operators.report.drawing.pictures import Picture
from operators.report.drawing.style import DARK

Row = dict[str, Any]
Ask = Callable[[str], list[Row]]
"""Answers a query over the warehouse."""

Cell = str | Markup
_SLASH = Markup("/<wbr>")
NOTHING = "–"
SYNTHETIC = Markup('<span class="badge">synthetic</span>')


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture on the page, with its title and what is told below it."""

    picture: Picture
    title: str = ""
    below: Cell = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """One table; the first `n_text` columns are text, the others numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    n_text: int = 1
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Fold:
    """Figures and tables that belong together and open on demand."""

    title: str
    figures: Sequence[Figure] = ()
    grids: Sequence[Grid] = ()
    opened: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One question: what it shows, the numbers, the SQL behind them; or the command that would fill it."""

    anchor: str
    title: str
    caption: str
    sql: str
    command: str
    when_empty: str = "Nothing here yet."
    figures: Sequence[Figure] = ()
    grids: Sequence[Grid] = ()
    folds: Sequence[Fold] = ()
    synthetic: bool = False
    page: str = ""
    """Address of another page that tells more."""

    @property
    def is_empty(self) -> bool:
        return not (self.figures or self.grids or self.folds)

    @property
    def pictures(self) -> list[Picture]:
        folded = (figure for fold in self.folds for figure in fold.figures)
        return [figure.picture for figure in chain(self.figures, folded)]


@dataclass(frozen=True, slots=True)
class Group:
    """One chemical system with all it contains; synthetic and real data never share one."""

    chemical_system: str
    synthetic: bool

    @property
    def elements(self) -> list[str]:
        return self.chemical_system.split("-")

    @property
    def anchor(self) -> str:
        return f"{self.chemical_system}{'-synthetic' if self.synthetic else ''}"

    @property
    def where(self) -> str:
        """Condition on the columns `chemical_system` and `synthetic`."""
        return self._where("")

    def where_of(self, table: str) -> str:
        """The same on a table's columns, where several have them."""
        return self._where(f"{table}.")

    def _where(self, prefix: str) -> str:
        listed = ", ".join(f"'{element}'" for element in self.elements)
        is_synthetic = f"{'' if self.synthetic else 'not '}{prefix}synthetic"
        return f"{is_synthetic} and list_has_all([{listed}], string_split({prefix}chemical_system, '-'))"


@dataclass(frozen=True, slots=True)
class Chapter:
    """A group, what a reader should take away from it, and its sections under their headings."""

    group: Group
    takeaways: Sequence[tuple[str, str]]
    parts: Mapping[str, Sequence[Section]]

    @property
    def sections(self) -> list[Section]:
        return list(chain.from_iterable(self.parts.values()))

    @property
    def shown(self) -> dict[str, list[Section]]:
        """Parts with the sections that have something to show."""
        found = {part: [one for one in sections if not one.is_empty] for part, sections in self.parts.items()}
        return {part: sections for part, sections in found.items() if sections}


@dataclass(frozen=True, slots=True)
class Gap:
    """A section that some groups do not have yet, and the command that would fill it."""

    title: str
    command: str
    groups: Sequence[Group]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole report."""

    lake_version: int
    generated_at: datetime
    headline: str
    chapters: Sequence[Chapter]
    sections: Sequence[Section]
    has_synthetic: bool = False
    ingested_only: Sequence[Group] = field(default_factory=tuple)

    @property
    def pictures(self) -> list[Picture]:
        sections = chain(self.sections, *(chapter.sections for chapter in self.chapters))
        return [picture for section in sections for picture in section.pictures]

    @property
    def missing(self) -> list[Gap]:
        """Sections that are empty, each once for all groups that lack it."""
        groups: dict[tuple[str, str], list[Group]] = {}
        for chapter in self.chapters:
            for section in chapter.sections:
                if section.is_empty:
                    groups.setdefault((section.title, section.command), []).append(chapter.group)
        return [Gap(title, command, lacking) for (title, command), lacking in groups.items()]


def html(page: Page) -> str:
    """The page as one self-contained document."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(page=page, synthetic=SYNTHETIC, dark=DARK)


def number(value: float | None, digits: int = 3) -> str:
    """A number with that many significant digits; a dash where there is none."""
    if value is None:
        return NOTHING
    if isinstance(value, int):
        return f"{value:,}"
    rounded = float(f"{value:.{digits}g}")
    if rounded and not 1e-4 <= abs(rounded) < 1e7:
        return f"{rounded:.{digits - 1}e}"
    decimals = max(0, digits - 1 - _exponent(rounded))
    return f"{rounded:,.{decimals}f}"


def with_error(value: float | None, error: float | None, decimals: int) -> str:
    """A number and its standard error, both with the same decimals."""
    if value is None:
        return NOTHING
    rounded = round(value, decimals) or 0.0  # no minus before a zero
    return f"{rounded:.{decimals}f}" + ("" if error is None else f" ± {error:.{decimals}f}")


def counted(count: int, noun: str) -> str:
    """A number of things: `1 run`, `2,400 runs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def plain(value: object) -> str:
    """A text cell; a dash where there is none."""
    return NOTHING if value is None or value == "" else str(value)


def path(value: object) -> Cell:
    """A text with paths, which may break between folders where it is too long for a line."""
    text = plain(value)
    return _SLASH.join(text.split("/")) if "/" in text else text


def data_kind(synthetic: bool | None) -> Cell:  # noqa: FBT001  # a column's value
    """The badge of synthetic rows."""
    return SYNTHETIC if synthetic else "real"


def column(rows: Sequence[Row], name: str) -> list[float]:
    """One column to draw; not-a-number where there is none."""
    return [float("nan") if row[name] is None else row[name] for row in rows]


def simulation(row: Row) -> str:
    """What a simulation is called: the recipe of its potential, and its protocol."""
    return f"{row['recipe'] or row['potential_id']} {row['protocol'] or ''}".strip()


def _exponent(value: float) -> int:
    return int(f"{value:e}".split("e")[1])
