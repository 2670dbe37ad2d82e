"""The pressure of the run that a simulation starts from: how far a barostat has to go. The frame is `start_frame`'s."""

import numpy as np

from lake.delta import Lake
from lake.frames import vectors, virial_traces
from schemas.units import BOLTZMANN_EV_PER_K, GPA_PER_EV_PER_ANGSTROM3

_COLUMNS = ("accepted", "temperature_k", "cell_angstrom", "virial_ev", "virial_trace_ev")


def mean_pressure_gpa(lake: Lake, run_id: str, *, n_atoms: int) -> float | None:
    """Virial and kinetic part, mean over accepted frames; None where no frame has a stress."""
    found = []
    for batch in lake.frame_batches(run_id, _COLUMNS):
        accepted = batch.column("accepted").to_numpy(zero_copy_only=False).astype(bool)
        warmth_k = np.nan_to_num(batch.column("temperature_k").to_numpy(zero_copy_only=False).astype(np.float64))
        volumes = np.abs(np.linalg.det(vectors(batch.column("cell_angstrom"), 3)[accepted]))
        kinetic_ev = (n_atoms - 1) * BOLTZMANN_EV_PER_K * warmth_k[accepted]
        found.append((virial_traces(batch)[accepted] / 3 + kinetic_ev) / volumes)
    pressures = np.concatenate(found) if found else np.empty(0)
    known = pressures[np.isfinite(pressures)]
    return float(known.mean()) * GPA_PER_EV_PER_ANGSTROM3 if known.size else None
