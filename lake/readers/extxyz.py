"""Reads extended XYZ, ours, ASE's and MACE's, frame by frame. How its lines are taken apart is not here."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lake.readers.containers import SourceStream, open_source
from lake.readers.extxyz_batches import XyzCollector
from lake.readers.extxyz_comment import level_of_theory_in, number_at
from lake.readers.extxyz_frames import PartNames, XyzFrame, XyzFrames
from lake.readers.extxyz_places import FramesOfPart, part_names, places_in
from lake.readers.fields import Field
from lake.readers.lines import LineReader
from lake.readers.source_reader import SourceReader
from lake.readers.window import CHUNK_BYTES, LOST_TEXT
from schemas.errors import UnreadableFile
from schemas.frames import Bookmark, Fingerprint, FrameBatch, LevelOfTheory, ReadingOutcome, RunHeader

FIELDS = (
    Field("atomic_numbers", "Properties=species:S:1 or Z:I:1", "-", "another sequence of atoms is another run"),
    Field("positions_angstrom", "Properties=...:pos:R:3", "-"),
    Field("cell_angstrom", 'Lattice="ax ay az bx by bz cx cy cz"', "-", "never made up where it is missing"),
    Field("energy_ev", "free_energy, REF_energy, energy", "-", "the first of them that the run's first frame has"),
    Field("energy_sigma0_ev", "energy_sigma0", "-", "ours"),
    Field("forces_ev_per_angstrom", "REF_forces, forces, force", "-"),
    Field(
        "virial_ev", "virial, virials, REF_virials", "-", "eV, our sign: positive trace when the melt pushes outward"
    ),
    Field("virial_ev", "REF_stress, stress", "-", "ASE's sign and Voigt order, eV/A^3: virial = -stress * volume"),
    Field("virial_trace_ev", "virial, virials, REF_virials, REF_stress, stress", "-", "the trace of the same virial"),
    Field("velocities_angstrom_per_fs", "momenta", "-", "ASE's unit, sqrt(eV amu): divided by the element's mass"),
    Field("velocities_angstrom_per_fs", "velo, vel", "-", "A/fs"),
    Field("magnetic_moments_mu_b", "REF_magmoms, magmoms, magnetic_moments", "-", "one or three columns"),
    Field("temperature_k", "temperature_k", "-", "ours"),
    Field("ionic_step", "ionic_step", "-", "ours; counted from 1 in other files"),
    Field("segment", "run_id", "-", "ours: frames of another run begin another segment"),
    Field("time_step_fs", "time_fs of the first two frames", "-", "ours"),
    Field("label_source", "label_source", "-", "ours; dft in other files where energy and forces are there"),
    Field("level_of_theory", "level_of_theory", "-", "ours, without POTCAR titles"),
    Field("synthetic", "synthetic", "-", "ours"),
)

ENERGY_KEYS = ("free_energy", "REF_energy", "energy")
_NOT_SAID = "as in the file"
_REMEDY = "Check the file with the program that wrote it."


class ExtxyzReader(SourceReader):
    """Frames of one sequence of atoms in an extended XYZ file, plain or compressed.

    Parameters
    ----------
    part
        Which sequence, as `extxyz_parts` names them; empty for a file that holds one.

    Raises
    ------
    UnreadableFile
        If the file holds no frame of that part.
    """

    header: RunHeader
    outcome: ReadingOutcome

    def __init__(self, source: SourceStream | str | Path, part: str = "", *, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.source = open_source(source) if isinstance(source, str | Path) else source
        self.outcome = ReadingOutcome()
        places = places_in(self.source.name) if part else None
        self._known: FramesOfPart | None = None
        """The part's frames, where it is known where they stand."""
        if places is not None and part in places.frames:
            self._known = FramesOfPart(self.source, places, part)
        self._all_frames = self._known or XyzFrames(LineReader(self.source, chunk_bytes))
        self._part, self._is_mine, self._n_of_part = part, False, 0
        self._names = PartNames() if places is None else places.names
        self._n_unnamed = 0 if self._known is None else self._known.places.n_unnamed
        """Frames before the first one whose atoms can be read, so that no part is theirs."""
        frames = self._frames_of_part()
        first = next(frames, None)
        if first is None or first.atomic_numbers is None:
            raise self._no_frames()
        second = next(frames, None)
        self._frames = chain([first] if second is None else [first, second], frames)
        # A file that holds one run may later hold several: its run keeps the name that it would have among them.
        name = part or PartNames().name_of(first.atomic_numbers)
        self._head_sha256 = hashlib.sha256(first.head + name.encode()).hexdigest()
        self.header = self._header(first, first.atomic_numbers, second)
        self._energy_key = _energy_key(first.comment)

    def head_sha256(self) -> str:
        """Of the first two lines of the part's first frame, and the part's name."""
        return self._head_sha256

    def bookmark(self) -> Bookmark | None:
        """None: other programs write such files whole."""
        return None

    def raw_bytes_read(self) -> int:
        """How much of the raw file was read so far."""
        if self._known is None or not self._known.places.is_plain:
            return super().raw_bytes_read()
        return self._known.n_bytes

    def fingerprint(self) -> Fingerprint:
        """Identity of the whole file, also of what stands after the last frame."""
        return super().fingerprint() if self._known is None else self._known.places.fingerprint

    def batches(self) -> Iterator[FrameBatch]:
        """All frames of the part in file order.

        Raises
        ------
        UnreadableFile
            If no part was named and the file holds several.
        FileReplaced
            If the file was written since `extxyz_parts` found the part's frames.
        """
        collector = XyzCollector(self.header.atomic_numbers, self._energy_key)
        for frame in self._frames:
            self.outcome.n_ionic_steps += 1
            yield from collector.add(frame)
        yield from collector.rest()
        self._finish()

    def _frames_of_part(self) -> Iterator[XyzFrame]:
        """Frames of the part; one whose atoms cannot be read belongs to the part of the frame before it."""
        first_name = ""
        for frame in self._all_frames:
            if frame.atomic_numbers is not None:
                name = self._names.name_of(frame.atomic_numbers)
                first_name = first_name or name
                self._is_mine = name == (self._part or first_name)
                if not self._part and not self._is_mine:
                    raise UnreadableFile(
                        f"{self.source.name}: the atoms change from {first_name} to {name} on the way.",
                        "Name one of its parts; `meltlake ingest` reads them all.",
                    )
            if self._is_mine:
                is_first = first_name != "" and not self._n_of_part
                self._n_of_part += 1
                n_before = frame.n_lost_before + self._n_unnamed * is_first
                yield replace(frame, n_lost_before=n_before) if is_first else frame
            self._n_unnamed += not first_name

    def _header(self, first: XyzFrame, atomic_numbers: NDArray[np.int8], second: XyzFrame | None) -> RunHeader:
        comment = first.comment
        level = level_of_theory_in(comment.get("level_of_theory", ""))
        key = _energy_key(comment)
        if key != ENERGY_KEYS[0] and level == LevelOfTheory():
            level = replace(level, energy_kind=None if key is None else _NOT_SAID)
        return RunHeader(
            source_format="extxyz",
            atomic_numbers=atomic_numbers,
            time_step_fs=None if second is None else _time_step_fs(comment, second.comment),
            level_of_theory=level,
            synthetic=comment.get("synthetic", "F")[:1] in {"T", "t", "1"},
        )

    def _finish(self) -> None:
        outcome, known = self.outcome, self._known
        damage = self.source.damage if known is None else known.places.damage
        # What is cut or lost belongs to the part of the frame before it.
        is_last = self._is_mine if known is None else known.is_last
        outcome.n_incomplete = self._all_frames.n_incomplete if is_last else 0
        outcome.n_incomplete += self._n_unnamed
        outcome.n_ionic_steps += outcome.n_incomplete
        outcome.complete = not (self._all_frames.n_incomplete or self._n_unnamed) and damage is None
        if self._all_frames.has_hole:
            outcome.complete = False
            outcome.notes.append(LOST_TEXT)
        if damage is not None:
            outcome.notes.append(f"{damage[0].upper()}{damage[1:]}.")
        if self._energy_key is not None and self._energy_key != ENERGY_KEYS[0]:
            outcome.notes.append(
                f"The file does not say whether `{self._energy_key}` is the free energy, which the forces belong to."
            )

    def _no_frames(self) -> UnreadableFile:
        known = ", ".join(self._names.all)
        what = f"no part {self._part}, but {known}" if self._part and known else "no complete frame"
        return UnreadableFile(f"{self.source.name}: this extended XYZ file holds {what}.", _REMEDY)


def extxyz_parts(source: SourceStream | str | Path) -> tuple[str, ...]:
    """Names of the runs in a file, in file order: one empty name unless its atoms change on the way."""
    with open_source(source) if isinstance(source, str | Path) else source as stream:
        names = part_names(stream)
    return names if len(names) > 1 else ("",)


def _energy_key(comment: Mapping[str, str]) -> str | None:
    return next((key for key in ENERGY_KEYS if key in comment), None)


def _time_step_fs(one: Mapping[str, str], other: Mapping[str, str]) -> float | None:
    """Time per ionic step, from two frames that tell both; None otherwise."""
    (first_fs, first), (second_fs, second) = (
        (number_at(comment, "time_fs"), number_at(comment, "ionic_step")) for comment in (one, other)
    )
    if not second > first or not second_fs > first_fs:
        return None
    return float(f"{(second_fs - first_fs) / (second - first):.9g}")
