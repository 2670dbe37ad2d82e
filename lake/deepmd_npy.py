"""A deepmd_system, the folder that DeePMD trains on: written as a stream, read as arrays. It chooses no frames.

Everything is float64: a total energy of -2e3 eV in float32 is known to 1e-4 eV only. The same in one HDF5 file is
written by `deepmd_hdf5`; reading knows both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lake.frames import vectors
from lake.parquet import flush_to_disk
from schemas.elements import SYMBOLS
from schemas.errors import MeltlakeError
from schemas.frames import Floats, Integers

LABEL_COLUMNS = (
    "atomic_numbers",
    "cell_angstrom",
    "positions_angstrom",
    "forces_ev_per_angstrom",
    "energy_ev",
    "virial_ev",
)
"""Columns of `frames` that a deepmd_system is made of."""

HDF5_SUFFIX = ".hdf5"
_HDF5_MARK = f"{HDF5_SUFFIX}#/"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFrames:
    """Consecutive frames of one set of atoms, with what a potential learns."""

    cell_angstrom: Floats
    """(n_frames, 3, 3)."""
    positions_angstrom: Floats
    """(n_frames, n_atoms, 3)."""
    forces_ev_per_angstrom: Floats
    """(n_frames, n_atoms, 3)."""
    energy_ev: Floats
    """(n_frames,)."""
    virial_ev: Floats | None
    """(n_frames, 3, 3); None when the run has no stress."""

    @property
    def n_frames(self) -> int:
        return len(self.energy_ev)

    def chosen(self, mask: NDArray[np.bool_]) -> "LabelledFrames":
        """The frames where the mask (n_frames,) is true."""
        return self if mask.all() else self.part(mask)

    def part(self, where: slice | NDArray[np.bool_]) -> "LabelledFrames":
        """The frames of a slice, as views of these, or where a mask (n_frames,) is true."""
        return LabelledFrames(
            cell_angstrom=self.cell_angstrom[where],
            positions_angstrom=self.positions_angstrom[where],
            forces_ev_per_angstrom=self.forces_ev_per_angstrom[where],
            energy_ev=self.energy_ev[where],
            virial_ev=None if self.virial_ev is None else self.virial_ev[where],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepmdSystem:
    """A deepmd_system read back; large arrays stay on disk until they are touched."""

    types: Integers
    """(n_atoms,), index into `type_map`."""
    type_map: tuple[str, ...]
    frames: LabelledFrames


def labelled_frames(batch: pa.RecordBatch, atomic_numbers: NDArray[np.int8], *, with_virial: bool) -> LabelledFrames:
    """Rows of the frames table as arrays.

    Parameters
    ----------
    batch
        Rows with `LABEL_COLUMNS`.
    atomic_numbers
        (n_atoms,): what every row must have.
    with_virial
        Whether virials are wanted; they must be there then.

    Raises
    ------
    MeltlakeError
        If the atoms change from frame to frame.
    """
    n_atoms = len(atomic_numbers)
    numbers = batch.column("atomic_numbers").flatten().to_numpy()
    if numbers.size != n_atoms * batch.num_rows or (numbers.reshape(-1, n_atoms) != atomic_numbers).any():
        raise MeltlakeError(
            "Atoms: needed the same atoms in the same order in every frame of a run, found another order.",
            "Ingest the run again, or leave its composition out.",
        )
    return LabelledFrames(
        cell_angstrom=_vectors(batch.column("cell_angstrom"), 3),
        positions_angstrom=_vectors(batch.column("positions_angstrom"), n_atoms),
        forces_ev_per_angstrom=_vectors(batch.column("forces_ev_per_angstrom"), n_atoms),
        energy_ev=batch.column("energy_ev").to_numpy(zero_copy_only=False).astype(np.float64),
        virial_ev=_vectors(batch.column("virial_ev"), 3) if with_virial else None,
    )


class RowSink(Protocol):
    """Where the rows of one array go, one after the other."""

    def write(self, rows: Floats) -> object:
        """Append rows (n_rows, ...) of finite numbers."""

    def close(self) -> None:
        """All rows have come."""


class DeepmdSystemWriter:
    """Writes one deepmd_system, batch after batch; memory holds one batch.

    Parameters
    ----------
    folder
        The deepmd_system; made here, and half-written until the writer is left without an error.
    atomic_numbers
        (n_atoms,), in the order of the frames.
    type_map
        Elements in DeePMD's type order.
    n_frames
        How many frames will come: the header of a npy file comes first.
    with_virial
        Whether every frame has a virial.
    """

    def __init__(
        self,
        folder: Path,
        *,
        atomic_numbers: NDArray[np.int8],
        type_map: Sequence[str],
        n_frames: int,
        with_virial: bool,
    ) -> None:
        self._folder, self._n_frames, self._n_written = folder, n_frames, 0
        types = [type_map.index(SYMBOLS[int(number)]) for number in atomic_numbers]
        n_atoms = len(atomic_numbers)
        widths = {"coord": 3 * n_atoms, "box": 9, "energy": 1, "force": 3 * n_atoms}
        if with_virial:
            widths["virial"] = 9
        self._sinks = self._opened(types, type_map, widths)

    def _opened(self, types: Sequence[int], type_map: Sequence[str], widths: Mapping[str, int]) -> dict[str, RowSink]:
        set_folder = self._folder / "set.000"
        set_folder.mkdir(parents=True)
        (self._folder / "type.raw").write_text("".join(f"{number}\n" for number in types))
        (self._folder / "type_map.raw").write_text("".join(f"{symbol}\n" for symbol in type_map))
        return {name: _NpyRows(set_folder / f"{name}.npy", self._n_frames, widths[name]) for name in widths}

    def _flush(self) -> None:
        flush_to_disk(*self._folder.rglob("*.npy"), *self._folder.glob("*.raw"))

    def append(self, frames: LabelledFrames, where: NDArray[np.bool_] | None = None) -> None:
        """Write the next frames.

        Parameters
        ----------
        frames
            Frames of the atoms that were announced.
        where
            (n_frames,), true for the frames to write; all of them by default.

        Raises
        ------
        MeltlakeError
            If a label is missing or not finite.
        """
        columns: dict[str, Floats | None] = {
            "coord": frames.positions_angstrom,
            "box": frames.cell_angstrom,
            "energy": frames.energy_ev,
            "force": frames.forces_ev_per_angstrom,
            "virial": frames.virial_ev,
        }
        takes_all = where is None or bool(where.all())
        for name, sink in self._sinks.items():
            if (column := columns[name]) is None:
                raise self._lacking(name)
            values = column if takes_all else column[where]
            if not np.isfinite(values.sum()):  # a sum of labels of melts cannot overflow
                raise self._lacking(name)
            sink.write(values)
        self._n_written += len(values)

    def _lacking(self, name: str) -> MeltlakeError:
        return MeltlakeError(
            f"{self._folder.name}: frames chosen for training lack a finite {name}.",
            "Ingest the run again so that the gate rejects them, or leave its composition out.",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sink in self._sinks.values():
            sink.close()
        if kind is None:
            if self._n_written != self._n_frames:
                raise ValueError(f"{self._folder}: announced {self._n_frames} frames, got {self._n_written}")
            self._flush()


def read_deepmd_system(folder: Path) -> DeepmdSystem:
    """The deepmd_system in a folder, as `DeepmdSystemWriter` wrote it.

    Raises
    ------
    MeltlakeError
        If something of it is missing.
    """
    try:
        types, type_map, arrays = _read_group(folder) if _HDF5_MARK in str(folder) else _read_folder(folder)
        virial = arrays.get("virial")
        frames = LabelledFrames(
            cell_angstrom=arrays["box"].reshape(-1, 3, 3),
            positions_angstrom=arrays["coord"].reshape(-1, len(types), 3),
            forces_ev_per_angstrom=arrays["force"].reshape(-1, len(types), 3),
            energy_ev=arrays["energy"].reshape(-1),
            virial_ev=None if virial is None else virial.reshape(-1, 3, 3),
        )
    except (OSError, KeyError, ValueError) as error:
        raise MeltlakeError(
            f"{folder} is not a whole deepmd_system: {error}.", "Run `meltlake materialize` again to rebuild it."
        ) from error
    return DeepmdSystem(types=types, type_map=type_map, frames=frames)


def deepmd_systems(folder: Path) -> list[Path]:
    """Every deepmd_system directly below a folder, sorted; or, as DeePMD names them, in the HDF5 file beside it."""
    if (file := folder.with_suffix(HDF5_SUFFIX)).is_file():
        from lake.deepmd_hdf5 import group_names

        return [Path(f"{file}#/{name}") for name in group_names(file)]
    return sorted(path.parent for path in folder.glob("*/type.raw"))


def _read_folder(folder: Path) -> tuple[Integers, tuple[str, ...], dict[str, Floats]]:
    types = np.loadtxt(folder / "type.raw", dtype=np.int32, ndmin=1)
    arrays = {path.stem: np.load(path, mmap_mode="r") for path in (folder / "set.000").glob("*.npy")}
    return types, tuple((folder / "type_map.raw").read_text().split()), arrays


def _read_group(address: Path) -> tuple[Integers, tuple[str, ...], dict[str, Floats]]:
    from lake.deepmd_hdf5 import read_group

    file, _, name = str(address).partition("#/")
    return read_group(Path(file), name)


def _vectors(column: pa.Array, n_rows_of_three: int) -> Floats:
    if column.null_count:
        return vectors(column, n_rows_of_three)
    values: Floats = column.flatten().to_numpy().reshape(-1, n_rows_of_three, 3)
    return values


class _NpyRows:
    """A npy file that is written row by row."""

    def __init__(self, path: Path, n_rows: int, width: int) -> None:
        self._file: BinaryIO = path.open("wb")
        header = {"descr": "<f8", "fortran_order": False, "shape": (n_rows, width)}
        np.lib.format.write_array_header_1_0(self._file, header)

    def write(self, rows: Floats) -> None:
        self._file.write(np.ascontiguousarray(rows, dtype="<f8").data)

    def close(self) -> None:
        self._file.close()
