"""What a view is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class View:
    """One view: its name, its query and what it tells."""

    name: str
    meaning: str
    sql: str
