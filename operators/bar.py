"""A bar on a terminal while a person waits, and nothing elsewhere. What is counted is said by who counts."""

import sys
from typing import Never

from tqdm import tqdm


def bar(what: str, total: int, *, unit: str) -> "tqdm[Never]":
    """A bar that appears after a second; use it as a context and call its `update`."""
    return tqdm(total=total, desc=what, unit=unit, unit_scale=True, delay=1, disable=not sys.stderr.isatty())
