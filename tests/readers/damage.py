"""Small files of every format, what happens to files, and what a reader may still say of them afterwards."""

import dataclasses
import gzip
import random
import re
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from lake.readers import open_run
from schemas.frames import FrameBatch, ReadingOutcome
from tests.readers.conftest import REFERENCE

ARRAYS = tuple(field.name for field in dataclasses.fields(FrameBatch) if field.name != "faults")
_PLACE = {"ionic_step", "segment"}
_MAY_BE_LOST = {
    *("temperature_k", "conserved_energy_ev", "printed_pressure_kbar"),
    *("energy_sigma0_ev", "energy_without_entropy_ev"),
}
"""Never trained on: NaN says that they are not in the file."""
_UNKNOWN = {"scf_steps": "-1", "scf_verdict": "unknown"}

_NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?")
_WORD = re.compile(rb"[^\s<>=\"',;()]+")
_LATTICE = 'Lattice="4.0 0.5 0.0 0.0 4.1 0.25 -0.5 0.0 4.2"'
_ATOMS = ("Al", "Al", "Cu", "Ni")


@dataclass(frozen=True)
class Reading:
    """All frames of a file."""

    frames: list[dict[str, np.ndarray | None]]
    faults: list[tuple[str, ...]]
    outcome: ReadingOutcome
    seconds: float

    def key(self, index: int) -> tuple[str, ...]:
        """What tells a frame from all others of its file."""
        return tuple(str(self.frames[index][name]) for name in ("segment", "ionic_step", "label_source"))


def read(path: Path, content: bytes) -> Reading:
    """Read a file through the public door; a warning is an error."""
    path.write_bytes(content)
    started = time.perf_counter()
    with warnings.catch_warnings(), open_run(path) as reader:
        warnings.simplefilter("error")
        return reading_of(list(reader.batches()), reader.outcome, time.perf_counter() - started)


def reading_of(batches: Sequence[FrameBatch], outcome: ReadingOutcome, seconds: float = 0.0) -> Reading:
    places = [(batch, index) for batch in batches for index in range(batch.n_frames)]
    frames = [{name: _at(getattr(batch, name), index) for name in ARRAYS} for batch, index in places]
    faults = [fault for batch in batches for fault in batch.faults]
    return Reading(frames, faults, dataclasses.replace(outcome, notes=list(outcome.notes)), seconds)


def _at(array: np.ndarray | None, index: int) -> np.ndarray | None:
    return None if array is None else np.array(array[index])


def same(one: Reading, other: Reading) -> bool:
    """Whether every bit of every frame is the same, and so is what is said about the file."""
    return (
        [[_bits(value) for value in frame.values()] for frame in one.frames]
        == [[_bits(value) for value in frame.values()] for frame in other.frames]
        and one.faults == other.faults
        and one.outcome == other.outcome
    )


def wrong_frames(whole: Reading, found: Reading) -> list[str]:
    """Frames that differ from the sound file's and are not flagged, and frames that vanished without a word."""
    known = {whole.key(index): index for index in range(len(whole.frames))}
    contents = {_content(frame) for frame in whole.frames}
    told = tells_of_damage(whole, found)
    problems = [] if len(found.frames) >= len(whole.frames) or told else ["frames vanished without a word"]
    for index, frame in enumerate(found.frames):
        place = known.get(found.key(index))
        if set(found.faults[index]) - set(() if place is None else whole.faults[place]):
            continue
        differences = ["not in the sound file"] if place is None else _differences(whole.frames[place], frame)
        # Where a file has no counter, a step that was lost moves the numbers of those behind it.
        if differences and not (told and _content(frame) in contents):
            problems.append(f"{found.key(index)}: {differences}")
    return problems


def tells_of_damage(whole: Reading, found: Reading) -> bool:
    one, other = whole.outcome, found.outcome
    return (
        one.complete > other.complete
        or other.n_incomplete > one.n_incomplete
        or other.n_energy_only > one.n_energy_only
        or len(other.notes) > len(one.notes)
        or any(set(faults) - {"energy_kind_unknown", "energy_and_forces_zero"} for faults in found.faults)
    )


def _differences(sound: dict[str, np.ndarray | None], found: dict[str, np.ndarray | None]) -> list[str]:
    return [name for name in ARRAYS if _bits(sound[name]) != _bits(found[name]) and not _is_lost(name, found[name])]


def _is_lost(name: str, value: np.ndarray | None) -> bool:
    if name in _MAY_BE_LOST:
        return value is None or bool(np.isnan(value).all())
    return name in _UNKNOWN and str(value) == _UNKNOWN[name]


def _content(frame: dict[str, np.ndarray | None]) -> tuple[object, ...]:
    return tuple(_bits(value) for name, value in frame.items() if name not in _PLACE)


def _bits(value: np.ndarray | None) -> object:
    return None if value is None else str(value) if value.dtype.kind == "U" else value.tobytes()


def is_another_number(sound: bytes, damaged: bytes, at: int) -> bool:
    """Whether one changed byte made numbers of numbers, or letters of a name, which nobody can see in one file."""
    start = sound.rfind(b"\n", 0, at) + 1
    end = sound.find(b"\n", at)
    if b"\n" in {sound[at : at + 1], damaged[at : at + 1]}:
        return False
    lines = (sound[start : end if end >= 0 else None], damaged[start : end if end >= 0 else None])
    words = [_WORD.findall(line) for line in lines]
    if len(words[0]) != len(words[1]):
        return False
    changed = [pair for pair in zip(*words, strict=True) if pair[0] != pair[1]]
    return all(_n_numbers(one) == _n_numbers(other) > 0 or _are_names(one, other) for one, other in changed)


def _n_numbers(word: bytes) -> int:
    """How many numbers, which may touch, a word is made of; 0 if it holds anything else."""
    numbers = _NUMBER.findall(word)
    return len(numbers) if b"".join(numbers) == word else 0


def _are_names(one: bytes, other: bytes) -> bool:
    """An element, or the name of a run: what they are is said once in a file."""
    is_name = re.compile(rb"[A-Z][a-z]?|[0-9a-f]{4,}")
    return is_name.fullmatch(one) is not None and re.fullmatch(rb"[!-~]+", other) is not None


@cache
def sound_file(name: str) -> bytes:
    """A small sound file: the beginning of one of the reference set, or made of random numbers."""
    if name in _MADE:
        numbers = random.Random(5)
        return "".join(_MADE[name](step, numbers) for step in range(1, 7)).encode()
    path, n_steps = _CUT[name]
    raw = (REFERENCE / path).read_bytes()
    content = gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
    if name.startswith("outcar"):
        return _two_runs(content) if name == "outcar, two runs" else _first_steps(content, n_steps)
    return _MIDDLE_LEFT_OUT[path.split("/")[1]](content, n_steps) if n_steps else content


def _first_steps(content: bytes, n_steps: int) -> bytes:
    starts = [found.start() for found in re.finditer(rb"\n[^\n]*Iteration +\d+\( +1\)", content)]
    footer = content.rfind(b"\n", 0, content.rfind(b"General timing"))
    return content if len(starts) <= n_steps else content[: starts[n_steps]] + content[footer:]


def _two_runs(content: bytes) -> bytes:
    return 2 * _first_steps(content, 3)


def _first_calculations(content: bytes, n_steps: int) -> bytes:
    steps = content.split(b"<calculation>")
    end = steps[-1][steps[-1].index(b"</calculation>") + len(b"</calculation>") :]
    return b"<calculation>".join(steps[: n_steps + 1]) + end


def _first_configurations(content: bytes, n_steps: int) -> bytes:
    title = b"*" * 50 + b"\n     Configuration num."
    return title.join(content.split(title)[: n_steps + 1]).replace(b"     43\n", b"%7d\n" % n_steps, 1)


_MIDDLE_LEFT_OUT = {
    "vasprun.xml": _first_calculations,
    "vasprun.xml.gz": _first_calculations,
    "ML_AB": _first_configurations,
}
_CUT: dict[str, tuple[str, int]] = {
    "outcar": ("h2o-md10/OUTCAR", 4),
    "outcar, npt": ("lips84-npt-langevin/OUTCAR", 3),
    "outcar, old order": ("ag32h-v522/OUTCAR", 1),
    "outcar, nwrite 0": ("ti32-aimd-nwrite0/OUTCAR", 10),
    "outcar, force field": ("ch4-mlff/OUTCAR", 99),
    "outcar, nine columns": ("ge8-vdw/OUTCAR", 1),
    "outcar, two runs": ("h2o-md10/OUTCAR", 3),
    "vasprun": ("h2o-md10/vasprun.xml", 5),
    "vasprun, 5.4.1": ("cu1-relax-v541/vasprun.xml.gz", 5),
    "vasprun, 6.3": ("ti32-aimd-nwrite0/vasprun.xml", 4),
    "xdatcar, 4": ("xdatcar-v4/XDATCAR", 0),
    "xdatcar, 5": ("xdatcar-v5/XDATCAR", 0),
    "xdatcar, cell moves": ("xdatcar-v6-varcell/XDATCAR", 0),
    "ml_ab": ("h2-mlab/ML_AB", 8),
    "vaspout_h5": ("ti32-md-h5-derived/vaspout.h5", 0),
}


def _ours(step: int, numbers: random.Random) -> str:
    return (
        f"4\n{_LATTICE} Properties=species:S:1:pos:R:3:forces:R:3 run_id=3fa2 ionic_step={step} time_fs={2.0 * step} "
        f'energy={_some(1, numbers)} free_energy={_some(1, numbers)} virial="{_some(9, numbers)}" label_source=dft '
        f"temperature_k=1673.5\n" + "".join(f"{name} {_some(6, numbers)}\n" for name in _ATOMS)
    )


def _of_mace(_step: int, numbers: random.Random) -> str:
    return (
        f"4\n{_LATTICE} Properties=species:S:1:pos:R:3:REF_forces:R:3 REF_energy={_some(1, numbers)} "
        f'config_type=melt REF_stress="{_some(9, numbers)}" pbc="T T T"\n'
        + "".join(f"{name} {_some(6, numbers)}\n" for name in _ATOMS)
    )


def _dump(step: int, numbers: random.Random) -> str:
    return (
        f"ITEM: TIME\n{0.1 * step:g}\nITEM: TIMESTEP\n{100 * step}\nITEM: NUMBER OF ATOMS\n4\n"
        "ITEM: BOX BOUNDS xy xz yz pp pp pp\n-1.5 11.0 2.0\n-0.75 8.0 -0.5\n0.0 5.0 -0.75\n"
        "ITEM: ATOMS id element x y z ix iy iz vx vy vz fx fy fz\n"
        + "".join(f"{row} {name} {_some(3, numbers)} 0 -1 1 {_some(6, numbers)}\n" for row, name in enumerate(_ATOMS))
    )


def _some(n_numbers: int, numbers: random.Random) -> str:
    return " ".join(f"{numbers.uniform(-5, 5):.6f}" for _ in range(n_numbers))


_MADE = {"extxyz": _ours, "extxyz of MACE": _of_mace, "lammps_dump": _dump}
TEXTS = tuple(name for name in (*_CUT, *_MADE) if name != "vaspout_h5")
_TOKENS = re.compile(
    rb"[^\n]*(?:Iteration|POSITION  |direct lattice|in kB|free  energy|ML TOTEN|energy  without|EKIN_LAT|aborting|"
    rb"ETOTAL|external pressure|NIONS|ions per type|TITEL|POTIM|NELM|ISIF|EDIFF|vasp\.|calculation|structure|varray|"
    rb"energy|scstep|version|<rc>|configuration=|Configuration|stress|Stress|Lattice|ITEM)[^\n]*\n(?:[^\n]*\n){0,3}"
)


@cache
def read_places(name: str) -> list[int]:
    """Bytes of a file that a reader looks at, and as many as those: most of an OUTCAR is never looked at."""
    content = sound_file(name)
    places = [at for found in _TOKENS.finditer(content) for at in range(*found.span())]
    return places[:: max(len(places) // 20_000, 1)] or list(range(len(content)))
