"""deepmd_systems as groups of one HDF5 file, which DeePMD reads as it reads folders. Folders are `deepmd_npy`'s.

A group has the datasets that a folder has files. They are contiguous and unpacked, so that they are read as npy files
are: mapped into memory, a part at a time.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from lake.deepmd_npy import DeepmdSystemWriter, RowSink
from lake.parquet import flush_to_disk
from schemas.frames import Floats, Integers


class DeepmdGroupWriter(DeepmdSystemWriter):
    """Writes one deepmd_system as a group: `folder` is `FILE.hdf5/NAME`, and the file may have other groups."""

    def _opened(self, types: Sequence[int], type_map: Sequence[str], widths: Mapping[str, int]) -> dict[str, RowSink]:
        self._path = self._folder.parent
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = h5py.File(self._path, "a")
        group = file.create_group(self._folder.name)
        group.create_dataset("type.raw", data=np.array(types, dtype=np.int32))
        group.create_dataset("type_map.raw", data=np.array(type_map, dtype="S"))
        shapes = {name: (self._n_frames, width) for name, width in widths.items()}
        datasets = {name: group.create_dataset(f"set.000/{name}.npy", shapes[name], dtype="<f8") for name in widths}
        return {name: _DatasetRows(datasets[name]) for name in widths}

    def _flush(self) -> None:
        flush_to_disk(self._path)


class _DatasetRows:
    """A dataset that is written row by row; the last one that closes closes the file."""

    def __init__(self, dataset: "h5py.Dataset") -> None:
        self._dataset, self._n_written = dataset, 0

    def write(self, rows: Floats) -> None:
        end = self._n_written + len(rows)
        self._dataset[self._n_written : end] = rows.reshape(len(rows), self._dataset.shape[1])
        self._n_written = end

    def close(self) -> None:
        if self._dataset:
            self._dataset.file.close()


def group_names(file: Path) -> list[str]:
    """Names of the deepmd_systems in a file, sorted."""
    with h5py.File(file) as opened:
        return sorted(opened)


def read_group(file: Path, name: str) -> tuple[Integers, tuple[str, ...], dict[str, Floats]]:
    """Types, type map and arrays of a deepmd_system; arrays stay on disk until they are touched.

    Raises
    ------
    OSError
        If there is no such file.
    KeyError
        If it has no such group.
    """
    with h5py.File(file) as opened:
        group = opened[name]
        types = np.asarray(group["type.raw"], dtype=np.int32)
        type_map = tuple(symbol.decode() for symbol in group["type_map.raw"])
        arrays = {key.removesuffix(".npy"): _mapped(file, dataset) for key, dataset in group["set.000"].items()}
    return types, type_map, arrays


def _mapped(file: Path, dataset: "h5py.Dataset") -> Floats:
    offset = dataset.id.get_offset()
    if offset is None:  # packed, or written by another program in pieces
        whole: Floats = dataset[...]
        return whole
    return np.memmap(file, dtype="<f8", mode="r", offset=offset, shape=dataset.shape)
