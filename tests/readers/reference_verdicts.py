"""Reads every file of the reference set and says how it went: frames by kind, and `ok` or why it was refused."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lake.readers import open_run
from schemas.errors import UnreadableFile
from tests.readers.grade import READ, differences, read, truth_of

# Words of the index that say more than a column beside them, and what they are called here.
_CASE = {
    "aimd": "AIMD",
    "nve": "NVE",
    "nvt": "NVT",
    "npt": "NPT",
    "relax": "relaxation",
    "langevin": "Langevin",
    "mlff": "VASP's force field",
    "nwrite0": "NWRITE = 0",
    "isif0": "ISIF = 0",
    "nelm": "ends at NELM",
    "nostress": "no stress",
    "notitel": "no TITEL",
    "vdw": "vdW",
    "nan": "NaN",
    "nul": "NUL bytes",
    "crlf": "CRLF",
    "stars": "asterisks",
    "nblock": "NBLOCK = 50",
    "ultrasoft": "US potentials",
    "zero-frames": "no frame",
    "md-energy-tags": "energy tags of MD",
    "derived": "made from another file",
}
_TOLD_ELSEWHERE = {
    "vasp4",
    "vasp5.2",
    "vasp6",
    "gz",
    "xz",
    "hdf5",
    "pair",
    "bad",
    "deepmd",
    "interactive",
    "unconverged",
}
# What the index says of a file that holds no frame, as the words that the refusal must contain.
_REASONS = {
    "zero-frames": "killed before the first",
    "empty": "the file is empty",
    "hdf5": "unreadable HDF5: the file was cut",
    "json_mlearn": "JSON",
    ".npy": "NumPy array",
    "type_map.raw": "list of elements, as in the type_map.raw of DeePMD",
    ".raw": "bare numbers, as the raw files of DeePMD",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How the reading of one file of the set went."""

    file: str
    format: str
    code_version: str = ""
    case: str
    n_dft: int = 0
    n_machine_learned: int = 0
    n_without_labels: int = 0
    n_unconverged: int = 0
    """DFT frames whose electronic loop did not converge, or perhaps did not."""
    n_flagged: int = 0
    """Frames with at least one fault."""
    faults: tuple[str, ...] = ()
    refusal: str = ""
    wrong: tuple[str, ...] = ()
    """What the index tells otherwise: empty for a reader that does its duty."""

    @property
    def text(self) -> str:
        if self.wrong:
            return f"WRONG: {'; '.join(self.wrong)}"
        return f"refused: {self.refusal}" if self.refusal else "ok"


def verdicts(reference: Path) -> list[Verdict]:
    """One verdict per file of the set, in the order of its index."""
    entries = json.loads((reference / "index.json").read_text())["files"]
    return [_verdict(reference, entry) for entry in entries]


def case_of(entry: Mapping[str, Any]) -> str:
    """What the file is there for, in a few words."""
    return ", ".join(_CASE.get(tag, tag.replace("-", " ")) for tag in entry["tags"] if tag not in _TOLD_ELSEWHERE)


def _verdict(reference: Path, entry: Mapping[str, Any]) -> Verdict:
    known: dict[str, Any] = {"file": entry["file"], "format": entry["format"], "case": case_of(entry)}
    try:
        reader = open_run(reference / entry["file"])
        batches = list(reader.batches())
    except UnreadableFile as refusal:
        return _refused(entry, str(refusal), known)
    sources = np.concatenate([batch.label_source for batch in batches])
    scf = np.concatenate([batch.scf_verdict for batch in batches])
    faults = [frame for batch in batches for frame in batch.faults]
    wrong = tuple(differences(read(reference / entry["file"], entry["format"]), truth_of(entry)))
    return Verdict(
        **known,
        code_version=reader.header.code_version or "",
        n_dft=int((sources == "dft").sum()),
        n_machine_learned=int((sources == "vasp_mlff").sum()),
        n_without_labels=int((sources == "none").sum()),
        n_unconverged=int(np.isin(scf, ("unconverged", "suspect")).sum()),
        n_flagged=sum(map(bool, faults)),
        faults=tuple(sorted({code for frame in faults for code in frame})),
        wrong=wrong if entry["format"] in READ else ("a file of no VASP output was read",),
    )


def _refused(entry: Mapping[str, Any], refusal: str, known: dict[str, Any]) -> Verdict:
    """A refusal is right where the index says that there is no frame, and for that reason only."""
    problem = refusal.partition(f"{entry['file']}: ")[2].partition(". ")[0].partition(".\n")[0].rstrip(".")
    looks = next((reason for mark, reason in _REASONS.items() if _bears(entry, mark)), None)
    wrong: tuple[str, ...] = ()
    if truth_of(entry).get("n_frames_complete"):
        wrong = (f"{truth_of(entry)['n_frames_complete']} frames were not read",)
    elif looks is None or looks not in refusal:
        wrong = (f"refused for another reason than {looks}: {problem}",)
    return Verdict(**known, refusal=problem.rpartition(", but ")[2], wrong=wrong)


def _bears(entry: Mapping[str, Any], mark: str) -> bool:
    return mark in entry["tags"] or mark == entry["format"] or entry["file"].endswith(mark)
