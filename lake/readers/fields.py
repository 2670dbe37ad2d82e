"""What a format holds, and where: one line per quantity. Readers use the places, the documentation prints them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """One quantity of one file format."""

    quantity: str
    """Our name for it, as in the tables `runs` and `frames`."""
    where: str
    """The text, tag or path that it stands behind."""
    since: str = "4.6"
    """The first version of the program that writes it there, as far as files have shown."""
    note: str = ""
    """What a reader must know to take it right."""
