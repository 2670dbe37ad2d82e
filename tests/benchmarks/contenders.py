"""Contenders that read files. Each imports first and hands back its work.

A contender is a function of a path; the work returns what it found, at least `n_frames`. Imports, plug-ins and
compilation happen before the work begins.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

Work = Callable[[], Mapping[str, float]]


def meltlake(path: Path) -> Work:
    """Every number of every frame, and the sha256 of the file."""
    from lake.readers import open_run

    with open_run(path):  # loads the reader of this format, as the others load theirs
        pass

    def read() -> Mapping[str, float]:
        with open_run(path) as reader:
            n_frames = sum(batch.n_frames for batch in reader.batches())
            reader.fingerprint()
        return {"n_frames": n_frames}

    return read


def our_reader_unhashed(path: Path) -> Work:
    """The same, but what it reads is not hashed, as no peer hashes what it reads."""
    _hash_nothing()
    return meltlake(path)


def _hash_nothing() -> None:
    from lake.readers import containers

    containers.hashlib = SimpleNamespace(sha256=_NoDigest)  # type: ignore[attr-defined]


class _NoDigest:
    """Stands for a sha256 that is never computed."""

    def update(self, data: object) -> None:
        pass

    def hexdigest(self) -> str:
        return ""


def dpdata_reader(path: Path) -> Work:
    import dpdata

    dpdata.LabeledSystem()  # loads the plug-ins
    if path.suffix == ".extxyz":
        return lambda: {"n_frames": dpdata.MultiSystems.from_file(str(path), fmt="quip/gap/xyz").get_nframes()}
    if path.suffix == ".lammpstrj":
        return lambda: {"n_frames": dpdata.System(str(path), fmt="lammps/dump").get_nframes()}
    form = "vasp/outcar" if path.name == "OUTCAR" else "vasp/xml"
    return lambda: {"n_frames": dpdata.LabeledSystem(str(path), fmt=form).get_nframes()}


def ase_reader(path: Path) -> Work:
    import ase.io
    import ase.io.vasp

    named = {"OUTCAR": "vasp-out", "vasprun.xml": "vasp-xml", "XDATCAR": "vasp-xdatcar"}
    form = named.get(path.name) or {".extxyz": "extxyz", ".lammpstrj": "lammps-dump-text"}[path.suffix]
    return lambda: {"n_frames": len(ase.io.read(path, index=":", format=form))}


def pymatgen_reader(path: Path) -> Work:
    from pymatgen.io.vasp import Vasprun

    def read() -> Mapping[str, float]:
        run = Vasprun(path, parse_dos=False, parse_eigen=False, parse_potcar_file=False)
        return {"n_frames": len(run.ionic_steps)}

    return read


def sha256(path: Path) -> Work:
    """What ours does beside the reading."""
    import hashlib

    def read() -> Mapping[str, float]:
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")
        return {}

    return read


def h5py_slices(path: Path) -> Work:
    """The same vectors without a reader: what HDF5 itself costs."""
    import h5py

    def read() -> Mapping[str, float]:
        with h5py.File(path) as file:
            vectors = [file[f"intermediate/ion_dynamics/{name}"] for name in ("position_ions", "forces")]
            n_frames = len(vectors[0])
            for start in range(0, n_frames, 128):
                for vector in vectors:
                    vector[start : start + 128]
        return {"n_frames": n_frames}

    return read


def our_gunzip(path: Path) -> Work:
    """The content alone, with the sha256 of file and content."""
    from lake.readers.containers import open_source

    memory = memoryview(bytearray(1 << 20))

    def read() -> Mapping[str, float]:
        n_bytes = 0
        with open_source(path) as stream:
            while n := stream.readinto(memory):
                n_bytes += n
        return {"n_bytes": n_bytes}

    return read


def our_gunzip_unhashed(path: Path) -> Work:
    """The content alone."""
    _hash_nothing()
    return our_gunzip(path)


def gzip_reader(path: Path) -> Work:
    import gzip

    memory = memoryview(bytearray(1 << 20))

    def read() -> Mapping[str, float]:
        n_bytes = 0
        with gzip.open(path) as stream:
            while n := stream.readinto(memory):
                n_bytes += n
        return {"n_bytes": n_bytes}

    return read


def our_parts(path: Path) -> Work:
    """Every part of a file that holds many."""
    from lake.readers import open_run, parts_of

    with open_run(path, part=parts_of(path)[0]):
        pass

    def read() -> Mapping[str, float]:
        n_frames = 0
        for part in parts_of(path):
            with open_run(path, part=part) as reader:
                n_frames += sum(batch.n_frames for batch in reader.batches())
                reader.fingerprint()
        return {"n_frames": n_frames}

    return read
