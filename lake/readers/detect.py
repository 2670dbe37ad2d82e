"""What kind of file this is, by its content and never by its name. Reading it does not belong here."""

import re
from pathlib import Path

from lake.readers.containers import SourceStream, open_source
from schemas.errors import UnreadableFile

HEAD_BYTES = 1024

_FORMATS: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("outcar", re.compile(rb"(?:^|\n) vasp\.\d")),
    ("vasprun", re.compile(rb"<modeling\b")),
)

_VASP_RUN = "Ingest the OUTCAR or the vasprun.xml of the run instead."
# What is recognised but not read: how it looks, what it is, what to do.
_OTHERS: tuple[tuple[re.Pattern[bytes], str, str], ...] = (
    (re.compile(rb"\x89HDF\r\n"), "it is an HDF5 file, and vaspout.h5 is not read yet", _VASP_RUN),
    (re.compile(rb"[ ]*1\.0 Version"), "it is an ML_AB file, which is not read yet", _VASP_RUN),
    (
        re.compile(rb"(?s).*\nDirect configuration="),
        "it is an XDATCAR, which has no forces and is not read yet",
        _VASP_RUN,
    ),
    (re.compile(rb"<\?xml|[ \t\r\n]*<"), "it is XML, but not a vasprun.xml (it has no <modeling>)", _VASP_RUN),
    (re.compile(rb"\s*ITEM:|LAMMPS \("), "it is LAMMPS output", "Ingest the folder of the simulation instead."),
    (re.compile(rb"(?s).*\n\s*N\s+E\s+dE\s+d eps"), "it is an OSZICAR, which has no positions", _VASP_RUN),
)


def source_format(path: str | Path) -> str:
    """`outcar` or `vasprun`.

    Raises
    ------
    UnreadableFile
        If the file is empty or of any other kind.
    """
    if Path(path).is_dir():
        raise UnreadableFile(f"{path} is a directory, not a file.", "Name the OUTCAR or the vasprun.xml in it.")
    with open_source(path) as source:
        return format_of(source)


def format_of(source: SourceStream) -> str:
    """`outcar` or `vasprun`, from the beginning of a stream that is not consumed.

    Raises
    ------
    UnreadableFile
        If the content is empty or of any other kind.
    """
    head = source.peek(HEAD_BYTES)
    if not head:
        what = source.damage or "the file is empty"
        raise UnreadableFile(f"{source.name}: {what}.", "Copy the file again, or leave it out.")
    for name, looks in _FORMATS:
        if looks.search(head):
            return name
    for looks, what, remedy in _OTHERS:
        if looks.match(head):
            raise UnreadableFile(f"{source.name}: needed an OUTCAR or a vasprun.xml, but {what}.", remedy)
    kind = "binary data" if b"\0" in head else "text of an unknown kind"
    raise UnreadableFile(f"{source.name}: needed an OUTCAR or a vasprun.xml, found {kind}.", _VASP_RUN)
