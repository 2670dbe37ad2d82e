"""What a model file that was trained elsewhere tells of itself: elements, cutoff, neighbour slots, precision.

A model is read in a process of its own: DeePMD's libraries take memory, and seconds to load.
"""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from operators.potentials.backends import BACKENDS
from operators.processes import ProgramFailed, run
from schemas.elements import atomic_number
from schemas.errors import MeltlakeError

TABLE_SUFFIX = ".eam.alloy"
_TOLD = "told.json"
_SINGLE = {"float32", "single", "float16", "half", "bfloat16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideModel:
    """A model as its file tells it."""

    backend: str
    type_map: tuple[str, ...]
    r_cut_angstrom: float
    sel: tuple[int, ...] | None
    """Neighbour slots per element; None where the model takes any number, or does not tell."""
    precision: str


def outside_model(path: Path) -> OutsideModel:
    """Of a DeePMD model (.pb, .pth), or of a table in LAMMPS's `setfl` format (.eam.alloy).

    Raises
    ------
    MeltlakeError
        If it is neither, cannot be read, or has something that is no element.
    """
    found = _table(path) if path.name.endswith(TABLE_SUFFIX) else _deepmd(path)
    for symbol in found.type_map:
        atomic_number(symbol)
    return found


def _deepmd(path: Path) -> OutsideModel:
    backends = {backend.model_suffix: backend for backend in BACKENDS.values()}
    if path.suffix not in backends:
        raise MeltlakeError(
            f"{path}: needed a frozen model ({', '.join(backends)}) or a table (*{TABLE_SUFFIX}).",
            "Freeze the model with `dp freeze`, or give the file the ending of its format.",
        )
    backend = backends[path.suffix]
    backend.require_installed()
    with TemporaryDirectory() as folder:
        try:
            run(
                [sys.executable, "-m", __name__, str(path.absolute())],
                cwd=Path(folder),
                log_path=Path(folder) / "log",
                environment={"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(Path(__file__).parents[2])},
                called=f"Reading {path}",
            )
        except ProgramFailed as failure:
            last = failure.last_lines[-1] if failure.last_lines else "it says nothing"
            raise MeltlakeError(
                f"{path} is no model that deepmd-kit can read: {last}", "Freeze the model again with `dp freeze`."
            ) from failure
        told = json.loads((Path(folder) / _TOLD).read_text())
    sel = tuple(told["sel"]) if told["sel"] and len(told["sel"]) == len(told["type_map"]) else None
    return OutsideModel(
        backend=backend.name,
        type_map=tuple(told["type_map"]),
        r_cut_angstrom=float(told["r_cut_angstrom"]),
        sel=sel,
        precision="float32" if _SINGLE.intersection(told["precisions"]) else "float64",
    )


def _table(path: Path) -> OutsideModel:
    """Three lines of comment; how many elements, and which; n_rho, d_rho, n_r, d_r, cutoff."""
    with path.open(errors="replace") as file:
        head = [file.readline() for _ in range(5)]
    elements, numbers = head[3].split(), head[4].split()
    is_sound = re.fullmatch(r"\d+", elements[0] if elements else "") and len(numbers) == 5
    if not is_sound or int(elements[0]) != len(elements) - 1:
        raise MeltlakeError(
            f"{path}: needed a table of LAMMPS's `setfl` format, with elements in line 4 and five numbers in line 5, "
            f"found {head[3].strip()[:60]!r} and {head[4].strip()[:60]!r}.",
            "Give a file of `pair_style eam/alloy`.",
        )
    return OutsideModel(
        backend="eam/alloy",
        type_map=tuple(elements[1:]),
        r_cut_angstrom=float(numbers[4]),
        sel=None,
        precision="float64",
    )


def main(model: str) -> None:
    """Tell of a DeePMD model what `_deepmd` asks, in the working folder."""
    from lake.deep_potential import DeepPotential

    potential = DeepPotential(model)
    Path(_TOLD).write_text(
        json.dumps(
            {
                "type_map": potential.type_map,
                "r_cut_angstrom": potential.r_cut_angstrom,
                "sel": potential.neighbour_slots,
                "precisions": potential.precisions,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
