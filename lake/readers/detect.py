"""What kind of file this is, by its content and never by its name. Reading it does not belong here."""

import re
from pathlib import Path
from typing import Literal, get_args

from lake.raw_store import is_folder
from lake.readers.containers import SourceStream, open_source
from schemas.errors import UnreadableFile

HEAD_BYTES = 4096

SourceFormat = Literal["outcar", "vasprun", "vaspout_h5", "ml_ab", "xdatcar", "extxyz", "lammps_dump"]

_NUMBER = rb"[-+]?[\d.]+(?:[EeDd][-+]?\d+)?"
_THREE_NUMBERS = rb"[ \t]*%b(?:(?:[ \t]+|(?=-))%b){2}[ \t\r]*\n" % (_NUMBER, _NUMBER)
# Title, scale (one or three numbers), three vectors, perhaps species, numbers of atoms.
_POSCAR_HEAD = (
    rb"[^\n]*\n(?:[ \t]*%b[ \t\r]*\n|%b)(?:%b){3}(?:[ \t]*[A-Z][^\n]*\n)?[ \t]*\d+(?:[ \t]+\d+)*[ \t\r]*\n"
    % (_NUMBER, _THREE_NUMBERS, _THREE_NUMBERS)
)

_FORMATS: tuple[tuple[SourceFormat, re.Pattern[bytes]], ...] = (
    ("vaspout_h5", re.compile(rb"\A\x89HDF\r\n")),
    ("vasprun", re.compile(rb"<modeling\b")),
    ("lammps_dump", re.compile(rb"\A\s*ITEM: (?:TIMESTEP|UNITS|TIME)\s")),
    ("ml_ab", re.compile(rb"\A[ ]*1\.\d+[ ]+Version\s")),
    ("xdatcar", re.compile(rb"\n[ \t]*(?:Direct|Cartesian) configuration=|\A(?:[^\n]*\n){3}[ \t]*CAR[ \t\r]*\n")),
    ("xdatcar", re.compile(rb"\A%b(?:[ \t\r]*\n)+%b" % (_POSCAR_HEAD, _THREE_NUMBERS))),
    ("extxyz", re.compile(rb"\A\s*\d+[ \t\r]*\n[^\n]*\b(?:Lattice|Properties)[ ]*=", re.IGNORECASE)),
    ("outcar", re.compile(rb"(?:\A|\n) vasp\.\d")),
)

# Rows of numbers alone; the last word may be cut, since only the beginning of a file is looked at.
_BARE_NUMBERS = rb"\s*(?:%b\s+)+[-+.\dEeDd]*\Z" % rb"[-+]?\d+(?:\.\d*)?(?:[EeDd][-+]?\d+)?"

_ANY_RUN = "Ingest the OUTCAR, vasprun.xml or vaspout.h5 of the run instead."
# What is recognised but holds no run: how it looks, what it is.
_OTHERS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"<\?xml|[ \t\r\n]*<"), "it is XML, but not a vasprun.xml (it has no <modeling>)"),
    (re.compile(rb"\x93NUMPY"), "it is a NumPy array, which names neither its atoms nor its units"),
    (re.compile(rb"\s*(?:\{\s*[\"}]|\[\s*[\[{\"\d-])"), "it is JSON, such as another program's training set"),
    (re.compile(rb"LAMMPS \("), "it is the log of LAMMPS, which has no positions"),
    (re.compile(rb"(?s).*\n\s*N\s+E\s+dE\s+d eps"), "it is an OSZICAR, which has no positions"),
    (re.compile(_POSCAR_HEAD), "it is a POSCAR or CONTCAR, which is no trajectory and has no energy"),
    (re.compile(rb"\s*\d+[ \t\r]*\n[^\n]*\n\s*[A-Z][a-z]?\s"), "it is a plain XYZ file, which has no cell"),
    (re.compile(rb"(?:[A-Z][a-z]?[ \t\r]*\n)+\Z"), "it is a list of elements, as in the type_map.raw of DeePMD"),
    (re.compile(_BARE_NUMBERS), "it holds bare numbers, as the raw files of DeePMD do (box.raw, energy.raw ...)"),
    (re.compile(rb"\s*\w+ *= *\S"), "it is a list of settings such as an INCAR"),
)


def source_format(path: str | Path) -> SourceFormat:
    """The kind of a file.

    Raises
    ------
    UnreadableFile
        If the file is empty or of no kind that holds a run.
    """
    if is_folder(str(path)):
        raise UnreadableFile(f"{path} is a directory, not a file.", "Name the output file in it.")
    with open_source(path) as source:
        return format_of(source)


def format_of(source: SourceStream) -> SourceFormat:
    """The kind of a stream, from its beginning, which is not consumed.

    Raises
    ------
    UnreadableFile
        If the content is empty or of no kind that holds a run.
    """
    head = source.peek(HEAD_BYTES)
    if not head:
        what = source.damage or "the file is empty"
        raise UnreadableFile(f"{source.name}: {what}.", "Copy the file again, or leave it out.")
    for name, looks in _FORMATS:
        if looks.search(head):
            return name
    needed = f"needed one of {', '.join(get_args(SourceFormat))}"
    for looks, what in _OTHERS:
        if looks.match(head):
            raise UnreadableFile(f"{source.name}: {needed}, but {what}.", _ANY_RUN)
    kind = "binary data" if b"\0" in head else "text of an unknown kind"
    raise UnreadableFile(f"{source.name}: {needed}, found {kind}.", _ANY_RUN)
