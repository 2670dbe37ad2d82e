"""An exported potential in ASE: energy, forces and stress of its first reference frame.

    python ase_example.py

Needed: ase and deepmd-kit.
"""

import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Compute one frame, and print it beside the stored prediction."""
    from ase import Atoms
    from deepmd.calculator import DP

    card = json.loads((HERE / "model_card.json").read_text())
    with np.load(HERE / "reference.npz", allow_pickle=False) as reference:
        name = str(reference["frames"][0])
        stored = {key: reference[f"{name}/{key}"] for key in ("positions", "cell", "types", "energy")}
    symbols = [card["neighbours"]["type_map"][kind] for kind in stored["types"]]
    atoms = Atoms(symbols, positions=stored["positions"], cell=stored["cell"], pbc=True)
    atoms.calc = DP(model=str(HERE / card["model"]["name"]))
    # In ASE a stress is positive where the melt is pulled; the virial in the card is positive where it pushes.
    sys.stdout.write(f"frame {name}: {len(atoms)} atoms\n")
    sys.stdout.write(f"energy {atoms.get_potential_energy():.9f} eV, stored {float(stored['energy']):.9f} eV\n")
    sys.stdout.write(f"largest force {np.linalg.norm(atoms.get_forces(), axis=1).max():.6f} eV/angstrom\n")
    sys.stdout.write(f"pressure {-np.trace(atoms.get_stress(voigt=False)) / 3:.6f} eV/angstrom^3\n")


if __name__ == "__main__":
    main()
