"""Which frame of the lake a simulation starts from, and what its plan is then. Running it is `simulate`'s."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from lake.delta import Lake
from lake.frames import vectors
from schemas.composition import element_counts, half_l1_at_percent, nearest_counts
from schemas.elements import atomic_number, covalent_radii_angstrom
from schemas.errors import MeltlakeError
from schemas.frames import Floats
from schemas.simulation import N_ATOMS_TIMED, WARM_UP_STEPS, SimulationPlan, SimulationRequest, StartFrame
from schemas.units import FS_PER_PS

RunRow = Mapping[str, object]

_FARTHEST_PARENT_AT_PERCENT = 60.0
_TIME_STEP_FS = 1.0
_LONGEST_TIME_STEP_FS = 2.0
_PRODUCTION_STEPS = {"nvt": 50_000, "npt": 50_000, "performance": 1000}
_SAMPLE_FS = {"nvt": 10.0, "npt": 50.0}
_EQUILIBRATION_PS = {"twin": 1.0, "nvt": 5.0, "npt": 10.0}
_EQUILIBRATION_OF_COPIES_PS = 20.0
"""Copies start with equal positions; the slowest wave between them decays in (L / 2 pi)^2 / D, 19 ps at 512 atoms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The atoms a simulation starts with, before they are copied."""

    origin: StartFrame
    parent: RunRow
    """Row of the run that the frame was taken from."""
    temperature_k: float | None
    """Target of that run, or its mean; None when it is not molecular dynamics."""
    atomic_numbers: NDArray[np.int8]
    """(n_atoms,)."""
    cell_angstrom: Floats
    """(3, 3), rows a, b, c."""
    positions_angstrom: Floats
    """(n_atoms, 3), Cartesian."""


def start_frame(lake: Lake, request: SimulationRequest) -> Start:
    """The last accepted frame of the AIMD run that is nearest in composition, then in temperature, then the longest.

    When no run has the composition, atoms of the nearest one are exchanged at random, those of like size for each
    other; the simulation keeps that run's density.

    Raises
    ------
    MeltlakeError
        If the lake has no run to start from, or a twin is wanted of a composition without AIMD.
    """
    parent, temperature_k = _parent(lake, request)
    run_id, composition = str(parent["run_id"]), str(parent["composition"])
    frame, numbers, cell, positions = _last_accepted(lake, run_id)
    if composition != request.composition:
        wanted = nearest_counts(request.composition, len(numbers))
        numbers = exchanged(numbers, wanted, seed=request.seed)
    return Start(
        origin=StartFrame(parent_run_id=run_id, frame=frame, parent_composition=composition),
        parent=parent,
        temperature_k=temperature_k,
        atomic_numbers=numbers,
        cell_angstrom=cell,
        positions_angstrom=positions,
    )


def resolved(request: SimulationRequest, start: Start) -> SimulationPlan:
    """The plan that a request comes to for that start.

    A twin keeps the saved steps of its AIMD run as its time axis, and divides a step that is too long for a
    thermostatted metal.

    Raises
    ------
    MeltlakeError
        If no temperature is given and the start run has none.
    """
    temperature_k = request.temperature_k or start.temperature_k
    if temperature_k is None:
        raise MeltlakeError(
            f"Run {start.origin.parent_run_id} of {request.composition} has no temperature to simulate at.",
            "Name one with --temperature-k.",
        )
    time_step_fs, steps_per_frame = _time_axis(request, start)
    n_production = _production_steps(request, start, steps_per_frame)
    replicate = request.replicate or _copies(request, len(start.atomic_numbers))
    equilibration_fs = _equilibration_fs(request, replicate, production_fs=n_production * time_step_fs)
    return SimulationPlan(
        protocol=request.protocol,
        composition=request.composition,
        temperature_k=temperature_k,
        time_step_fs=time_step_fs,
        # Whole frames, so that the first frame after equilibration is the first one that is saved.
        n_equilibration_steps=_whole(equilibration_fs / time_step_fs, steps_per_frame),
        n_production_steps=n_production,
        steps_per_frame=steps_per_frame,
        replicate=replicate,
        seed=request.seed,
        pressure_gpa=request.pressure_gpa,
    )


def exchanged(numbers: NDArray[np.int8], wanted: Mapping[str, int], *, seed: int) -> NDArray[np.int8]:
    """The same atoms with the wanted counts: surplus ones, chosen at random, become the missing elements of like size.

    Parameters
    ----------
    numbers
        (n_atoms,), atomic numbers.
    wanted
        Atoms of each element; they add up to n_atoms.
    seed
        Of the choice.
    """
    random = np.random.default_rng(seed)
    present = element_counts(numbers)
    surplus = {element: n - wanted.get(element, 0) for element, n in present.items() if n > wanted.get(element, 0)}
    chosen = [random.choice(np.flatnonzero(numbers == atomic_number(e)), n, replace=False) for e, n in surplus.items()]
    sites = np.concatenate([np.empty(0, dtype=np.int64), *chosen])
    missing = [atomic_number(e) for e, n in wanted.items() for _ in range(n - present.get(e, 0))]
    arrivals = np.array(missing, dtype=np.int8)
    out = numbers.copy()
    by_size = np.argsort(covalent_radii_angstrom(numbers[sites]), kind="stable")
    out[sites[by_size]] = arrivals[np.argsort(covalent_radii_angstrom(arrivals), kind="stable")]
    return out


def _parent(lake: Lake, request: SimulationRequest) -> tuple[RunRow, float | None]:
    rows = [row for row in lake.rows("runs").to_pylist() if row["origin"] == "aimd" and row["n_accepted"]]
    if not rows:
        raise MeltlakeError(
            "The lake has no AIMD run to start a simulation from.", "Ingest one: `meltlake ingest SOURCE`."
        )
    distance = {row["run_id"]: half_l1_at_percent(row["composition"], request.composition) for row in rows}
    nearest = min(distance.values())
    candidates = [row for row in rows if distance[row["run_id"]] == nearest]
    known = ", ".join(sorted({str(row["composition"]) for row in rows}))
    if request.protocol == "twin":
        candidates = [row for row in candidates if row["composition"] == request.composition and row["time_step_fs"]]
        if not candidates:
            raise MeltlakeError(
                f"A twin repeats an AIMD run, and the lake has no molecular dynamics of {request.composition}.",
                f"Choose another protocol, or one of: {known}.",
            )
    if nearest > _FARTHEST_PARENT_AT_PERCENT:
        raise MeltlakeError(
            f"The AIMD run nearest to {request.composition} is {nearest:.0f} at.% away: too far to start from.",
            f"The lake has: {known}.",
        )
    temperatures = [(row, _temperature_k(lake, row)) for row in candidates]
    return min(temperatures, key=lambda pair: _rank(pair[0], pair[1], request.temperature_k))


def _rank(row: RunRow, temperature_k: float | None, wanted_k: float | None) -> tuple[float, int, str]:
    unlike = 0.0 if wanted_k is None or temperature_k is None else abs(temperature_k - wanted_k)
    known_first = 1e9 if temperature_k is None else 0.0
    return unlike + known_first, -int(str(row["n_frames"])), str(row["run_id"])


def _temperature_k(lake: Lake, row: RunRow) -> float | None:
    if row["temperature_target_k"]:
        return float(str(row["temperature_target_k"]))
    batches = lake.frame_batches(str(row["run_id"]), ["temperature_k"])
    values = np.concatenate([batch.column(0).to_numpy(zero_copy_only=False) for batch in batches])
    present = values[~np.isnan(values.astype(np.float64))]
    return float(present.mean()) if present.size and present.mean() > 0 else None


def _last_accepted(lake: Lake, run_id: str) -> tuple[int, NDArray[np.int8], Floats, Floats]:
    columns = ("frame", "accepted", "atomic_numbers", "cell_angstrom", "positions_angstrom")
    found = None
    for batch in lake.frame_batches(run_id, columns):
        accepted = np.flatnonzero(batch.column("accepted").to_numpy(zero_copy_only=False))
        if accepted.size:
            found = batch.slice(int(accepted[-1]), 1)
    if found is None:
        raise MeltlakeError(f"Run {run_id} has no accepted frame, although its row says so.", "Ingest its files again.")
    numbers = np.array(found.column("atomic_numbers")[0].as_py(), dtype=np.int8)
    cell = vectors(found.column("cell_angstrom"), 3)[0]
    positions = vectors(found.column("positions_angstrom"), len(numbers))[0]
    return int(found.column("frame")[0].as_py()), numbers, cell, positions


def _time_axis(request: SimulationRequest, start: Start) -> tuple[float, int]:
    """Time step, fs, and steps per saved frame."""
    saved_fs = start.parent["time_step_fs"]
    if request.protocol == "twin" and saved_fs:
        sample_fs = request.sample_fs or float(str(saved_fs))
        time_step_fs = request.time_step_fs or float(str(saved_fs)) / ceil(float(str(saved_fs)) / _LONGEST_TIME_STEP_FS)
    else:
        time_step_fs = request.time_step_fs or _TIME_STEP_FS
        sample_fs = request.sample_fs or _SAMPLE_FS.get(request.protocol, time_step_fs)
    return time_step_fs, max(1, round(sample_fs / time_step_fs))


def _production_steps(request: SimulationRequest, start: Start, steps_per_frame: int) -> int:
    if request.protocol != "twin":
        return _whole(request.n_steps or _PRODUCTION_STEPS[request.protocol], steps_per_frame)
    of_aimd = max(1, int(str(start.parent["n_frames"])) - 1) * steps_per_frame
    return of_aimd if request.n_steps is None else min(of_aimd, _whole(request.n_steps, steps_per_frame))


def _equilibration_fs(request: SimulationRequest, replicate: int, *, production_fs: float) -> float:
    if request.protocol == "performance":
        return WARM_UP_STEPS * (request.time_step_fs or _TIME_STEP_FS)
    if request.equilibration_fs is not None:
        return request.equilibration_fs
    usual_ps = _EQUILIBRATION_PS[request.protocol] if replicate == 1 else _EQUILIBRATION_OF_COPIES_PS
    usual_fs = usual_ps * FS_PER_PS
    # Who asks for a short run wants it soon.
    return usual_fs if request.n_steps is None else min(usual_fs, production_fs / 2)


def _copies(request: SimulationRequest, n_atoms: int) -> int:
    return max(1, round((N_ATOMS_TIMED / n_atoms) ** (1 / 3))) if request.protocol == "performance" else 1


def _whole(n_steps: float, steps_per_frame: int) -> int:
    return ceil(n_steps / steps_per_frame - 1e-9) * steps_per_frame
