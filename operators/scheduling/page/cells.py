"""Values as a person reads them: labels and units from a column's name, numbers with their errors, ids as links."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

_UNITS = (
    ("_mev_per_atom_per_ps", "meV/atom/ps"),
    ("_g_per_cm3_per_k", "g/cm³/K"),
    ("_angstrom2_per_ps", "Å²/ps"),
    ("_mev_per_angstrom", "meV/Å"),
    ("_mev_per_atom", "meV/atom"),
    ("_ev_per_atom", "eV/atom"),
    ("_ev_per_angstrom", "eV/Å"),
    ("_g_per_cm3", "g/cm³"),
    ("_ns_per_day", "ns/day"),
    ("_at_percent", "at.%"),
    ("_percent", "%"),
    ("_angstrom2", "Å²"),
    ("_angstrom", "Å"),
    ("_mpa_s", "mPa s"),
    ("_gpa", "GPa"),
    ("_ev", "eV"),
    ("_fs", "fs"),
    ("_ps", "ps"),
    ("_k", "K"),
)
_PAGES = {"run_id": "runs", "potential_id": "potentials", "composition": "compositions"}
"""Where a value with this name, or a name that ends so, has a page of its own."""
_BADGES = {"verdict", "split_role", "role"}
_WORDED = {"ns_per_day": "speed", "n_effective": "independent samples", "n_curves_agree": "curves that agree"}
_SPELT = {"rmse": "RMSE", "aimd": "AIMD", "dnnp": "DNNP", "lammps": "LAMMPS", "vasp": "VASP", "l1": "L1", "uri": "file"}
_MOST_LISTED = 8
_DASH = "–"


@dataclass(frozen=True, slots=True)
class Cell:
    """One value: its text, how it is drawn, and the page that it leads to (below the page's root)."""

    text: str
    kind: str = "text"
    href: str | None = None


def unit(name: str) -> str:
    """The unit that a column's name ends with, as it is printed; empty without one."""
    return next((text for suffix, text in _UNITS if f"_{name}".endswith(suffix)), "")


def label(name: str) -> str:
    """A column's name in words, without its unit."""
    suffix = next((suffix for suffix, _ in _UNITS if name.endswith(suffix)), "")
    stem = name.removesuffix(suffix) or name
    words = _WORDED.get(stem) or re.sub(r"^n_", "", stem).replace("_id", " id").replace("_", " ").strip()
    return " ".join(_SPELT.get(word, word) for word in words.split())


def error_name(name: str) -> str:
    """The column that holds the standard error of this one: `temperature_k` has `temperature_error_k`."""
    suffix = next((suffix for suffix, _ in _UNITS if name.endswith(suffix)), "")
    return f"{name.removesuffix(suffix)}_error{suffix}"


def meaning(name: str, sql: str) -> str:
    """What the dictionary of tables says of a column that a query shows; empty where it is the query's own."""
    from schemas.tables import TABLES  # brings Arrow, which Airflow's other processes need not load

    for table in TABLES.values():
        if re.search(rf"\b{table.name}\b", sql):
            for column in table.columns:
                if column.name == name:
                    return column.meaning
    return ""


def cell(name: str, value: object, *, error: object = None) -> Cell:
    """A value of the column `name`, with its standard error where it has one."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return Cell(_DASH, "none")
    if isinstance(value, bool):
        return _yes_or_no(name, is_so=value)
    if isinstance(value, int | float):
        return Cell(_number_text(name, value, error), "number")
    if isinstance(value, datetime):
        return Cell(f"{value:%Y-%m-%d %H:%M}", "time")
    if isinstance(value, list):
        return Cell(_listed(value)) if value else Cell(_DASH, "none")
    return _text_cell(name, str(value))


def _number_text(name: str, value: float, error: object) -> str:
    if name.endswith("_bytes"):
        return size(value)
    return whole(value) if isinstance(value, int) else number(value, error if isinstance(error, float) else None)


def _yes_or_no(name: str, *, is_so: bool) -> Cell:
    if name == "synthetic":
        return Cell("synthetic" if is_so else "", "synthetic")
    return Cell("yes" if is_so else "no")


def _text_cell(name: str, text: str) -> Cell:
    for ending, page in _PAGES.items():
        if (name == ending or name.endswith(f"_{ending}")) and text != "all":
            return Cell(text, "id" if ending != "composition" else "text", f"{page}/{quote(text, safe='')}")
    if name in _BADGES:
        return Cell(text.replace("_", " "), f"badge {re.sub(r'[^a-z]+', '-', text.lower())}")
    if name.endswith(("sha256", "_id")):
        return Cell(text, "sha" if len(text) > 40 else "id")
    return Cell(text, "long" if len(text) > 40 else "text")


def _listed(values: list[object]) -> str:
    shown = ", ".join(cell("", value).text for value in values[:_MOST_LISTED])
    return shown + (f" and {len(values) - _MOST_LISTED} more" if len(values) > _MOST_LISTED else "")


def whole(value: int) -> str:
    """A count with a thin space between thousands."""
    return f"{value:,}".replace(",", "\u202f")


def number(value: float, error: float | None = None) -> str:
    """A number with four significant digits, or with as many as its standard error allows."""
    if error is None or not math.isfinite(error) or error <= 0:
        return f"{value:.4g}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.3e}"
    decimals = 1 - math.floor(math.log10(error))
    if decimals > 8:
        return f"{value:.4g} ± {error:.1e}"
    return f"{value:.{max(decimals, 0)}f} ± {error:.{max(decimals, 0)}f}"


def size(n_bytes: float) -> str:
    """Bytes in the unit that leaves one to three digits before the point."""
    for name in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {name}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"


def value_of(row: Mapping[str, object], name: str) -> Cell:
    """The cell of one of a row's columns, its error beside it folded in."""
    return cell(name, row[name], error=row.get(error_name(name)))
