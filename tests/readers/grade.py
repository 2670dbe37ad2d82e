"""Grades the readers against the reference set: `check_index.py FOLDER grade:read`, with this folder on PYTHONPATH."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lake.readers import open_run
from schemas.elements import SYMBOLS
from schemas.frames import FrameBatch

READ = ("outcar", "vasprun", "vaspout_h5", "ml_ab", "xdatcar")
_TOLERANCES = {"TOTEN": 2e-6, "E0_last": 2e-6, "volume": 1e-4}


def read(path: str | Path, fmt: str) -> Mapping[str, object]:
    """What `check_index.py` compares, of one reference file."""
    if fmt not in READ:
        raise ValueError(f"{path}: {fmt} is no output of VASP, so there is nothing to grade")
    reader = open_run(path)
    batches = list(reader.batches())
    if fmt == "xdatcar":
        return _of_positions(batches, reader.header.n_atoms)
    answers = _first_and_last([batch for batch in batches if (batch.label_source == "dft").any()])
    numbers = reader.header.atomic_numbers.tolist()
    answers |= {
        "n_ml_frames": sum(int((batch.label_source == "vasp_mlff").sum()) for batch in batches),
        "natoms": len(numbers),
    }
    starts = [index for index in range(len(numbers)) if index == 0 or numbers[index] != numbers[index - 1]]
    if len(starts) == len(reader.header.level_of_theory.potcar_titles):
        # Neighbouring POTCAR entries of one element cannot be told apart by a header, which names atoms only.
        ends = [*starts[1:], len(numbers)]
        answers["elements"] = [SYMBOLS[numbers[start]] for start in starts]
        answers["counts"] = [end - start for start, end in zip(starts, ends, strict=True)]
    return answers


def truth_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What is right for a file. The index marks by hand where a line scanner was misled or a file is damaged."""
    by_hand = entry.get("expected", {}).get("manual") or {}
    n_frames = [by_hand[key] for key in ("n_frames_full", "n_frames_salvageable") if key in by_hand]
    return (entry.get("truth") or {}) | ({"n_frames_complete": n_frames[0]} if n_frames else {})


def differences(found: Mapping[str, Any], truth: Mapping[str, Any]) -> Iterator[str]:
    """Sentences about every number that differs from its truth by more than the printed decimals explain."""
    for key in sorted(found.keys() & {key for key, value in truth.items() if value is not None}):
        if key == "sum_force_norm":
            # An OUTCAR prints six decimals of a force.
            tolerance = max(1e-3, 5e-6 * truth["n_frames_complete"] * (truth.get("natoms") or 1))
        elif key.startswith("virial"):
            tolerance = 1e-4 * max(1, *map(abs, truth[key]))
        else:
            tolerance = next((value for name, value in _TOLERANCES.items() if key.startswith(name)), None)
        if tolerance is None:
            same = found[key] == truth[key]
        else:
            same = np.allclose(found[key], truth[key], rtol=0, atol=tolerance)
        if not same:
            yield f"{key}: found {found[key]}, told {truth[key]}"


def _of_positions(batches: list[FrameBatch], n_atoms: int) -> dict[str, object]:
    """Of a file without labels: how many frames, how many atoms, how large."""
    volumes = np.abs(np.linalg.det(np.concatenate([batch.cell_angstrom for batch in batches])))
    ends = {"volume_first": volumes[0], "volume_last": volumes[-1]}
    return {"n_frames_complete": len(volumes), "natoms": n_atoms, **ends}


def _first_and_last(batches: list[FrameBatch]) -> dict[str, object]:
    """Sums and end points over the complete ab initio frames."""
    if not batches:
        return {"n_frames_complete": 0}
    dft = [batch.label_source == "dft" for batch in batches]
    energies = np.concatenate([batch.energy_ev[keep] for batch, keep in zip(batches, dft, strict=True)])
    sigma0 = np.concatenate([batch.energy_sigma0_ev[keep] for batch, keep in zip(batches, dft, strict=True)])
    forces = np.concatenate([batch.forces_ev_per_angstrom[keep] for batch, keep in zip(batches, dft, strict=True)])
    cells = np.concatenate([batch.cell_angstrom[keep] for batch, keep in zip(batches, dft, strict=True)])
    virials = np.concatenate([batch.virial_ev[keep] for batch, keep in zip(batches, dft, strict=True)])
    volumes = np.abs(np.linalg.det(cells))
    spoiled = ~np.isfinite(forces).all(axis=(1, 2))
    answers: dict[str, object] = {
        "n_frames_complete": len(energies),
        "TOTEN_first": energies[0],
        "TOTEN_last": energies[-1],
        "E0_last": sigma0[-1],
        "volume_first": volumes[0],
        "volume_last": volumes[-1],
        "nonfinite_frames": np.flatnonzero(spoiled).tolist(),
    }
    if not spoiled.any():
        # The reference sums the readable vectors of a damaged frame; we flag the frame as a whole.
        answers["sum_force_norm"] = float(np.linalg.norm(forces, axis=2).sum())
    for place, virial in (("first", virials[0]), ("last", virials[-1])):
        if np.isfinite(virial).all():
            answers[f"virial_eV_{place}"] = [virial[at] for at in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))]
    return answers
