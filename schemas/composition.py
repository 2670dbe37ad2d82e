"""Composition, formula and chemical system of a set of atoms, as the glossary defines them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.elements import SYMBOLS, atomic_number
from schemas.errors import MeltlakeError

_LABEL = re.compile(r"(?:[A-Z][a-z]?\d+(?:\.\d+)?)+")
_PART = re.compile(r"([A-Z][a-z]?)(\d+(?:\.\d+)?)")
_MOST_DECIMALS = 6


def element_counts(atomic_numbers: NDArray[np.integer]) -> dict[str, int]:
    """Number of atoms of each element, sorted by symbol.

    Parameters
    ----------
    atomic_numbers
        (n_atoms,), dimensionless.
    """
    counts = Counter(SYMBOLS[int(number)] for number in atomic_numbers)
    return dict(sorted(counts.items()))


def formula(counts: Mapping[str, int]) -> str:
    """Integer counts as text, sorted by symbol: `Al307Cu102Ni103`."""
    return "".join(f"{symbol}{count}" for symbol, count in sorted(counts.items()))


def formula_counts(text: str) -> dict[str, int]:
    """The counts that a formula was made from."""
    return {symbol: int(count) for symbol, count in _PART.findall(text)}


def chemical_system(counts: Mapping[str, int]) -> str:
    """The elements present, sorted and joined: `Al-Cu-Ni`."""
    return "-".join(sorted(counts))


def composition(counts: Mapping[str, int]) -> str:
    """Whole at.% label, sorted by symbol: `Al60Cu20Ni20`.

    More decimals are used only where an element that is present would round to 0 (`Al99.8Cu0.2`).
    """
    total = sum(counts.values())
    for decimals in range(_MOST_DECIMALS + 1):
        parts = {symbol: f"{100 * count / total:.{decimals}f}" for symbol, count in sorted(counts.items())}
        if all(float(part) > 0 for part in parts.values()):
            break
    return "".join(f"{symbol}{part}" for symbol, part in parts.items())


def parse_composition(label: str) -> dict[str, float]:
    """At.% of each element in a composition label, sorted by symbol.

    Raises
    ------
    MeltlakeError
        If the label is not a composition, or its parts are far from 100 at.%.
    """
    wanted = f"{label!r} is not a composition: needed whole at.% such as Al60Cu20Ni20"
    if not _LABEL.fullmatch(label):
        raise MeltlakeError(f"{wanted}.", "Write each element followed by its at.%, with no separators.")
    parts = {symbol: float(value) for symbol, value in _PART.findall(label)}
    for symbol in parts:
        atomic_number(symbol)
    if abs(sum(parts.values()) - 100) > 0.5 * len(parts) + 0.5:
        raise MeltlakeError(f"{wanted}, found a sum of {sum(parts.values()):g}.", "Make the parts add up to 100.")
    return dict(sorted(parts.items()))


def canonical_composition(label: str) -> str:
    """The label with its elements sorted, so that `Ni20Al60Cu20` finds `Al60Cu20Ni20`."""
    parts = dict(_PART.findall(label))
    parse_composition(label)
    return "".join(f"{symbol}{parts[symbol]}" for symbol in sorted(parts))


def nearest_counts(label: str, n_atoms: int) -> dict[str, int]:
    """Integer counts closest to a composition label (largest remainders), summing to `n_atoms`."""
    fractions = parse_composition(label)
    total = sum(fractions.values())
    exact = {symbol: n_atoms * part / total for symbol, part in fractions.items()}
    counts = {symbol: int(value) for symbol, value in exact.items()}
    by_remainder = sorted(exact, key=lambda symbol: (counts[symbol] - exact[symbol], symbol))
    for symbol in by_remainder[: n_atoms - sum(counts.values())]:
        counts[symbol] += 1
    return {symbol: count for symbol, count in counts.items() if count > 0}


def half_l1_at_percent(one: str, other: str) -> float:
    """Distance between two compositions: the share of atoms (at.%) to swap to turn one into the other."""
    a, b = parse_composition(one), parse_composition(other)
    return 0.5 * sum(abs(a.get(symbol, 0.0) - b.get(symbol, 0.0)) for symbol in a.keys() | b.keys())


def atomic_numbers_of(symbols: Sequence[str]) -> NDArray[np.int8]:
    """Atomic numbers of element symbols, one per atom: (n_atoms,), dimensionless."""
    return np.array([atomic_number(symbol) for symbol in symbols], dtype=np.int8)
