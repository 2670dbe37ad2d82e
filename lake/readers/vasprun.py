"""Reads a vasprun.xml once, front to back, step by step. What a step holds is in `vasprun_collector`."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lake.readers.bookmarks import Progress, bookmark_at, skip_to
from lake.readers.containers import SourceStream, open_source
from lake.readers.source_reader import SourceReader
from lake.readers.vasp_header import run_header, settings_notes
from lake.readers.vasprun_collector import StepText, XmlFrameCollector
from lake.readers.vasprun_fields import CALCULATION, CALCULATION_END, END, ENERGY_END, FRAME_FIELDS, SCF_STEP, STRUCTURE
from lake.readers.vasprun_frames import forces_end
from lake.readers.vasprun_header import SETTING_FIELDS, read_head
from lake.readers.window import CHUNK_BYTES, LOST_TEXT, TextWindow
from schemas.errors import UnreadableFile
from schemas.frames import Bookmark, FrameBatch, ReadingOutcome, RunHeader

FIELDS = (*FRAME_FIELDS, *SETTING_FIELDS)
"""What is read, and in which element."""

_NEW_RUN = b"<modeling>"
_LONGEST_TOKEN = 16
# Damage may take the tokens that end a step: what is longer than any step is not waited for. An electronic step takes
# about 1 kB, an atom one row in each table.
_LONGEST_LOOP = 8 * 1024 * 1024
_LONGEST_STEP = 8 * 1024 * 1024
_LONGEST_ATOM = 1024


class VasprunReader(SourceReader):
    """Frames of a vasprun.xml, plain or compressed, complete or cut.

    A frame begins with an unnamed `<structure>` and ends with the `<energy>` after it. Its closing
    `</calculation>` is not required: in the last step megabytes of eigenvalues may stand before it.
    """

    header: RunHeader
    outcome: ReadingOutcome

    def __init__(
        self,
        source: SourceStream | str | Path,
        *,
        bookmark: Bookmark | None = None,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self.source = open_source(source) if isinstance(source, str | Path) else source
        if bookmark is not None:
            self.source.expect(bookmark.content_bytes, bookmark.content_sha256)
        self.outcome = ReadingOutcome()
        self._bookmark = bookmark
        self._progress: Progress | None = None
        self._window = TextWindow(self.source, chunk_bytes)
        self._n_calculations = 0
        self._ended = False
        self._has_lost_loop = False
        self._is_inside = False
        """Whether the last calculation in the text that was forgotten is open."""
        end_of_head = self._end_of_head()
        head_text = bytes(self._window.text[:end_of_head])
        self._head_sha256 = hashlib.sha256(head_text).hexdigest()
        head = read_head(head_text, self.source.name)
        self._ended = self._window.find_between(END, 0, end_of_head) is not None
        self._window.drop(end_of_head)
        self.header = run_header(head.settings, "vasprun", head.atomic_numbers)
        self._settings = head.settings
        self._frames = XmlFrameCollector(head)

    def head_sha256(self) -> str:
        """Of the text before the first ionic step."""
        return self._head_sha256

    def bookmark(self) -> Bookmark | None:
        """Where to go on, after the last batch."""
        if self._progress is None or not self._window.exhausted:
            return None
        return bookmark_at(self._progress, self.source)

    def batches(self) -> Iterator[FrameBatch]:
        """All frames in file order, or those behind the bookmark.

        Raises
        ------
        UnreadableFile
            If the file holds no complete frame, or several runs.
        FileReplaced
            If the file does not begin any more as it did when the bookmark was made.
        """
        if self._bookmark is not None:
            self._go_on_at(self._bookmark)
        while (step := self._next_step()) is not None:
            self._n_calculations += step.calculation is not None and not step.has_lost_loop
            ionic_step = self._n_calculations + self._frames.n_ml_frames + (step.calculation is None)
            end = self._frames.collect(self._window.text, step, ionic_step)
            self._window.drop(end)
            yield from self._frames.full_batches()
        self._frames.close_batch()
        yield from self._frames.full_batches()
        self._finish()

    def _end_of_head(self) -> int:
        start, window = 0, self._window
        while True:
            hits = [hit for token in (CALCULATION, STRUCTURE) if (hit := window.text.find(token, start)) >= 0]
            if hits:
                return min(hits)
            start = max(start, len(window) - _LONGEST_TOKEN)
            if not window.grow():
                return len(window)

    def _next_step(self) -> StepText | None:
        """The next step, as far as it is in the file; None when no other begins."""
        window = self._window
        while (structure := window.find_between(STRUCTURE, 0, len(window))) is None:
            # Eigenvalues and densities of states may be many times larger than all frames: forget them as they pass.
            begun = window.find_last_between(CALCULATION, 0, len(window))
            passed = max(len(window) - _LONGEST_TOKEN, 0)
            self._forget(passed if begun is None or passed - begun > _LONGEST_LOOP else begun)
            self._note_progress()
            if not window.grow():
                self._forget(len(window))
                return None
        calculation = window.find_last_between(CALCULATION, 0, structure)
        closed = None if calculation is None else window.find_between(CALCULATION_END, calculation, structure)
        inside = calculation is not None and closed is None and structure - calculation <= _LONGEST_LOOP
        before = structure if calculation is None or not inside else calculation
        self._forget(before)
        is_cut = self._is_inside and not inside
        has_lost_loop = is_cut or (self._has_lost_loop and not inside)
        structure -= before
        sizes = self._frames.table_bytes
        if len(window) < structure + sum(sizes):
            self._note_progress()
            while len(window) < structure + sum(sizes) and window.grow():
                pass
        behind_tables = forces_end(window.text, structure, sizes)  # they are most of the text: leap over them
        end = self._energy_end(behind_tables, structure + _LONGEST_STEP + _LONGEST_ATOM * self.header.n_atoms)
        self._is_inside = self._has_lost_loop = False
        return StepText(0 if inside or is_cut else None, structure, end, window.has_hole(0, end), has_lost_loop)

    def _energy_end(self, start: int, limit: int) -> int:
        """Behind the first `</energy>`; where it is missing, behind where another structure begins, or at `limit`."""
        window = self._window
        first = window.find_between(ENERGY_END, start, limit)
        if first is None:
            self._note_progress()
        while first is None:
            if (another := window.find_between(STRUCTURE, start + 1, limit)) is not None:
                return another + len(STRUCTURE)
            start = max(start, len(window) - _LONGEST_TOKEN)
            if len(window) >= limit or not window.grow():
                return min(len(window), limit)
            first = window.find_between(ENERGY_END, start, limit)
        return first + len(ENERGY_END)

    def _forget(self, position: int) -> None:
        """Drop text that belongs to no frame, having looked at what begins in it."""
        window = self._window
        self._n_calculations += window.text.count(CALCULATION, 0, position + len(CALCULATION) - 1)
        self._ended = self._ended or window.find_between(END, 0, position + len(END) - 1) is not None
        loop = window.find_between(SCF_STEP, 0, position + len(SCF_STEP) - 1)
        self._has_lost_loop = self._has_lost_loop or loop is not None
        begun = window.text.rfind(CALCULATION, 0, position + len(CALCULATION) - 1)
        closed = window.text.rfind(CALCULATION_END, 0, position + len(CALCULATION_END) - 1)
        if max(begun, closed) >= 0:
            self._is_inside = begun > closed
        if window.find_between(_NEW_RUN, 0, position + len(_NEW_RUN) - 1) is not None:
            raise UnreadableFile(
                f"{self.source.name}: several vasprun.xml were joined into one file.",
                "Split the file before each line that begins with '<?xml' and ingest the parts.",
            )
        window.drop(position)

    def _note_progress(self) -> None:
        """What stands before the window is not needed any more: note all else that is known here.

        At the end of the file nothing is noted: a step that is not whole may go on when the file has grown.
        """
        if self._window.exhausted:
            return
        state: dict[str, object] = {
            "n_calculations": self._n_calculations,
            "ended": self._ended,
            "has_lost_loop": self._has_lost_loop,
            "is_inside": self._is_inside,
            "frames": self._frames.memory(),
        }
        self._progress = Progress(self._window.n_dropped, self._frames.n_frames, state)

    def _go_on_at(self, bookmark: Bookmark) -> None:
        skip_to(bookmark, self.source, self._window)
        state: dict[str, Any] = bookmark.parser_state
        self._n_calculations, self._ended = state["n_calculations"], state["ended"]
        self._has_lost_loop = state["has_lost_loop"]
        self._is_inside = state.get("is_inside", False)  # older bookmarks know nothing of it
        self._frames.recall(state["frames"])

    def _finish(self) -> None:
        """Say how the reading ended; refuse a file without frames."""
        outcome, frames = self.outcome, self._frames
        outcome.complete = self._ended and self.source.damage is None
        outcome.n_energy_only = frames.n_energy_only
        outcome.n_ionic_steps = self._n_calculations + frames.n_ml_frames
        outcome.n_incomplete = self._n_calculations + frames.n_ml_frames - frames.n_frames - frames.n_energy_only
        if not frames.n_frames:
            what = "ionic step finished" if self._n_calculations else "electronic step"
            raise UnreadableFile(
                f"{self.source.name}: VASP was killed before the first {what}, so the file holds no frame.",
                "Run VASP again, or leave this file out.",
            )
        if self._window.holes:
            outcome.complete = False
            outcome.notes.append(LOST_TEXT)
        if self.source.damage is not None:
            outcome.notes.append(f"{self.source.damage[0].upper()}{self.source.damage[1:]}.")
        if frames.n_ml_frames:
            outcome.notes.append(f"{frames.n_ml_frames} frames come from a machine-learned force field.")
        outcome.notes.extend(settings_notes(self._settings, self.header.ensemble))
