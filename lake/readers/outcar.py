"""Reads an OUTCAR once, front to back, step by step. What a step holds is in `outcar_collector` and `outcar_frames`."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from lake.readers.bookmarks import Progress, bookmark_at, skip_to
from lake.readers.containers import SourceStream, open_source
from lake.readers.outcar_collector import FrameCollector, StepCounter
from lake.readers.outcar_fields import COUNTER, FOOTER, FRAME_FIELDS, SCF_END, TABLE, TYPES_LINE, VERSION_LINE
from lake.readers.outcar_frames import energies_between
from lake.readers.outcar_header import SETTING_FIELDS, THERMOSTAT_SETTINGS, OutcarHead, read_head, take_thermostat
from lake.readers.source_reader import SourceReader
from lake.readers.vasp_header import differing_settings, run_header, settings_notes
from lake.readers.vasp_settings import conserves_energy, ensemble_of, fixed_cell_ensemble, temperature_target_k
from lake.readers.window import CHUNK_BYTES, LOST_TEXT, TextWindow
from schemas.errors import UnreadableFile
from schemas.frames import Bookmark, FrameBatch, ReadingOutcome, RunHeader

FIELDS = (*FRAME_FIELDS, *SETTING_FIELDS)
"""What is read, and behind which text."""

_COUNTERS = re.compile(rb"-+ Iteration[ ]*(\d+|\*+)\([ ]*(\d+|\*+)\)")
_COUNTERS_LINE_BYTES = 120
_LONGEST_DASHES = 30  # versions print 39 to 41 dashes before "Iteration"; a long token is found several times faster
_NEW_RUN = b"\n" + VERSION_LINE
_RUN_AGAIN = "Run VASP again, or leave this file out."
_BYTES_WITHOUT_COUNTER = 8 * 1024 * 1024  # a run driven by a force field alone prints no ionic counter
_ITERATIONS = tuple(b"(%4d)" % number for number in range(1, 1000))  # as they stand in the counter lines


class OutcarReader(SourceReader):
    """Frames of an OUTCAR, plain or compressed, complete or cut.

    A step is the text from one `Iteration n(` to the next: pairing inside it is right for every order of blocks
    (VASP 5.2.2 and older print the energy before the forces). `header.ensemble` and the temperature target may
    become known only with the last batch: VASP 5 names its thermostat behind the first step, and where it names none
    ISIF = 3 alone does not tell whether the cell moves.
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
        self._token = COUNTER
        self._region = 0  # where the text of the current step begins
        self._search = 0  # where to look for the next counter
        self._step_bytes = 0  # of the last ionic step
        self._counter = StepCounter()
        self._iteration_bytes: dict[int, int] = {}  # from the counter line of an electronic iteration to the next
        self._iteration_repeated = False
        self._step_begun = 0  # where in the whole text the counter of the ionic step is
        end_of_head = self._end_of_head()
        head_text = bytes(self._window.text[:end_of_head])
        self._head_sha256 = hashlib.sha256(head_text).hexdigest()
        head = read_head(head_text, self.source.name)
        self.header = run_header(head.settings, "outcar", head.atomic_numbers)
        self._settings = replace(head.settings)
        self._frames = FrameCollector(head)

    def head_sha256(self) -> str:
        """Of the text before the first ionic step."""
        return self._head_sha256

    def bookmark(self) -> Bookmark | None:
        """Where to go on, after the last batch; None for a file to which several runs were written."""
        if self._progress is None or self._counter.segment or not self._window.exhausted:
            return None
        return bookmark_at(self._progress, self.source)

    def batches(self) -> Iterator[FrameBatch]:
        """All frames in file order, or those behind the bookmark.

        Raises
        ------
        UnreadableFile
            If the file holds no complete frame, or the text of several runs at once.
        FileReplaced
            If the file does not begin any more as it did when the bookmark was made.
        """
        if self._bookmark is not None:
            self._go_on_at(self._bookmark)
        counter = self._counter
        while (line := self._next_counter()) is not None:
            at, step, iteration = line
            if step == counter.step and iteration > counter.iteration:
                counter.iteration = iteration
                self._region = at  # the electronic loop goes on: the text before is not needed
            else:
                if step <= counter.highest:
                    self._split_at_new_runs(at)
                self._close_step(at, at_end=False)
                self._begin_step(at, step, iteration)
                yield from self._frames.full_batches()
            self._search = at + 1
            if at == self._step_begun - self._window.n_dropped:
                self._hold_step()
                self._pass_electronic_loop()
        self._split_at_new_runs(len(self._window))
        self._close_step(len(self._window), at_end=True)
        self._frames.close_batch()
        yield from self._frames.full_batches()
        self._finish()

    def _end_of_head(self) -> int:
        """Where the first ionic step begins; a force field's prediction may come before its counter."""
        start, window = 0, self._window
        while True:
            hits = [hit for token in (COUNTER, TABLE) if (hit := window.text.find(token, start)) >= 0]
            if hits:
                return min(hits)
            start = max(start, len(window) - len(TABLE))
            if not window.grow():
                return len(window)

    def _hold_step(self) -> None:
        """Have the ionic step that begins in memory, if it is as long as the one before."""
        window = self._window
        if len(window) - self._region < self._step_bytes:
            self._forget_the_past()
            while len(window) < self._step_bytes and window.grow():
                pass

    def _pass_electronic_loop(self) -> None:
        """Go from the first counter line of an ionic step to its last one, and behind its table, if all is in order.

        That is: the electronic loop has an end, is counted one by one up to there, and is followed by the table where
        it was in the step before. Otherwise each line is looked for.
        """
        text = self._window.text
        numbers_at = text.find(COUNTER, self._region) + len(COUNTER)
        step = bytes(text[numbers_at : text.find(b"(", numbers_at)])
        numbers_at = self._leap_iterations(numbers_at, step)
        loop_end = text.find(SCF_END, numbers_at)
        if loop_end < 0 or text.find(TABLE, numbers_at, loop_end) >= 0:
            return
        if text.find(self._token, numbers_at, loop_end) >= 0 and not self._count_iterations(numbers_at, loop_end, step):
            return
        table = self._frames.usual.table_after(text, loop_end + len(SCF_END), len(text))
        self._search = loop_end if table is None else table.end

    def _leap_iterations(self, numbers_at: int, step: bytes) -> int:
        """Go on to counter lines as far apart as in earlier steps; returns where the last one's numbers are.

        The text of an electronic iteration is as long in every ionic step, so most of them need not be searched.
        """
        text, counter, known, line = self._window.text, self._counter, self._iteration_bytes, self._token + step
        at, iteration = numbers_at - len(self._token), counter.iteration
        while (n_bytes := known.get(iteration, 0)) and text.startswith(line + _ITERATIONS[iteration], at + n_bytes):
            at, iteration = at + n_bytes, iteration + 1
        if iteration > counter.iteration:
            self._pass_iterations(iteration - counter.iteration, at + len(self._token))
        return at + len(self._token)

    def _count_iterations(self, numbers_at: int, loop_end: int, step: bytes) -> bool:
        """Go on to the last counter line before `loop_end` if they count one by one; note how far apart they are."""
        counter = self._counter
        pieces = bytes(self._window.text[numbers_at:loop_end]).split(self._token)
        wanted = [step + number for number in _ITERATIONS[counter.iteration - 1 :][: len(pieces)]]
        if [piece[: len(step) + len(_ITERATIONS[0])] for piece in pieces] != wanted:
            return False
        for piece in pieces[:-1]:
            self._iteration_bytes[counter.iteration] = n_bytes = len(piece) + len(self._token)
            self._pass_iterations(1, numbers_at := numbers_at + n_bytes)
        return True

    def _pass_iterations(self, n_iterations: int, numbers_at: int) -> None:
        """Be where the numbers of a later counter line of the same ionic step are; the text before is not needed."""
        self._counter.iteration += n_iterations
        self._region = numbers_at - len(self._token)
        self._search = numbers_at

    def _next_counter(self) -> tuple[int, int, int] | None:
        """Position, ionic step and electronic iteration of the next counter line; None at the end of the file."""
        window, text = self._window, self._window.text
        while True:
            hit = text.find(self._token, self._search)
            if hit >= 0 and (len(text) > hit + _COUNTERS_LINE_BYTES or window.exhausted):
                found = _COUNTERS.match(text, hit)
                if found is not None:
                    if self._token == COUNTER:
                        self._learn_token(hit)
                    return hit, *self._numbers(*found.groups())
                self._search = hit + 1
                continue
            if hit < 0:
                self._search = max(self._search, len(text) - len(self._token) + 1)
            self._forget_the_past()
            if hit < 0 and window.exhausted:
                return None
            window.grow()

    def _forget_the_past(self) -> None:
        if len(self._window) - self._region > _BYTES_WITHOUT_COUNTER:
            text = self._window.text
            last_table = self._window.find_last_between(TABLE, self._region, len(text))
            self._split_at_new_runs(self._region if last_table is None else last_table)
            self._collect(len(text), more_follows=True)
            self._search = max(self._search, self._region)
        self._window.drop(self._region)
        self._search -= self._region
        self._region = 0
        self._note_progress()

    def _note_progress(self) -> None:
        """What stands before the window is not needed any more: note all else that is known here."""
        state: dict[str, object] = {
            "search": self._search,
            "token": self._token.decode("ascii"),
            "counter": self._counter.memory(),
            "iteration_repeated": self._iteration_repeated,
            "step_begun": self._step_begun,
            "n_ionic_steps": self.outcome.n_ionic_steps,
            "n_energy_only": self.outcome.n_energy_only,
            "n_incomplete": self.outcome.n_incomplete,
            "thermostat": {setting.name: getattr(self._settings, setting.name) for setting in THERMOSTAT_SETTINGS},
            "frames": self._frames.memory(),
        }
        self._progress = Progress(self._window.n_dropped, self._frames.n_frames, state)

    def _go_on_at(self, bookmark: Bookmark) -> None:
        skip_to(bookmark, self.source, self._window)
        state: dict[str, Any] = bookmark.parser_state
        self._search, self._token = state["search"], state["token"].encode("ascii")
        self._counter = StepCounter(*state["counter"])
        self._iteration_repeated = state["iteration_repeated"]
        self._step_begun = state["step_begun"]
        for name in ("n_ionic_steps", "n_energy_only", "n_incomplete"):
            setattr(self.outcome, name, state[name])
        for name, value in state["thermostat"].items():
            setattr(self._settings, name, value)
        self._frames.conserves_energy = conserves_energy(self._settings)
        self._frames.recall(state["frames"])

    def _learn_token(self, hit: int) -> None:
        line_start = self._window.text.rfind(b"\n", 0, hit) + 1
        self._token = b"-" * min(hit + 1 - line_start, _LONGEST_DASHES) + COUNTER[1:]

    def _numbers(self, step: bytes, iteration: bytes) -> tuple[int, int]:
        try:
            return int(step), int(iteration)
        except ValueError:
            return self._numbers_without_digits(step, iteration)

    def _numbers_without_digits(self, step: bytes, iteration: bytes) -> tuple[int, int]:
        # Four columns are too narrow from step 10,000 on: asterisks count on from the last number.
        counter = self._counter
        number = int(iteration) if iteration.isdigit() else counter.iteration + 1
        return int(step) if step.isdigit() else counter.step + (number <= counter.iteration), number

    def _begin_step(self, at: int, step: int, iteration: int) -> None:
        counter = self._counter
        if step < counter.step:
            raise self._mixed_runs(f"the ionic counter falls from {counter.step} to {step}")
        self._iteration_repeated = step == counter.step
        if self._iteration_repeated and counter.n_frames:
            raise self._mixed_runs(f"ionic step {step} is there twice")
        if not self._iteration_repeated and step > counter.highest:
            # A force field's steps are not counted like that, and not all of them need be printed.
            n_lost = 0 if self._frames.n_ml_frames else step - counter.highest - 1
            self.outcome.n_ionic_steps += 1 + n_lost
            self.outcome.n_incomplete += n_lost
        begun = self._window.n_dropped + at
        self._step_bytes = min(begun - self._step_begun, _BYTES_WITHOUT_COUNTER)
        counter.step, counter.iteration, counter.n_frames = step, iteration, 0
        counter.highest = max(counter.highest, step)
        self._region = at
        self._step_begun = begun

    def _mixed_runs(self, sign: str) -> UnreadableFile:
        return UnreadableFile(
            f"{self.source.name}: {sign} within one run, so two VASP processes wrote into this file at once.",
            "No block of it can be trusted: run VASP again in a directory of its own.",
        )

    def _split_at_new_runs(self, end: int) -> None:
        """Close the run at hand where the head of another one, appended to the same file, stands before `end`."""
        while self._counter.highest:
            new_run = self._window.find_between(_NEW_RUN, self._region + 1, end)
            if new_run is None or self._window.find_between(TYPES_LINE, new_run, end) is None:
                return
            self._close_step(new_run, at_end=True)
            self._begin_segment(new_run, end)

    def _begin_segment(self, start: int, end: int) -> None:
        counter, text = self._counter, self._window.text
        if end < len(text) or text.find(TABLE, start, end) >= 0:  # or this run was killed while it was starting
            self._frames.head = self._head_of_same_settings(start, end)
        counter.segment += 1
        counter.step = counter.iteration = counter.highest = counter.n_frames = 0
        self._region = start

    def _head_of_same_settings(self, start: int, end: int) -> OutcarHead:
        known, head = self._frames.head, read_head(bytes(self._window.text[start:end]), self.source.name)
        differences = differing_settings(known.settings, head.settings)
        if head.atomic_numbers.tolist() != known.atomic_numbers.tolist():
            differences.insert(
                0, f"different atoms, {len(known.atomic_numbers)} and {len(head.atomic_numbers)} of them"
            )
        if differences:
            line_start = self._window.n_dropped + start + 1
            raise UnreadableFile(
                f"{self.source.name}: the file holds runs with different settings ({'; '.join(differences)}).",
                f"Split its text after {line_start} bytes, where a line with ' vasp.' begins, and ingest the parts.",
            )
        if head.settings != known.settings:
            self.outcome.notes.append(
                f"Run {self._counter.segment + 2} in this file was done with settings that differ, but leave energies "
                "and times comparable."
            )
        return head

    def _collect(self, end: int, *, more_follows: bool) -> None:
        text, counter = self._window.text, self._counter
        if self._frames.n_frames == 0:
            take_thermostat(self._settings, bytes(text[self._region : end]))
            self._frames.conserves_energy = conserves_energy(self._settings)
        highest_before = counter.highest
        begun = self._step_begun - self._window.n_dropped
        self._frames.has_hole = self._window.has_hole(min(begun, self._region), end)
        self._region = self._frames.collect(text, self._region, end, counter, more_follows=more_follows)
        self.outcome.n_ionic_steps += counter.highest - highest_before

    def _close_step(self, end: int, *, at_end: bool) -> None:
        text, counter, start = self._window.text, self._counter, self._region
        self._collect(end, more_follows=False)
        if self._iteration_repeated and counter.n_frames > 1:
            raise self._mixed_runs(f"ionic step {counter.step} is there twice")
        if counter.step == 0 or counter.n_frames:
            return
        # Up to VASP 5.2.2 the forces follow the energy: at the end of a cut file they may just be missing.
        must_be_energy_only = not at_end or self._frames.head.settings.nwrite == 0
        if must_be_energy_only and energies_between(text, start, end, machine_learned=False) is not None:
            self.outcome.n_energy_only += 1
        else:
            self.outcome.n_incomplete += 1

    def _finish(self) -> None:
        """Say how the reading ended; refuse a file without frames."""
        outcome, frames, name = self.outcome, self._frames, self.source.name
        footer = self._window.find_between(FOOTER, self._region, len(self._window))
        outcome.complete = footer is not None and self.source.damage is None
        outcome.n_energy_only += frames.n_ml_energy_only
        if not frames.n_frames:
            raise self._no_frames()
        if self._window.holes:
            outcome.complete = False
            outcome.notes.append(LOST_TEXT)
        if self.source.damage is not None:
            outcome.notes.append(f"{self.source.damage[0].upper()}{self.source.damage[1:]}.")
        if outcome.n_energy_only:
            outcome.notes.append(
                f"{outcome.n_energy_only} steps have an energy but no positions or forces (NWRITE = 0); "
                "the vasprun.xml of the run has them all."
            )
        if frames.n_ml_frames:
            outcome.notes.append(f"{frames.n_ml_frames} frames come from a machine-learned force field.")
        self._settle_ensemble()
        outcome.notes.extend(settings_notes(self._settings, self.header.ensemble))
        if self._counter.segment:
            outcome.notes.append(f"{name} holds {self._counter.segment + 1} runs, one after the other.")

    def _settle_ensemble(self) -> None:
        settings = self._settings
        ensemble = ensemble_of(settings)
        if ensemble == "unknown" and settings.is_molecular_dynamics:
            ensemble = "npt" if self._frames.cell_moved else fixed_cell_ensemble(settings)
        target = temperature_target_k(settings, ensemble)
        self.header = replace(self.header, ensemble=ensemble, temperature_target_k=target)

    def _no_frames(self) -> UnreadableFile:
        if self._counter.step == 0:
            reason = "VASP stopped before the first electronic step"
        elif self.outcome.n_energy_only:
            reason = f"{self.outcome.n_energy_only} steps have an energy but none has positions and forces (NWRITE = 0)"
        else:
            reason = "VASP was killed before the first ionic step finished"
        return UnreadableFile(f"{self.source.name}: {reason}, so the file holds no frame.", _RUN_AGAIN)
