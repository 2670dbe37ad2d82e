"""How dpdata, ASE, pymatgen and py4vasp read a file: what a rotation of the cell leaves alone, per frame."""

import contextlib
import multiprocessing
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from lake.readers import open_run
from schemas.units import EV_PER_ANGSTROM3_PER_KBAR

SECONDS = 60
THROUGH_EXTXYZ = "ASE, through extended XYZ"
Invariants = dict[str, list[float]]
"""`energy` (free energy, eV), `usual` (the energy of a peer's first call, eV), `force` (sum of norms, eV/A),
`virial` (trace, eV), `volume` (A^3): one number per frame. What a peer does not give is not there."""


def ours(path: Path) -> Invariants:
    """The DFT frames of a file, or all of a file without labels."""
    batches = list(open_run(path).batches())
    source = np.concatenate([batch.label_source for batch in batches])
    kept = source == "dft" if (source != "none").any() else source == "none"
    arrays = {
        "cell": np.concatenate([batch.cell_angstrom for batch in batches])[kept],
        "energy": np.concatenate([batch.energy_ev for batch in batches])[kept],
        "sigma0": np.concatenate([batch.energy_sigma0_ev for batch in batches])[kept],
        "forces": np.concatenate([batch.forces_ev_per_angstrom for batch in batches])[kept],
        "virial": np.concatenate([batch.virial_ev for batch in batches])[kept],
    }
    return {
        "energy": arrays["energy"].tolist(),
        "sigma0": arrays["sigma0"].tolist(),
        "force": np.linalg.norm(arrays["forces"], axis=2).sum(axis=1).tolist(),
        "virial": np.trace(arrays["virial"], axis1=1, axis2=2).tolist(),
        "volume": np.abs(np.linalg.det(arrays["cell"])).tolist(),
    }


def _dpdata(path: Path, fmt: str, **how: object) -> Invariants:
    import dpdata

    read = dpdata.LabeledSystem(str(path), fmt=fmt, **how).data
    found = {
        "energy": read["energies"].tolist(),
        "force": np.linalg.norm(read["forces"], axis=2).sum(axis=1).tolist(),
        "volume": np.abs(np.linalg.det(read["cells"])).tolist(),
    }
    return found | ({"virial": np.trace(read["virials"], axis1=1, axis2=2).tolist()} if "virials" in read else {})


def _ase(path: Path, fmt: str) -> Invariants:
    import ase.io

    frames = ase.io.read(path, index=":", format=fmt)
    found = {"volume": [frame.get_volume() for frame in frames]}
    results = [frame.calc.results if frame.calc else {} for frame in frames]
    for name, key in {"energy": "free_energy", "usual": "energy"}.items():
        if any(key in result for result in results):
            found[name] = [result.get(key, np.nan) for result in results]
    if any("forces" in result for result in results):
        forces = [result.get("forces", np.full(3, np.nan)) for result in results]
        found["force"] = [float(np.linalg.norm(rows, axis=-1).sum()) for rows in forces]
    if any("stress" in result for result in results):
        pressure = [np.sum(result.get("stress", np.full(6, np.nan))[:3]) for result in results]
        found["virial"] = [-float(p) * v for p, v in zip(pressure, found["volume"], strict=True)]
    return found


def _through_extxyz(path: Path, fmt: str) -> Invariants:
    """What we read of the extended XYZ file that ASE writes of its own frames."""
    import ase.io

    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "frames.extxyz"
        ase.io.write(written, ase.io.read(path, index=":", format=fmt), format="extxyz")
        return ours(written)


def _pymatgen_labels(steps: list[dict[str, Any]]) -> Invariants:
    volumes = [step["structure"].volume for step in steps]
    found = {
        "energy": [step["e_fr_energy"] for step in steps],
        "usual": [step["e_0_energy"] for step in steps],
        "force": [float(np.linalg.norm(step["forces"], axis=1).sum()) for step in steps],
        "volume": volumes,
    }
    if all(step.get("stress") is not None for step in steps):
        traces = [float(np.trace(step["stress"])) for step in steps]
        found["virial"] = [t * v * EV_PER_ANGSTROM3_PER_KBAR for t, v in zip(traces, volumes, strict=True)]
    return found


def _pymatgen_vasprun(path: Path) -> Invariants:
    from pymatgen.io.vasp import Vasprun

    read = Vasprun(str(path), parse_dos=False, parse_eigen=False, parse_potcar_file=False, exception_on_bad_xml=False)
    return _pymatgen_labels(read.ionic_steps)


def _pymatgen_vaspout(path: Path) -> Invariants:
    from pymatgen.io.vasp.outputs import Vaspout

    return _pymatgen_labels(Vaspout(str(path), parse_dos=False, parse_eigen=False).ionic_steps)


def _pymatgen_xdatcar(path: Path) -> Invariants:
    from pymatgen.io.vasp import Xdatcar

    return {"volume": [structure.volume for structure in Xdatcar(str(path)).structures]}


def _py4vasp(path: Path) -> Invariants:
    from py4vasp import Calculation

    read = Calculation.from_file(path)
    volumes = np.atleast_1d(read.structure[:].volume())
    forces = np.asarray(read.force[:].read()["forces"])
    stress = np.asarray(read.stress[:].read()["stress"])
    energies = read.energy[:].read()
    free = next(values for tag, values in energies.items() if tag.strip().endswith("TOTEN"))
    return {
        "energy": np.atleast_1d(free).tolist(),
        "force": np.linalg.norm(forces, axis=2).sum(axis=1).tolist(),
        "virial": (np.trace(stress, axis1=1, axis2=2) * volumes * EV_PER_ANGSTROM3_PER_KBAR).tolist(),
        "volume": volumes.tolist(),
    }


PEERS: Mapping[str, Mapping[str, Callable[[Path], Invariants]]] = {
    "outcar": {
        "dpdata": lambda path: _dpdata(path, "vasp/outcar"),
        "dpdata, unconverged too": lambda path: _dpdata(path, "vasp/outcar", convergence_check=False),
        "ASE": lambda path: _ase(path, "vasp-out"),
        THROUGH_EXTXYZ: lambda path: _through_extxyz(path, "vasp-out"),
    },
    "vasprun": {
        "dpdata": lambda path: _dpdata(path, "vasp/xml"),
        "dpdata, unconverged too": lambda path: _dpdata(path, "vasp/xml", convergence_check=False),
        "ASE": lambda path: _ase(path, "vasp-xml"),
        THROUGH_EXTXYZ: lambda path: _through_extxyz(path, "vasp-xml"),
        "pymatgen": _pymatgen_vasprun,
    },
    "vaspout_h5": {"pymatgen": _pymatgen_vaspout, "py4vasp": _py4vasp},
    "ml_ab": {},
    "xdatcar": {"ASE": lambda path: _ase(path, "vasp-xdatcar"), "pymatgen": _pymatgen_xdatcar},
}


def apart(read: Callable[[Path], Invariants], path: Path) -> Invariants | str:
    """What a reader gives, in a process of its own with a time limit; its error as text where it raises."""
    here, there = multiprocessing.get_context("fork").Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_answer, args=(there, read, path))
    process.start()
    there.close()
    try:
        answer: Invariants | str = here.recv() if here.poll(SECONDS) else f"no answer in {SECONDS} s"
    except EOFError:
        answer = "the process died"
    process.kill()
    process.join()
    return answer


def _answer(there: Connection, read: Callable[[Path], Invariants], path: Path) -> None:
    warnings.simplefilter("ignore")
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        try:
            there.send(read(path))
        except Exception as error:  # noqa: BLE001  (whatever a peer raises is its answer)
            there.send(f"{type(error).__name__}: {error}")
