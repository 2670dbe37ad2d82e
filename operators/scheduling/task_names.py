"""Names of mapped tasks: what a command works on, short enough for Airflow's list of them."""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

_MOST_VALUES = 3
_WORDED = {
    "--seed": "seed {}",
    "--steps": "{} steps",
    "--temperature-k": "{} K",
    "--hold-out": "without {}",
    "--runs": "of runs {}",
    "--init-from": "from {}",
}
"""Options whose value alone would not say what it is."""


def subject(arguments: Sequence[str]) -> str:
    """What the command works on, to tell mapped tasks apart: `DP-2 seed 1 on 2272c04e3166`."""
    verb, *words = arguments
    places = [place for place, word in enumerate(words) if word.startswith("--")]
    options = [_option(words[place:]) for place in places]
    others = _values(list(takewhile(lambda word: not word.startswith("--"), words)))
    parts = [*options, f"on {others}"] if verb == "train" else [others, *options]
    return " ".join(part for part in parts if part)


def _option(words: Sequence[str]) -> str:
    name, *rest = words
    values = _values(list(takewhile(lambda word: not word.startswith("--"), rest)))
    return _WORDED.get(name, "{}").format(values) if values else ""


def _values(words: Sequence[str]) -> str:
    shown = ["/".join(Path(word).parts[-2:]) if "/" in word else word for word in words[:_MOST_VALUES]]
    n_more = len(words) - len(shown)
    return " ".join(shown) + (f" and {n_more} more" if n_more else "")
