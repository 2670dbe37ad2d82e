"""The verb `potential export`: a potential as a folder that others can use and check without meltlake."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lake.deep_potential import DeepPotential
from lake.delta import Lake
from lake.lammps_data import write_lammps_data
from lake.outputs import whole_folder
from lake.parquet import flush_to_disk
from operators.log import log
from operators.potentials import exported
from operators.potentials.card import bring_card_up_to_date, card_text
from operators.potentials.committee import committee_of
from operators.potentials.export_texts import LAMMPS_INPUT, LAMMPS_START, lammps_example, readme
from operators.potentials.judged_frames import JudgedFrames, frame_names, judged_frames
from operators.potentials.model_file import model_file
from operators.potentials.named import potential_named, require_trained_here
from schemas.composition import atomic_numbers_of
from schemas.elements import SYMBOLS, masses_amu
from schemas.model_card import FILE_NAME, ModelCard
from schemas.settings import Settings

PROGRAMS = ("verify.py", "ase_example.py")
REFERENCE, CHECKSUMS, README = "reference.npz", "SHA256SUMS", "README.md"
TOLERANCES = {"energy_ev_per_atom": 1e-6, "force_ev_per_angstrom": 1e-5, "virial_ev_per_atom": 1e-6}
"""Differences from the stored predictions that `verify.py` allows: far below any potential's error, and far above what
another processor does to numbers of 64 bits."""

_PREFERRED = ("test", "held_out", "train")

Row = Mapping[str, Any]


def potential_export(settings: Settings, potential_id: str, out: str, *, overwrite: bool = False) -> dict[str, object]:
    """Write a folder with the model, its card, a page, examples, and a program that verifies all of it.

    Raises
    ------
    MeltlakeError
        If there is no such potential, it is not a DeePMD model, its files are gone, or `out` cannot be written.
    """
    lake, target = Lake(settings.lake), Path(out).absolute()
    potential = potential_named(lake, potential_id)
    require_trained_here(potential, "its card")
    model = model_file(settings, potential)
    card = bring_card_up_to_date(settings, potential, committee=committee_of(lake, potential_id))
    card = card.model_copy(update={"model": card.model.model_copy(update={"name": f"potential{model.suffix}"})})
    frames = _reference_frames(settings, lake, card)
    with whole_folder(target, overwrite=overwrite, marker=FILE_NAME) as unfinished:
        shutil.copyfile(model, unfinished / card.model.name)
        (unfinished / FILE_NAME).write_text(card_text(card))
        _write_reference(unfinished / REFERENCE, frames, DeepPotential(model))
        _write_start(unfinished / LAMMPS_START, next(iter(frames.values())), card)
        (unfinished / LAMMPS_INPUT).write_text(lammps_example(card))
        (unfinished / README).write_text(readme(card, frames=list(frames), tolerances=TOLERANCES))
        for name in PROGRAMS:
            shutil.copyfile(Path(exported.__file__).with_name(name), unfinished / name)
        _write_checksums(unfinished)
        flush_to_disk(*unfinished.iterdir(), unfinished)
    log.info("potential export", potential_id=potential_id, path=str(target), observed=card.observed)
    return {
        "potential_id": potential_id,
        "path": str(target),
        "sha256": card.model.sha256,
        "observed": card.observed,
        "synthetic": card.synthetic,
        "reference_frames": list(frames),
    }


def _reference_frames(settings: Settings, lake: Lake, card: ModelCard) -> dict[str, JudgedFrames]:
    """One frame of each composition, by a name that tells where it is from; the one with most elements comes first."""
    training_set_id = card.data.training_set_id
    names = frame_names(lake, training_set_id)
    folder = settings.artifacts / "training_sets" / training_set_id
    found: dict[str, JudgedFrames] = {}
    for split in _PREFERRED:
        for some in judged_frames(folder, names, split=split):
            found.setdefault(some.composition, some.first)
    several = sorted(found.values(), key=lambda one: (-len(np.unique(one.atomic_numbers)), one.composition))
    return {f"{one.composition}-{one.run_id}-{one.frames[0]}": one for one in several}


def _write_reference(path: Path, frames: Mapping[str, JudgedFrames], potential: DeepPotential) -> None:
    arrays: dict[str, Any] = {"frames": np.array(list(frames))}
    arrays |= {f"tolerance_{what}": np.array(value) for what, value in TOLERANCES.items()}
    for name, some in frames.items():
        energy, forces, virial = some.predicted_by(potential)
        types = [potential.type_map.index(SYMBOLS[number]) for number in some.atomic_numbers]
        arrays |= {
            f"{name}/types": np.array(types),
            f"{name}/positions": some.positions_angstrom[0],
            f"{name}/cell": some.cell_angstrom[0],
            f"{name}/energy": energy[0],
            f"{name}/forces": forces[0],
            f"{name}/virial": virial[0],
        }
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _write_start(path: Path, some: JudgedFrames, card: ModelCard) -> None:
    type_map = card.neighbours.type_map
    types = np.array([type_map.index(SYMBOLS[number]) + 1 for number in some.atomic_numbers])
    masses = masses_amu(atomic_numbers_of(type_map)).tolist()
    write_lammps_data(path, some.cell_angstrom[0], some.positions_angstrom[0], types=types, masses_amu=masses)


def _write_checksums(folder: Path) -> None:
    """In the format of `sha256sum`, of every file but itself."""
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / CHECKSUMS).write_text("".join(lines))
