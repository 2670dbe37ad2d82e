"""Which frame of the lake a simulation starts from, and what becomes of its atoms. What is then done is `plan`'s."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lake.delta import Lake
from lake.frames import vectors
from operators.log import log
from operators.physics.exchange import exchanged
from operators.physics.thermodynamics import canonical_spread_k
from operators.potentials.melt_runs import nearest_in_temperature
from operators.simulations.exchanged_volume import are_apart, volume_ratio
from operators.simulations.parent_means import mean_pressure_gpa, mean_volume_angstrom3
from schemas.composition import half_l1_at_percent, nearest_counts
from schemas.errors import MeltlakeError
from schemas.frames import Floats
from schemas.rows import real_or_none
from schemas.simulation import SimulationRequest, StartFrame

RunRow = Mapping[str, object]

_FARTHEST_PARENT_AT_PERCENT = 60.0
_FRAMES_AVERAGED = 101
_AS_WARM = 0.5
"""Times what the temperature of one frame fluctuates by: means over neighbours that differ by less are alike."""
_ROUNDING_FS = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Atoms:
    """A frame of the lake."""

    atomic_numbers: NDArray[np.int8]
    """(n_atoms,)."""
    cell_angstrom: Floats
    """(3, 3), rows a, b, c."""
    positions_angstrom: Floats
    """(n_atoms, 3), Cartesian."""
    forces_ev_per_angstrom: Floats | None = None
    """(n_atoms, 3), DFT's; None where the frame has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The atoms a simulation starts with, before they are copied."""

    origin: StartFrame
    parent: RunRow
    """Row of the run that the frame was taken from."""
    parent_frame: Atoms
    """As the lake has it."""
    temperature_k: float | None
    """Target of that run, or its mean; None when it is not molecular dynamics."""
    pressure_gpa: float | None
    """Mean of that run, where a barostat asks for it; None where no frame has a stress."""
    atomic_numbers: NDArray[np.int8]
    """(n_atoms,)."""
    cell_angstrom: Floats
    """(3, 3), rows a, b, c."""
    positions_angstrom: Floats
    """(n_atoms, 3), Cartesian."""

    @property
    def n_exchanged(self) -> int:
        """Atoms that became another element."""
        return int((self.atomic_numbers != self.parent_frame.atomic_numbers).sum())

    @property
    def is_exchanged(self) -> bool:
        return self.n_exchanged > 0


def start_frame(lake: Lake, request: SimulationRequest, *, synthetic: bool | None = None) -> Start:
    """A frame of the AIMD run that is nearest in composition, then in temperature, then the longest.

    It is the last accepted one of the run's equilibrated part; of a run that is heated or cooled, the last one about
    as warm as the simulation will be. A twin of a run at constant pressure gets the mean volume of that. When no run
    has the composition, atoms of the nearest one are exchanged at random, those of like size for each other, and the
    cell gets the volume that the lake's runs foretell for them.

    Parameters
    ----------
    lake
        Where the runs are.
    request
        What is to be simulated.
    synthetic
        Whether the potential learnt from synthetic frames, so that it is started from one; None where unknown.

    Raises
    ------
    MeltlakeError
        If the lake has no run to start from, or a twin is wanted of a composition without AIMD.
    """
    rows = _aimd_runs(lake, synthetic=synthetic)
    parent, temperature_k = _parent(lake, rows, request)
    run_id, composition = str(parent["run_id"]), str(parent["composition"])
    wanted_k = request.temperature_k or temperature_k
    frame, found = _chosen_frame(lake, parent, wanted_k=wanted_k)
    numbers, scale = found.atomic_numbers, 1.0
    if composition != request.composition:
        numbers = exchanged(numbers, nearest_counts(request.composition, len(numbers)), seed=request.seed)
        alike = [row for row in rows if row["synthetic"] == parent["synthetic"]]
        scale = _scale(lake, alike, found, numbers, wanted_k=wanted_k)
    to_mean = _scale_to_mean(lake, parent, found) if request.protocol == "twin" else None
    scale *= to_mean or 1.0
    return Start(
        origin=StartFrame(parent_run_id=run_id, frame=frame, parent_composition=composition, scale_to_mean=to_mean),
        parent=parent,
        parent_frame=found,
        temperature_k=temperature_k,
        pressure_gpa=mean_pressure_gpa(lake, run_id) if request.protocol == "npt" else None,
        atomic_numbers=numbers,
        cell_angstrom=scale * found.cell_angstrom,
        positions_angstrom=scale * found.positions_angstrom,
    )


def _scale_to_mean(lake: Lake, parent: RunRow, found: Atoms) -> float | None:
    """Of a twin's cell, for the mean volume of a run at constant pressure: a twin has one volume; else None."""
    if parent["ensemble"] != "npt":
        return None
    mean = mean_volume_angstrom3(lake, str(parent["run_id"]))
    own = abs(float(np.linalg.det(found.cell_angstrom)))
    return None if mean is None else (mean / own) ** (1 / 3)


def _scale(
    lake: Lake, rows: Sequence[RunRow], found: Atoms, numbers: NDArray[np.int8], *, wanted_k: float | None
) -> float:
    """Of the cell, for the volume that the exchanged atoms take."""
    volume = volume_ratio(lake, rows, before=found.atomic_numbers, after=numbers, wanted_k=wanted_k)
    scale = volume.ratio ** (1 / 3)
    if volume.is_guessed and scale != 1:
        told = "no mixture of the lake's melts has the composition: its volume is guessed from the elements' crystals"
        log.info("simulate", note=told, volume_ratio=round(volume.ratio, 3))
    # Where the other volume would push atoms into each other, they keep the one that the gate has accepted.
    return scale if are_apart(numbers, scale * found.positions_angstrom, cell=scale * found.cell_angstrom) else 1.0


def _aimd_runs(lake: Lake, *, synthetic: bool | None) -> list[RunRow]:
    """Runs with accepted frames; those that are synthetic or real as asked for, where there are any."""
    rows: list[RunRow] = [row for row in lake.rows("runs").to_pylist() if row["origin"] == "aimd" and row["n_accepted"]]
    if not rows:
        raise MeltlakeError(
            "The lake has no AIMD run to start a simulation from.", "Ingest one: `meltlake ingest SOURCE`."
        )
    return [row for row in rows if bool(row["synthetic"]) == synthetic] or rows


def _parent(lake: Lake, rows: Sequence[RunRow], request: SimulationRequest) -> tuple[RunRow, float | None]:
    distance = {row["run_id"]: half_l1_at_percent(str(row["composition"]), request.composition) for row in rows}
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
    return nearest_in_temperature(lake, candidates, request.temperature_k)[0]


def _chosen_frame(lake: Lake, run: RunRow, *, wanted_k: float | None) -> tuple[int, Atoms]:
    """The last accepted frame of the equilibrated part that lies among frames of the wanted temperature."""
    run_id = str(run["run_id"])
    columns = ("accepted", "time_fs", "temperature_k")
    batches = list(lake.frame_batches(run_id, columns))
    accepted, time_fs, temperature_k = (
        np.concatenate([batch.column(name).to_numpy(zero_copy_only=False) for batch in batches]).astype(np.float64)
        for name in columns
    )
    usable = accepted > 0
    equilibrated = usable & ~(time_fs < (real_or_none(run, "equilibrated_from_fs") or 0.0) - _ROUNDING_FS)
    candidates = np.flatnonzero(equilibrated if equilibrated.any() else usable)
    if not len(candidates):
        raise MeltlakeError(f"Run {run_id} has no accepted frame, although its row says so.", "Ingest its files again.")
    n_atoms = int(str(run["n_atoms"]))
    frame = _last_as_warm(candidates, temperature_k, wanted_k=wanted_k, n_atoms=n_atoms)
    return frame, _atoms_of(lake, run_id, frame)


def _last_as_warm(
    candidates: NDArray[np.integer], temperature_k: Floats, *, wanted_k: float | None, n_atoms: int
) -> int:
    known = np.isfinite(temperature_k)
    if wanted_k is None or not known[candidates].any():
        return int(candidates[-1])
    window = np.ones(min(_FRAMES_AVERAGED, len(temperature_k)))
    # Fewer frames at both ends: sums of what is known over their number.
    sums = np.convolve(np.where(known, temperature_k, 0.0), window, mode="same")
    off = np.abs(sums / np.maximum(np.convolve(known, window, mode="same"), 1) - wanted_k)[candidates]
    alike = off <= off.min() + _AS_WARM * canonical_spread_k(wanted_k, n_atoms=n_atoms)
    return int(candidates[alike][-1])


def _atoms_of(lake: Lake, run_id: str, frame: int) -> Atoms:
    columns = ("atomic_numbers", "cell_angstrom", "positions_angstrom", "forces_ev_per_angstrom", "label_source")
    (found,) = lake.frame_batches(run_id, columns, start=frame, stop=frame + 1)
    numbers = np.array(found.column("atomic_numbers")[0].as_py(), dtype=np.int8)
    forces = vectors(found.column("forces_ev_per_angstrom"), len(numbers))[0]
    is_dft = found.column("label_source")[0].as_py() == "dft" and np.isfinite(forces).all()
    return Atoms(
        atomic_numbers=numbers,
        cell_angstrom=vectors(found.column("cell_angstrom"), 3)[0],
        positions_angstrom=vectors(found.column("positions_angstrom"), len(numbers))[0],
        forces_ev_per_angstrom=forces if is_dft else None,
    )
