"""Files with measured points and digitised curves, as a person writes them: CSV. Storing them is `measurements`'.

Every column may instead be given once for the whole file, above the heading, as `# name: value`. What a file must say
is in `docs/experiments.md`; every complaint names the line.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from lake.measurements import Row, source_id
from schemas.composition import composition, parse_composition
from schemas.elements import SYMBOLS
from schemas.errors import MeltlakeError
from schemas.quantities import CURVES, NUMBERS, Curve, Number

COLUMNS = (
    *("element_or_alloy", "quantity", "element", "pair", "temperature_k", "value", "r_angstrom", "g"),
    *("q_per_angstrom", "s", "uncertainty", "coverage_factor", "slope_per_k", "activation_k", "temperature_min_k"),
    *("temperature_max_k", "source", "citation", "preferred", "note"),
)
_SAID_ONCE = re.compile(r"#\s*(\w+)\s*:\s*(.*\S)\s*")
_HAS_AUTHOR_AND_YEAR = re.compile(r"(?=.*[^\W\d_]{2})(?=.*\b(?:1[89]|20)\d\d\b)")
_YEAR = re.compile(r"\b(?:1[89]|20)\d\d\b")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_YES_OR_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_HOTTEST_K = 10_000.0
_LONGEST_SOURCE = 25
_ALL = "all"
_DOCS = "`docs/experiments.md` has an example."


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file: where it is and what it says, by column; what it does not say is absent."""

    where: str
    said: Mapping[str, str]

    def text(self, name: str) -> str:
        """What it must say."""
        if name not in self.said:
            raise self.wrong(f"needed {_a(name)}, found none")
        return self.said[name]

    def number(self, name: str, *, above: float = -float("inf")) -> float:
        """A finite number that it must say."""
        text = self.text(name)
        value = float(text) if _NUMBER.fullmatch(text) else float("nan")  # Python would read 1_000 as a thousand
        if not (isfinite(value) and value > above):
            limit = "" if above == -float("inf") else f" above {above:g}"
            raise self.wrong(f"needed a number{limit} as {name}, found {self.said[name]!r}")
        return value

    def number_or_none(self, name: str) -> float | None:
        return self.number(name) if name in self.said else None

    def wrong(self, problem: str) -> MeltlakeError:
        """What to raise."""
        return MeltlakeError(f"{self.where}: {problem}.", f"Nothing of the file was stored. {_DOCS}")


def read_measurements(path: Path) -> dict[str, list[Row]]:
    """Rows by table, as the lake stores them but for when they were added.

    Raises
    ------
    MeltlakeError
        If the file cannot be read, or a line of it is not a measurement with its citation.
    """
    rows: dict[str, list[Row]] = {}
    for line in _lines(path):
        quantity = line.text("quantity")
        if quantity in NUMBERS:
            rows.setdefault("experiments", []).append(_number_row(line, NUMBERS[quantity]) | {"added_from": path.name})
        elif quantity in CURVES:
            curve = CURVES[quantity]
            rows.setdefault(curve.table, []).append(_curve_row(line, curve) | {"added_from": path.name})
        else:
            raise line.wrong(f"needed a quantity among {', '.join([*NUMBERS, *CURVES])}, found {quantity!r}")
    if not rows:
        raise MeltlakeError(f"{path}: needed at least one measurement, found none.", _DOCS)
    _require_once(path, rows)
    return rows


def _lines(path: Path) -> Iterator[Line]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise MeltlakeError(
            f"{path}: needed text in UTF-8, found byte {error.start} that is none.", "Save it as CSV in UTF-8."
        ) from error
    once: dict[str, str] = {}
    heading: list[str] = []
    delimiter = ","
    for number, raw in enumerate(text.splitlines(), start=1):
        where = f"{path} line {number}"
        if not raw.strip():
            continue
        if raw.lstrip().startswith("#"):
            if not heading and (said := _SAID_ONCE.fullmatch(raw.strip())) and said[1] in COLUMNS:
                once[said[1]] = said[2]
            continue
        if not heading:
            delimiter = max(",;\t", key=raw.count)
            heading = _heading(raw, delimiter, where=where, once=once)
            continue
        cells = [cell.strip() for cell in next(csv.reader([raw], delimiter=delimiter))]
        if len(cells) != len(heading):
            raise MeltlakeError(
                f"{where}: needed {len(heading)} cells, as the heading has, found {len(cells)}.",
                f'A text with a "{delimiter}" in it needs quotes, or goes above the heading as `# citation: ...`.',
            )
        yield Line(where, once | {name: cell for name, cell in zip(heading, cells, strict=True) if cell})


def _heading(raw: str, delimiter: str, *, where: str, once: Mapping[str, str]) -> list[str]:
    names = [name.strip() for name in next(csv.reader([raw], delimiter=delimiter))]
    if unknown := [name for name in names if name not in COLUMNS]:
        raise MeltlakeError(
            f"{where}: needed a heading of known columns, found {unknown[0]!r}.", f"Known are {', '.join(COLUMNS)}."
        )
    if twice := [name for name in names if names.count(name) > 1 or name in once]:
        raise MeltlakeError(f"{where}: needed each column once, found {twice[0]} twice.", "Keep one of them.")
    return names


def _number_row(line: Line, quantity: Number) -> Row:
    label = _composition(line)
    temperature_k = _temperature(line, "temperature_k")
    value = line.number("value", above=0) * quantity.factor
    slope, activation = line.number_or_none("slope_per_k"), line.number_or_none("activation_k")
    if slope is not None and activation is not None:
        raise line.wrong("needed slope_per_k or activation_k, found both")
    first_k, last_k = _range(line, temperature_k, is_point=slope is None and activation is None)
    for kelvin in (first_k, last_k):
        if slope is not None and value + slope * quantity.factor * (kelvin - temperature_k) <= 0:
            found = f"a slope_per_k that ends it by {kelvin:g} K"
            raise line.wrong(f"needed a value above 0 in its whole range, found {found}")
    return {
        "element_or_alloy": label,
        "quantity": quantity.stored_as,
        "element": _element(line, label) if quantity.of_one_element else None,
        "temperature_k": temperature_k,
        "temperature_min_k": first_k,
        "temperature_max_k": last_k,
        "value": value,
        "slope_per_k": None if slope is None else slope * quantity.factor,
        "activation_k": activation,
        "uncertainty": _uncertainty(line, value, factor=quantity.factor),
        "evidence": None,
        "confidence": None,
        "preferred": _preferred(line),
        **_origin(line),
    }


def _curve_row(line: Line, curve: Curve) -> Row:
    label = _composition(line)
    ordinate = line.number(curve.ordinate)
    return {
        "element_or_alloy": label,
        "pair": _pair(line, label),
        "temperature_k": _temperature(line, "temperature_k"),
        curve.abscissa: line.number(curve.abscissa, above=0),
        curve.ordinate: ordinate,
        "uncertainty": _uncertainty(line, abs(ordinate)),
        **_origin(line),
    }


def _origin(line: Line) -> Row:
    citation = line.text("citation")
    if not _HAS_AUTHOR_AND_YEAR.match(citation):
        raise line.wrong(f"needed a citation with an author and a year, found {citation!r}")
    return {
        "coverage_factor": line.number("coverage_factor", above=0) if "coverage_factor" in line.said else 1.0,
        "note": line.said.get("note"),
        "source": line.said.get("source", _author_and_year(citation)),
        "citation": citation,
        "source_id": source_id(citation),
    }


def _author_and_year(citation: str) -> str:
    author = citation.partition(",")[0].strip()
    author = author if len(author) <= _LONGEST_SOURCE else f"{author[:_LONGEST_SOURCE].rsplit(' ', 1)[0]} ..."
    years = _YEAR.findall(citation)
    return author if any(year in author for year in years) else f"{author} {years[-1]}"


def _composition(line: Line) -> str:
    """The label that runs of the same composition have: whole at.%."""
    said = line.text("element_or_alloy")
    try:
        parts = parse_composition(f"{said}100" if said in SYMBOLS else said)
    except MeltlakeError as error:
        raise line.wrong(error.problem.rstrip(".")) from error
    return composition({symbol: round(share * 1e4) for symbol, share in parts.items() if share})


def _element(line: Line, label: str) -> str:
    elements = list(parse_composition(label))
    if "element" not in line.said and len(elements) == 1:
        return elements[0]
    if line.text("element") not in elements:
        raise line.wrong(f"needed an element of {label} that diffuses, found {line.said['element']!r}")
    return line.said["element"]


def _pair(line: Line, label: str) -> str:
    elements = list(parse_composition(label))
    said = line.said.get("pair", _ALL)
    pair = "-".join(sorted(said.split("-")))
    if said != _ALL and (len(pair.split("-")) != 2 or not set(pair.split("-")) <= set(elements)):
        raise line.wrong(f"needed a pair of elements of {label} such as {elements[0]}-{elements[-1]}, found {said!r}")
    # The total of one element is its only partial function.
    return _ALL if said == _ALL or len(elements) == 1 else pair


def _temperature(line: Line, name: str) -> float:
    kelvin = line.number(name, above=0)
    if kelvin > _HOTTEST_K:
        raise line.wrong(f"needed a temperature below {_HOTTEST_K:g} K as {name}, found {kelvin:g}")
    return kelvin


def _range(line: Line, temperature_k: float, *, is_point: bool) -> tuple[float, float]:
    if is_point:
        if said := [name for name in ("temperature_min_k", "temperature_max_k") if name in line.said]:
            raise line.wrong(f"needed slope_per_k or activation_k beside {said[0]}, found neither")
        return temperature_k, temperature_k
    first_k, last_k = _temperature(line, "temperature_min_k"), _temperature(line, "temperature_max_k")
    if not first_k < last_k:
        raise line.wrong(f"needed temperature_min_k below temperature_max_k, found {first_k:g} and {last_k:g}")
    return first_k, last_k


def _uncertainty(line: Line, value: float, *, factor: float = 1.0) -> float | None:
    said = line.said.get("uncertainty")
    if said is None:
        return None
    number = Line(line.where, {"uncertainty": said.removesuffix("%").rstrip()}).number("uncertainty")
    if number < 0:
        raise line.wrong(f"needed an uncertainty of 0 or more, found {said!r}")
    return value * number / 100 if said.endswith("%") else number * factor


def _preferred(line: Line) -> bool:
    said = line.said.get("preferred", "yes").lower()
    if said not in _YES_OR_NO:
        raise line.wrong(f"needed yes or no as preferred, found {said!r}")
    return _YES_OR_NO[said]


def _require_once(path: Path, rows: Mapping[str, Sequence[Row]]) -> None:
    """Refuse two values at one place: one of them is a slip."""
    for table, of_table in rows.items():
        places = [name for name in ("r_angstrom", "q_per_angstrom") if name in of_table[0]]
        names = ("element_or_alloy", "quantity", "element", "pair", "temperature_k", *places, "source_id")
        seen: set[tuple[object, ...]] = set()
        for row in of_table:
            place = tuple(row.get(name) for name in names)
            if place in seen:
                at = f" and {row[places[0]]:g}" if places else ""
                raise MeltlakeError(
                    f"{path}: needed one value of {table} of {row['element_or_alloy']} at {row['temperature_k']:g} "
                    f"K{at}, found two.",
                    "Keep one of them.",
                )
            seen.add(place)


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
