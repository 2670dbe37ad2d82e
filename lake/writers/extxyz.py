"""Frames as extended XYZ, every number in the shortest form that reads back as the same float64.

ASE's own writer rounds to 8 decimals. Which frames are written belongs to the verb `export`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.writers.exported import ExportedFrames, Fact, exported_frames
from schemas.elements import SYMBOLS
from schemas.frames import Floats

_COLUMNS = {
    "forces_ev_per_angstrom": "forces",
    "magnetic_moments_mu_b": "magmoms",
    "velocities_angstrom_per_fs": "velo",
}
"""Ours, and the file's. ASE knows momenta only, which would not read back as the same velocities."""
_SYMBOLS = pa.array(SYMBOLS)


def extxyz_pieces(batch: pa.RecordBatch, run: Mapping[str, Any]) -> Iterator[bytes]:
    """Text of a run's frames, in order; `batch` has `EXPORTED_COLUMNS`."""
    for frames in exported_frames(batch, run):
        stresses = frames.stress_ev_per_angstrom3
        n_atoms = frames.positions_angstrom.shape[1]
        for number, atoms in enumerate(_atom_lines(frames)):
            yield f"{n_atoms}\n{_comment(frames, number, stresses[number])}\n{atoms}\n".encode()


def _atom_lines(frames: ExportedFrames) -> list[str]:
    n_frames, n_atoms = frames.atomic_numbers.shape
    numbers = np.concatenate([frames.positions_angstrom, *frames.per_atom.values()], axis=2)
    texts = pc.cast(pa.array(numbers.reshape(-1)), pa.string())
    lines = pc.binary_join(_lists_of(texts, numbers.shape[2]), " ")
    species = pc.take(_SYMBOLS, pa.array(frames.atomic_numbers.reshape(-1)))
    whole = pc.binary_join(_lists_of(pc.binary_join_element_wise(species, lines, " "), n_atoms), "\n")
    joined: list[str] = whole.to_pylist()
    return joined if n_atoms else [""] * n_frames


def _lists_of(values: pa.Array, length: int) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(np.arange(0, len(values) + 1, length, dtype=np.int32)), values)


def _comment(frames: ExportedFrames, number: int, stress: Floats) -> str:
    properties = "".join(f":{_COLUMNS[name]}:R:{values.shape[2]}" for name, values in frames.per_atom.items())
    virial = frames.virial_ev[number]
    matrices = {"Lattice": frames.cell_angstrom[number]}
    if np.isfinite(virial).all():
        matrices |= {"virial": virial} | ({"stress": stress} if np.isfinite(stress).all() else {})
    pairs = [f'{name}="{" ".join(map(repr, matrix.reshape(-1).tolist()))}"' for name, matrix in matrices.items()]
    pairs.append(f"Properties=species:S:1:pos:R:3{properties}")
    pairs += [f"{name}={_text(value)}" for name, value in (frames.energies[number] | frames.facts[number]).items()]
    return " ".join([*pairs, 'pbc="T T T"'])


def _text(value: Fact) -> str:
    if isinstance(value, bool):
        return "T" if value else "F"
    if not isinstance(value, str):
        return repr(value)
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    # A name such as 123456789012 would be taken for a number; ASE's own mark for "this is text" prevents it.
    return f'"_JSON \\"{quoted}\\""' if _looks_like_a_number(value) else f'"{quoted}"'


def _looks_like_a_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
