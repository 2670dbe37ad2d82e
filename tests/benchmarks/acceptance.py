"""Whether other people's readers find in a synthetic file what was written: a race over a file they misread is void."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lake.writers.facts import Floats
from tests.benchmarks.synthetic import COMPOSITIONS, WRITERS, Melt, write_outcar

N_FRAMES = 4


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a reader found; None where it does not tell."""

    positions_angstrom: Floats
    cell_angstrom: Floats
    forces_ev_per_angstrom: Floats | None = None
    energy_ev: Floats | None = None


def accept() -> None:
    """Write a few frames in each format, have them read by each peer and compared with the arrays.

    Raises
    ------
    SystemExit
        If a peer finds other numbers.
    """
    melt = Melt(COMPOSITIONS[0], N_FRAMES)
    with tempfile.TemporaryDirectory() as folder:
        for name, peers in _PEERS.items():
            path = Path(folder) / name
            WRITERS[name](path, melt)
            for peer in peers:
                _compare(f"{peer.__name__} of {name}", peer(path), melt)
        write_outcar(Path(folder) / "OUTCAR", melt, nwrite=2)
        for peer in _PEERS["OUTCAR"]:
            _compare(f"{peer.__name__} of OUTCAR, NWRITE = 2", peer(Path(folder) / "OUTCAR"), melt)


def _compare(what: str, found: Numbers, melt: Melt) -> None:
    frames = list(melt.frames())
    expected = {
        "positions_angstrom": (np.array([frame.positions_angstrom for frame in frames]), 6e-6),
        "cell_angstrom": (np.array([frame.cell_angstrom for frame in frames]), 6e-7),
        "forces_ev_per_angstrom": (np.array([frame.forces_ev_per_angstrom for frame in frames]), 6e-7),
        "energy_ev": (np.array([frame.energy_ev for frame in frames]), 6e-9),
    }
    for name, (written, printed_to) in expected.items():
        read = getattr(found, name)
        if read is not None and not np.allclose(read, written, rtol=0, atol=printed_to):
            raise SystemExit(f"{what}: {name} differ from what was written, so the synthetic files are not usable.")


def _dpdata(path: Path) -> Numbers:
    import dpdata

    read = dpdata.LabeledSystem(str(path), fmt="vasp/outcar" if path.name == "OUTCAR" else "vasp/xml")
    return Numbers(read["coords"], read["cells"], read["forces"], read["energies"])


def _ase(path: Path) -> Numbers:
    import ase.io

    frames = ase.io.read(path, index=":", format=_ASE_FORMATS[path.name])
    positions, cells = (np.array([getattr(frame, name) for frame in frames]) for name in ("positions", "cell"))
    if path.name == "XDATCAR":
        return Numbers(positions, cells)
    energies = [frame.get_potential_energy(force_consistent=True) for frame in frames]
    return Numbers(positions, cells, np.array([frame.get_forces() for frame in frames]), np.array(energies))


def _pymatgen(path: Path) -> Numbers:
    from pymatgen.io.vasp import Vasprun

    steps = Vasprun(path, parse_dos=False, parse_eigen=False, parse_potcar_file=False).ionic_steps
    return Numbers(
        np.array([step["structure"].cart_coords for step in steps]),
        np.array([step["structure"].lattice.matrix for step in steps]),
        np.array([step["forces"] for step in steps]),
        np.array([step["e_fr_energy"] for step in steps]),
    )


_ASE_FORMATS = {"OUTCAR": "vasp-out", "vasprun.xml": "vasp-xml", "XDATCAR": "vasp-xdatcar"}
_PEERS: dict[str, tuple[Callable[[Path], Numbers], ...]] = {
    "OUTCAR": (_dpdata, _ase),
    "vasprun.xml": (_dpdata, _ase, _pymatgen),
    "XDATCAR": (_ase,),
}
