"""The second line of an extended XYZ frame: its keys, its cell, its columns. Rows of atoms do not belong here."""

import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lake.readers.columns import decimal
from schemas.frames import Floats, LevelOfTheory

_WORD = r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\''
_PAIR = re.compile(rf"({_WORD}|[^\s=]+)(?:\s*=\s*({_WORD}|\{{[^}}]*\}}|\[(?:[^\[\]]|\[[^\[\]]*\])*\]|\S*))?")
_IN_LIST = re.compile(r"[^\s,\[\]{}]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")  # which no program writes
_BAD_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\[^\"'\\n]")
_PIECE_OF_NUMBER = re.compile(r"[-+.]?\d[-+.\dEe]*")  # what a blank cuts off a number
_USUAL_NUMBERS = re.compile(r"[0-9.+\-Ee ]*")
_OPENING = tuple("\"'{[")
_ESCAPED = re.compile(r"\\(.)")
_TRUE = {"T", "True", "true", "TRUE", "1"}
_COLUMN_TYPES = {"S", "R", "I", "L"}
_PLAIN_COLUMNS = "species:S:1:pos:R:3"

_LEVEL_KEYS: dict[str, tuple[str, Callable[[str], object]]] = {
    "functional": ("functional", str),
    "ENCUT": ("encut_ev", float),
    "ISMEAR": ("ismear", int),
    "SIGMA": ("sigma_ev", float),
    "ISPIN": ("ispin", int),
    "k-points": ("k_points", str),
    "vdW": ("vdw", str),
    "DFT+U": ("dft_u", str),
    "spins": ("spin_orbit", str),
    "PREC": ("precision", str),
    "LREAL": ("real_space", str),
    "LASPH": ("aspherical", "T".__eq__),
    "energy": ("energy_kind", str),
}
_LEVEL_KEY = re.compile(rf"(?:^| )({'|'.join(map(re.escape, _LEVEL_KEYS))})=")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a row hold what."""

    places: Mapping[str, slice]
    n_columns: int
    words: tuple[int, ...]
    """Which are no numbers."""


def parse_comment(line: bytes) -> dict[str, str]:
    """Keys and values as text, without quotes; a key without a value is `T`. Nothing is taken from a damaged line."""
    if any(wrong.search(line) is not None for wrong in (_CONTROL, _BAD_ESCAPE)):
        return {}
    if (line.count(b'"') - line.count(b'\\"')) % 2:
        return {}
    pairs: dict[str, str] = {}
    try:
        text = line.decode("utf-8").strip()
    except UnicodeDecodeError:
        return {}
    for key, value in _PAIR.findall(text):
        is_quoted = value.startswith(_OPENING)
        if (not is_quoted and "=" in value) or (not value and _PIECE_OF_NUMBER.fullmatch(key) is not None):
            return {}
        pairs[_unquoted(key)] = _unquoted(value) if is_quoted else value or "T"
    return pairs


def is_misspelt(keys: Collection[str], usual: Collection[str]) -> bool:
    """Whether a frame lacks one of the `usual` keys and has one instead that a single damaged byte makes of it."""
    new = [key for key in keys if key not in usual]
    return bool(new) and any(_is_damaged(key, new) for key in usual if key not in keys)


def _is_damaged(key: str, new: Collection[str]) -> bool:
    pieces = ({key[:at], key[at + 1 :]} for at in range(1, len(key) - 1))  # of a key with a blank in it
    if {key[1:], key[:-1]} & set(new):
        return True
    return any(two <= set(new) for two in pieces) or any(
        sum(one != other for one, other in zip(each, key, strict=True)) == 1
        if len(each) == len(key)
        else each.startswith(key) and _PIECE_OF_NUMBER.fullmatch(each[len(key) + 1 :]) is not None
        for each in new
    )


def _unquoted(text: str) -> str:
    if not text.startswith(("'", '"')) or len(text) < 2:
        return text
    return _ESCAPED.sub(r"\1", text[1:-1]) if "\\" in text else text[1:-1]


def columns_of(comment: Mapping[str, str]) -> Columns | None:
    """What `Properties` says; None if it cannot be understood or gives no atoms and positions."""
    words = comment.get("Properties", _PLAIN_COLUMNS).split(":")
    places: dict[str, slice] = {}
    n_columns, words_at = 0, list[int]()
    for name, kind, count in zip(words[::3], words[1::3], words[2::3], strict=False):
        if kind not in _COLUMN_TYPES or not count.isdigit():
            return None
        places[name] = slice(n_columns, n_columns + int(count))
        words_at += range(n_columns, n_columns + int(count)) if kind in {"S", "L"} else ()
        n_columns += int(count)
    position = places.get("pos", slice(0, 0))
    if len(words) % 3 or not {"species", "Z"} & places.keys() or position.stop - position.start != 3:
        return None
    return Columns(places, n_columns, tuple(words_at))


def numbers_in(text: str) -> Floats:
    """The numbers of a value, (n,); NaN for a word that is none."""
    if _USUAL_NUMBERS.fullmatch(text) is not None:
        with suppress(ValueError):
            return np.array(list(map(float, text.split())))
    return np.array([decimal(word.encode()) for word in _IN_LIST.findall(text)])


@lru_cache(maxsize=16)
def cell_in(text: str) -> tuple[Floats, float] | None:
    """A cell, (3, 3), A, and its volume, A^3; None where the text is not nine numbers."""
    numbers = numbers_in(text)
    if len(numbers) != 9 or not np.isfinite(numbers).all():
        return None
    cell = numbers.reshape(3, 3)
    return cell, abs(float(cell[0] @ np.cross(cell[1], cell[2])))


def number_at(comment: Mapping[str, str], key: str | None) -> float:
    """One number; NaN where the key is missing or holds anything else."""
    return decimal(comment[key].encode()) if key is not None and key in comment else float("nan")


def tensor_in(text: str) -> Floats:
    """A symmetric tensor, (3, 3), from nine numbers or from six in the order xx yy zz yz xz xy; NaN otherwise."""
    numbers = numbers_in(text)
    if len(numbers) == 6:
        xx, yy, zz, yz, xz, xy = numbers
        return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return numbers.reshape(3, 3) if len(numbers) == 9 else np.full((3, 3), np.nan)


def is_periodic(comment: Mapping[str, str]) -> bool:
    """Whether the cell repeats in all directions; a file that does not say so means it."""
    told = comment.get("pbc", "T T T")
    return told == "T T T" or all(word in _TRUE for word in _IN_LIST.findall(told))


def level_of_theory_in(label: str) -> LevelOfTheory:
    """The level of theory whose label this is, as far as a label tells; unknown where it cannot be understood."""
    _, *parts = _LEVEL_KEY.split(label)
    known = ((*_LEVEL_KEYS[key], value) for key, value in zip(parts[::2], parts[1::2], strict=True))
    try:
        return LevelOfTheory(**{name: convert(value) for name, convert, value in known})  # type: ignore[arg-type]
    except ValueError:
        return LevelOfTheory()
