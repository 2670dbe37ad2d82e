"""Where dpdata, ASE, pymatgen and py4vasp read the reference set as we do, and where not, as text.

By hand, where all four are installed: `python -m tests.readers.peers > docs/vasp-peers.md`.
"""

import gzip
import json
import lzma
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np

from tests.readers.peer_readers import PEERS, SECONDS, THROUGH_EXTXYZ, Invariants, apart, ours
from tests.readers.peer_verdicts import WHY
from tests.readers.support import REFERENCE

_LIBRARIES = ("dpdata", "ase", "pymatgen", "py4vasp")
_WARM = ("dpdata", "ase.io", "pymatgen.io.vasp", "pymatgen.io.vasp.outputs", "py4vasp")
_COMPARED = ("energy", "force", "virial", "volume")
_SEPARATELY = "usual"
_TOLERANCES = {"energy": 2e-6, "usual": 2e-6, "force": 1e-4, "virial": 1e-4, "volume": 1e-4}
_RELATIVE = 1e-6


@dataclass(frozen=True, slots=True)
class Comparison:
    """One file, read by one peer and by us."""

    file: str
    format: str
    peer: str
    theirs: Invariants | str
    ours: Invariants | str

    @property
    def they_say(self) -> str:
        """What the peer says otherwise; empty where it agrees."""
        if isinstance(self.theirs, str):
            return "" if isinstance(self.ours, str) else f"raises {_short(self.theirs)}"
        n_theirs = len(self.theirs["volume"])
        if isinstance(self.ours, str):
            return f"{_frames(n_theirs)} without energy and forces" if n_theirs else ""
        own = _selected(self.theirs, self.ours)
        wrong = [name for name in _COMPARED if name in self.theirs and not _same(name, self.theirs, own)]
        missing = [name for name in _COMPARED if name not in self.theirs and np.isfinite(own[name]).any()]
        few = [_frames(n_theirs)] if n_theirs != self.n_ours else []
        if few or wrong or missing:
            return ", ".join([*few, *(f"another {name}" for name in wrong), *(f"no {name}" for name in missing)])
        spoiled = np.flatnonzero(~np.isfinite(self.theirs.get("force", []))) + 1
        return f"{_frames(n_theirs)}, NaN forces in number {spoiled[0]} without a word" if len(spoiled) else ""

    @property
    def we_say(self) -> str:
        if isinstance(self.ours, str):
            return "refused: no frame"
        spoiled = int((~np.isfinite(self.ours["force"])).sum()) if self.format != "xdatcar" else 0
        return _frames(self.n_ours) + (f", {spoiled} of them flagged" if spoiled else "")

    @property
    def n_ours(self) -> int:
        return 0 if isinstance(self.ours, str) else len(self.ours["volume"])


def _selected(theirs: Invariants, own: Invariants) -> Invariants:
    """Those of our frames that a peer has as well: each of its frames is looked for behind the one before."""
    name = "energy" if "energy" in theirs else "volume"
    kept: list[int] = []
    for value in theirs[name]:
        rest = range(kept[-1] + 1 if kept else 0, len(own[name]))
        kept.append(next((at for at in rest if abs(own[name][at] - value) < _TOLERANCES[name]), len(own[name]) - 1))
    return {key: [values[at] for at in kept] for key, values in own.items()}


def _frames(n: int) -> str:
    return "1 frame" if n == 1 else f"{n} frames"


def _short(error: str) -> str:
    """The kind of an error and the start of its first line, without paths."""
    kind, _, message = error.splitlines()[0].partition(": ")
    return f"`{kind}` ({re.sub(r'/[^ ]*/', '', message)[:60].rstrip(' .')})" if message else f"`{kind}`"


def _same(name: str, theirs: Invariants, own: Invariants) -> bool:
    reference = own["sigma0"] if name == _SEPARATELY else own[name]
    return np.allclose(theirs[name], reference, rtol=_RELATIVE, atol=_TOLERANCES[name], equal_nan=True)


def comparisons(reference: Path) -> Iterator[Comparison]:
    """Every file with every peer that claims its format. Compressed files are unpacked first, where they can be."""
    for module in _WARM:
        import_module(module)  # once, before the processes are forked
    with tempfile.TemporaryDirectory() as folder:
        for entry in json.loads((reference / "index.json").read_text())["files"]:
            path = _unpacked(reference / entry["file"], Path(folder) / entry["id"])
            if peers := PEERS.get(entry["format"]):
                own = apart(ours, path)
                ase_agrees = True
                for peer, read in peers.items():
                    if peer == THROUGH_EXTXYZ and not ase_agrees:
                        continue  # it could only say the same once more
                    made = Comparison(entry["file"], entry["format"], peer, apart(read, path), own)
                    ase_agrees = peer != "ASE" or not made.they_say
                    yield made


def _unpacked(path: Path, folder: Path) -> Path:
    if path.suffix not in {".gz", ".xz"}:
        return path
    folder.mkdir(parents=True)
    try:
        with (gzip if path.suffix == ".gz" else lzma).open(path) as packed:
            (folder / path.stem).write_bytes(packed.read())
    except EOFError:
        return path
    return folder / path.stem


def document(made: list[Comparison]) -> str:
    """The whole page."""
    return "\n".join([*_head(made), *_agreements(made), *_energies(made), *_disagreements(made)]) + "\n"


def _head(made: list[Comparison]) -> Iterator[str]:
    names = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    yield "# The same files, read by others\n"
    yield (
        f"Made by hand with `python -m tests.readers.peers`: {names}. Every file of the reference set of 96 public "
        f"files is read by each of them that claims its format ({len({one.file for one in made})} files; no peer reads "
        f"an ML_AB), in a process of its own, {SECONDS} s at most, and compared with our DFT frames by what a rotation "
        "of the cell leaves alone: number of frames, free energy (2e-6 eV), sum of the forces' norms (1e-4 "
        "eV/angstrom), trace of the virial (1e-4 eV) and volume (1e-4 angstrom^3), the last three to 1e-6 where they "
        "are large. A peer that gives fewer frames is compared on those. ASE's own frames are also written as extended "
        "XYZ by it, and read by us. "
        "Compressed files were unpacked first, since dpdata opens none.\n"
    )


def _agreements(made: list[Comparison]) -> Iterator[str]:
    yield "## Agreement\n\n| format | peer | files | agree in everything | frames in these | differ | raise |"
    yield "|---|---|---|---|---|---|---|"
    groups: defaultdict[tuple[str, str], list[Comparison]] = defaultdict(list)
    for one in made:
        groups[one.format, one.peer].append(one)
    for (fmt, peer), ones in sorted(groups.items(), key=lambda group: [*PEERS].index(group[0][0])):
        agreed = [one for one in ones if not one.they_say]
        raised = sum(one.they_say.startswith("raises") for one in ones)
        differ = len(ones) - len(agreed) - raised
        frames = sum(one.n_ours for one in agreed)
        yield f"| {fmt} | {peer} | {len(ones)} | {len(agreed)} | {frames} | {differ} | {raised} |"
    n_peers = Counter(one.file for one in made)
    n_agreed = Counter(one.file for one in made if not one.they_say)
    everywhere = {file for file, n in n_peers.items() if n_agreed[file] == n}
    n_frames = sum({one.file: one.n_ours for one in made if one.file in everywhere}.values())
    yield (
        f"\nAll peers agree with us in everything on {len(everywhere)} of {len(n_peers)} files ({n_frames} frames). A "
        "file without a frame counts as agreed where a peer raises or gives none. No energy, force, virial or volume "
        "that a peer gives for a frame that we have as well differs from ours.\n"
        if not any("another" in one.they_say for one in made)
        else "\nNumbers differ: see below.\n"
    )


def _energies(made: list[Comparison]) -> Iterator[str]:
    """A peer's first call may give the extrapolated energy: right as such, wrong for training."""
    read = [
        (one, one.theirs[_SEPARATELY], one.ours)
        for one in made
        if isinstance(one.theirs, dict) and isinstance(one.ours, dict) and _SEPARATELY in one.theirs
    ]
    ase = [(one, np.abs(np.subtract(usual, own["energy"])).max()) for one, usual, own in read if one.peer == "ASE"]
    other = [one for one, _, own in read if one.peer == "ASE" and not _same(_SEPARATELY, one.theirs, own)]
    worst, most = max(ase, key=lambda pair: pair[1])
    shifted = [one.file for one, _, own in read if one.peer == "pymatgen" and not _same(_SEPARATELY, one.theirs, own)]
    yield "## Which energy\n"
    yield (
        "* ASE's `get_potential_energy()` is the energy extrapolated to zero smearing. It equals our "
        f"`energy_sigma0_ev` in {len(ase) - len(other)} of {len(ase)} files, and is up to {most:.3f} eV away from the "
        f"free energy (`{worst.file}`); forces are derivatives of the free energy, `results['free_energy']`, which "
        "equals our `energy_ev`.\n"
        "* pymatgen passes the names of an ionic step of vasprun.xml through. Before VASP 6 these are shifted, so that "
        f"its `ionic_steps[...]['e_0_energy']` is -TS instead of an energy in {len(shifted)} files: "
        f"{', '.join(f'`{name}`' for name in shifted)}. Its `e_fr_energy` is right everywhere.\n"
        "* dpdata gives the free energy, as we do.\n"
    )


def _disagreements(made: list[Comparison]) -> Iterator[str]:
    yield "## Disagreements\n\n| file | peer | it says | we say | who is right, and why |\n|---|---|---|---|---|"
    rows: defaultdict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for one in made:
        if one.they_say:
            rows[one.file, one.they_say, one.we_say, _why(one)].append(one.peer)
    for (file, they, we, why), peers in rows.items():
        yield f"| `{file}` | {'; '.join(peers)} | {they} | {we} | {why} |"


def _why(one: Comparison) -> str:
    told = f"{one.peer} {one.file}"
    return next((why for looks, why in WHY.items() if re.search(looks, told)), "not explained")


if __name__ == "__main__":
    sys.stdout.write(document(list(comparisons(REFERENCE))))
