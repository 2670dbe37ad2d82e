"""Verify an exported potential: whole files, and the same predictions here as where it was exported.

    python verify.py

Needed: Python 3.10 or newer, numpy and deepmd-kit. It exits with 0 where all is well, and with 1 otherwise.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
QUANTITIES = ("energy_ev_per_atom", "force_ev_per_angstrom", "virial_ev_per_atom")


def damaged_files() -> list[str]:
    """Names of files that are missing or differ from their checksum in SHA256SUMS."""
    damaged = []
    for line in (HERE / "SHA256SUMS").read_text().splitlines():
        checksum, _, name = line.partition("  ")
        file = HERE / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != checksum:
            damaged.append(name)
    return damaged


def differences() -> dict[str, dict[str, float]]:
    """Largest difference from the stored prediction, by reference frame and quantity."""
    from deepmd.infer import DeepPot

    model = DeepPot(str(HERE / json.loads((HERE / "model_card.json").read_text())["model"]["name"]))
    found = {}
    with np.load(HERE / "reference.npz", allow_pickle=False) as reference:
        for name in reference["frames"].tolist():
            stored = {key: reference[f"{name}/{key}"] for key in ("positions", "cell", "types", "energy", "forces")}
            virial, n_atoms = reference[f"{name}/virial"], len(stored["types"])
            said = model.eval(stored["positions"].reshape(1, -1), stored["cell"].reshape(1, 9), stored["types"])
            parts = (
                (said[0].reshape(()) - stored["energy"]) / n_atoms,
                said[1].reshape(-1, 3) - stored["forces"],
                (said[2].reshape(3, 3) - virial) / n_atoms,
            )
            found[name] = {what: float(np.abs(part).max()) for what, part in zip(QUANTITIES, parts, strict=True)}
    return found


def main() -> int:
    """Say what was found; 0 where all is well."""
    if damaged := damaged_files():
        sys.stdout.write(f"FAILED: missing or changed: {', '.join(damaged)}. Get the folder anew.\n")
        return 1
    with np.load(HERE / "reference.npz", allow_pickle=False) as reference:
        tolerances = {what: float(reference[f"tolerance_{what}"]) for what in QUANTITIES}
    sys.stdout.write(f"Files are whole. Tolerances: {_told(tolerances)}\n")
    failed = False
    for name, found in differences().items():
        # Written so that what is not a number fails.
        is_same = all(found[what] <= tolerances[what] for what in QUANTITIES)
        failed |= not is_same
        sys.stdout.write(f"{'same  ' if is_same else 'DIFFERS'} {name}: {_told(found)}\n")
    sys.stdout.write(
        "FAILED: this deepmd-kit does not reproduce the stored predictions.\n"
        if failed
        else "OK: this deepmd-kit reproduces the stored predictions.\n"
    )
    return int(failed)


def _told(values: dict[str, float]) -> str:
    return ", ".join(f"{what} {value:.1e}" for what, value in values.items())


if __name__ == "__main__":
    sys.exit(main())
