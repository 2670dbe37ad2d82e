"""Atoms to start AIMD from at a composition that was never computed. Which composition belongs in `ranking`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lake.delta import Lake
from operators.log import log
from operators.physics.cells import volumes_angstrom3
from operators.physics.composition_space import as_points
from operators.physics.exchange import exchanged
from operators.physics.melt_volumes import foretold_volumes
from operators.physics.pairs import shortest_distances
from operators.physics.spreading import spread_apart
from operators.potentials.melt_runs import nearest_in_temperature
from operators.potentials.safe_distances import stored_safe_distances
from operators.potentials.stored_frames import Geometry, geometries, sound_frames
from operators.proposals.knowledge import Knowledge, Melt
from operators.proposals.ranking import nearest_melt, point_of
from schemas.composition import atomic_numbers_of, formula_counts, nearest_counts, parse_composition
from schemas.elements import SYMBOLS, crystal_volumes_angstrom3
from schemas.errors import MeltlakeError
from schemas.frames import Floats
from schemas.gate.limits import shortest_trainable_pairs_angstrom

Row = Mapping[str, Any]

LEAST_OVER_LIMIT = 1.13
"""Of the gate's shortest pair: below it the gate rejects or flags a frame."""
_MOST_ATOMS = 600
"""A simulation of more is no start for AIMD."""
_LIKE_PRESSURES_GPA = 5.0
"""Metallic melts differ in volume by less than a tenth."""
_LIKE_TEMPERATURES = 0.2
"""Of a temperature: a simulation that is colder or hotter by more is farther from equilibrium than exchanged atoms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AimdStart:
    """A frame for VASP, and where it came from."""

    atomic_numbers: NDArray[np.int8]
    """(n_atoms,)."""
    cell_angstrom: Floats
    """(3, 3)."""
    positions_angstrom: Floats
    """(n_atoms, 3)."""
    nearest: Melt
    """The computed melt that is nearest in composition: whose settings to take."""
    run_id: str
    """The run that the frame is of: of that melt, or a simulation of this one."""
    frame: int
    n_exchanged: int
    """Atoms that became another element."""
    volume_per_atom_angstrom3: float
    volume_is_guessed: bool
    """No mixture of the computed melts has the composition: crystals of its elements tell how volumes differ."""
    min_distance_angstrom: float
    min_distance_over_limit: float
    """The same over the shortest that the gate accepts."""


def aimd_start(lake: Lake, known: Knowledge, composition: str, *, temperature_k: float | None = None) -> AimdStart:
    """The last frame of a simulation of this composition, else of the nearest AIMD with elements exchanged.

    A simulation counts if it is about as warm as is wanted, or as the nearest AIMD where nothing is.

    The cell is scaled to the volume that computed melts foretell, and pairs that are closer than in any training frame
    are pushed apart.

    Raises
    ------
    MeltlakeError
        If atoms cannot be kept apart at that density.
    """
    nearest = known.melts[nearest_melt(known, point_of(known, composition))]
    simulated = _simulated(lake, known, composition, wanted_k=temperature_k or nearest.temperature_k)
    run_id, frame = simulated or (nearest.runs[0]["run_id"], nearest.last)
    wanted = nearest_counts(composition, len(frame.atomic_numbers))
    numbers = exchanged(frame.atomic_numbers, wanted, seed=1)
    volume, is_guessed = _foretold_volume(known, composition)
    now = volumes_angstrom3(frame.cell_angstrom[None])[0] / len(numbers)
    scale = float((volume / now) ** (1 / 3))
    cell, positions = scale * frame.cell_angstrom, scale * frame.positions_angstrom
    apart = _apart(lake, known, numbers, positions, cell)
    limits = shortest_trainable_pairs_angstrom(np.unique(numbers))
    [distance], [over_limit] = shortest_distances(numbers, apart[None], cells=cell[None], limits=limits)
    return AimdStart(
        atomic_numbers=numbers,
        cell_angstrom=cell,
        positions_angstrom=apart,
        nearest=nearest,
        run_id=str(run_id),
        frame=frame.frame,
        n_exchanged=int((numbers != frame.atomic_numbers).sum()),
        volume_per_atom_angstrom3=volume,
        volume_is_guessed=is_guessed,
        min_distance_angstrom=float(distance),
        min_distance_over_limit=float(over_limit),
    )


def predicted_volume_per_atom_angstrom3(known: Knowledge, composition: str) -> float:
    """From the melts that were computed at a pressure like that of the nearest one."""
    return _foretold_volume(known, composition)[0]


def _foretold_volume(known: Knowledge, composition: str) -> tuple[float, bool]:
    """Per atom, Angstrom^3; and whether it is guessed."""
    own_gpa = known.melts[nearest_melt(known, point_of(known, composition))].pressure_gpa
    alike = [melt for _, melt in sorted(known.melts.items()) if _is_like(melt.pressure_gpa, own_gpa)]
    points = as_points(
        [parse_composition(one) for one in (composition, *(m.composition for m in alike))], known.elements
    )
    found = foretold_volumes(
        points[:1],
        points[1:],
        volumes=np.array([melt.volume_per_atom_angstrom3 for melt in alike]),
        of_crystals=crystal_volumes_angstrom3(atomic_numbers_of(known.elements)),
    )
    return float(found.volumes_angstrom3[0]), bool(found.is_guessed[0])


def _is_like(pressure_gpa: float | None, other_gpa: float | None) -> bool:
    if pressure_gpa is None or other_gpa is None:
        return True
    return abs(pressure_gpa - other_gpa) <= _LIKE_PRESSURES_GPA


def _simulated(
    lake: Lake, known: Knowledge, composition: str, *, wanted_k: float | None
) -> tuple[str, Geometry] | None:
    """The last frame of a finished simulation of the composition by one of the potential's committee.

    At no other pressure than AIMD has; the nearest in temperature, then the longest.
    """
    members = set(known.committee.potential_ids) if known.committee else {known.potential["potential_id"]}
    finished = {row["run_id"] for row in lake.rows("performance").to_pylist() if row["outcome"] == "finished"}
    runs = [
        run
        for run in lake.rows("runs").to_pylist()
        if run["potential_id"] in members
        and run["run_id"] in finished
        and run["n_frames"]
        and run["n_atoms"] <= _MOST_ATOMS
        # By its atoms: whole atoms may give it another label.
        and formula_counts(run["formula"]) == _present(nearest_counts(composition, run["n_atoms"]))
        and abs(run["pressure_target_gpa"] or 0.0) <= _LIKE_PRESSURES_GPA
    ]
    for run, found_k in nearest_in_temperature(lake, runs, wanted_k):
        is_as_warm = wanted_k is None or found_k is None or abs(found_k - wanted_k) <= _LIKE_TEMPERATURES * wanted_k
        if is_as_warm:
            for last in geometries(lake, run["run_id"], sound_frames(lake, run["run_id"])[-1:]):
                return str(run["run_id"]), last
    return None


def _present(counts: Mapping[str, int]) -> dict[str, int]:
    return {element: n for element, n in counts.items() if n}


def _apart(lake: Lake, known: Knowledge, numbers: NDArray[np.int8], positions: Floats, cell: Floats) -> Floats:
    """No pair closer than in any training frame; where that is too much to ask, than the gate wants."""
    least = LEAST_OVER_LIMIT * shortest_trainable_pairs_angstrom(np.unique(numbers))
    trained = np.maximum(least, _closest_trained(lake, known, numbers))
    try:
        return spread_apart(numbers, positions, cell=cell, limits=trained)
    except MeltlakeError as reason:
        log.info("propose", note=f"training distances cannot be kept: {reason.problem}")
    return spread_apart(numbers, positions, cell=cell, limits=least)


def _closest_trained(lake: Lake, known: Knowledge, numbers: NDArray[np.int8]) -> Floats:
    """(n_elements, n_elements), Angstrom: 0 for pairs that no training frame has."""
    told = stored_safe_distances(lake, str(known.training_set["training_set_id"]))
    closest = {frozenset(pair.split("-")): distance for pair, distance in told.items()}
    symbols = [SYMBOLS[number] for number in np.unique(numbers)]
    return np.array([[closest.get(frozenset((one, other)), 0.0) for other in symbols] for one in symbols])
