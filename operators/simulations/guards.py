"""Guards: conditions that no melt meets, as LAMMPS watches them during a run and as we check them on its start frame.

What is simulated, and what is written when, belongs in `lammps_input`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from operators.physics.closest_pairs import closest_by_pair
from operators.physics.neighbours import max_neighbours
from operators.simulations.pair_style import PairStyle
from schemas.elements import SYMBOLS, atomic_number, covalent_radii_angstrom
from schemas.frames import Floats
from schemas.gate import shortest_trainable_pairs_angstrom
from schemas.simulation import SimulationPlan

_STEPS_PER_CHECK = 10
_STEPS_PER_CHECK_WHEN_TIMED = 100
_SHARE_OF_SAFE_DISTANCE = 0.7
"""Of the smallest distance in training: a longer run, or a coarse potential, comes closer than few frames did."""
_LARGEST_VOLUME_CHANGE = 0.15
_LARGEST_VOLUME_CHANGE_IF_EXCHANGED = 0.3
"""The start volume of exchanged atoms is an estimate from other compositions."""
_EXPANSION_PER_K = 2e-4
"""Metallic melts expand by 0.5 to 2 in ten thousand."""
_LIKE_TEMPERATURES_K = 200.0
_LIKE_PRESSURES_GPA = 2.0
"""Differences that 15 percent have room for: PBE is off by no more at an experimental volume."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A condition that no melt meets; a simulation that meets it is stopped and called unphysical."""

    name: str
    """Also the id of its `fix halt`, which LAMMPS prints when the condition is met."""
    definition: str
    """A LAMMPS equal-style formula."""
    condition: str
    """LAMMPS stops on a value that is not a number, too."""
    reason: str
    commands: tuple[str, ...] = ()
    """What the formula needs beforehand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What is simulated, as far as guards ask."""

    counts: Mapping[str, int]
    """Atoms of each element, copies included."""
    volume_angstrom3: float
    """Of the start frame, copies included."""
    is_exchanged: bool = False
    """Whether atoms of the start frame were exchanged for other elements."""
    warmed_k: float = 0.0
    """The simulation's temperature over that of the run it starts from."""
    pressed_gpa: float = 0.0
    """The same of the pressure."""


def guards(plan: SimulationPlan, pair: PairStyle, contents: Contents) -> list[Guard]:
    """The guards of a simulation, in the order in which LAMMPS asks them."""
    n_atoms = sum(contents.counts.values())
    found = [_energy_guard(), _count_guard(n_atoms), _distance_guard(contents.counts)]
    found += _pair_guards(pair, contents.counts)
    found += [
        _crowding_guard(element, slots, number, r_cut_angstrom=pair.r_cut_angstrom)
        for number, (element, slots) in enumerate(pair.neighbour_slots.items(), start=1)
        if element in contents.counts
    ]
    found.append(_temperature_guard(plan, n_atoms=n_atoms))
    if plan.ensemble == "npt":
        found.append(_volume_guard(contents))
    return found


def guard_lines(plan: SimulationPlan, guarded_by: Sequence[Guard]) -> Iterator[str]:
    """LAMMPS commands that watch them."""
    every = _STEPS_PER_CHECK if plan.keeps_frames else _STEPS_PER_CHECK_WHEN_TIMED
    for guard in guarded_by:
        yield from guard.commands
        yield f"variable        {guard.name} equal {guard.definition}"
        # soft: the run ends in order and those after it are skipped; what was written so far is kept.
        yield f"fix             {guard.name} all halt {every} v_{guard.name} {guard.condition} error soft message yes"


def fault_of_start(
    pair: PairStyle, atomic_numbers: NDArray[np.integer], positions: Floats, *, cell: Floats, is_exchanged: bool = False
) -> str | None:
    """Why no simulation can begin with these atoms; None when it can.

    Parameters
    ----------
    pair
        With what it would be simulated.
    atomic_numbers
        (n_atoms,).
    positions
        (n_atoms, 3), Angstrom, Cartesian.
    cell
        (3, 3), Angstrom, rows a, b, c.
    is_exchanged
        Atoms were exchanged, and are moved apart before anything is watched: only an overlap counts.
    """
    if not (np.isfinite(positions).all() and np.isfinite(cell).all()):
        return "a position of the start frame is not a number"
    elements = [SYMBOLS[number] for number in np.unique(atomic_numbers)]
    kinds = np.unique(atomic_numbers, return_inverse=True)[1]
    closest = closest_by_pair(positions[None], cell[None], kinds, n_types=len(elements))[0]
    limits = _shortest_angstrom(elements)
    for (a, one), (b, other) in combinations_with_replacement(enumerate(elements), 2):
        limit = limits[one, other] if is_exchanged else pair_limit_angstrom(pair, one, other)
        if closest[a, b] < limit:
            return f"{one} and {other} are {closest[a, b]:.3g} Angstrom apart in the start frame, less than {limit:.3g}"
    return None if is_exchanged else _crowding_of_start(pair, atomic_numbers, positions, cell=cell)


def pair_limit_angstrom(pair: PairStyle, one: str, other: str) -> float:
    """How close two atoms may come: never closer than in any melt, nor much closer than in training.

    A rare pair has a large safe distance by chance: no more than the sum of covalent radii counts.
    """
    shortest = _shortest_angstrom([one, other])[one, other]
    safe = pair.safe_distances_angstrom.get("-".join(sorted((one, other))), 0.0)
    touching = float(covalent_radii_angstrom(np.array([atomic_number(one), atomic_number(other)])).sum())
    return max(shortest, _SHARE_OF_SAFE_DISTANCE * min(safe, touching))


def _shortest_angstrom(elements: Sequence[str]) -> dict[tuple[str, str], float]:
    """Of each pair: what no two atoms of a melt come closer than."""
    limits = shortest_trainable_pairs_angstrom(np.array([atomic_number(element) for element in elements]))
    return {(a, b): float(limits[i, j]) for i, a in enumerate(elements) for j, b in enumerate(elements)}


def _crowding_of_start(
    pair: PairStyle, atomic_numbers: NDArray[np.integer], positions: Floats, *, cell: Floats
) -> str | None:
    elements = list(pair.neighbour_slots)
    if not elements:
        return None
    kinds = np.array([elements.index(SYMBOLS[number]) for number in atomic_numbers], dtype=np.int32)
    most = max_neighbours(positions[None], cell[None], kinds, r_cut_angstrom=pair.r_cut_angstrom, n_types=len(elements))
    for element, found in zip(elements, most, strict=True):
        if found > pair.neighbour_slots[element]:
            return (
                f"an atom of the start frame has {found} neighbours of {element}, more than the "
                f"{pair.neighbour_slots[element]} that the potential has slots for"
            )
    return None


def _energy_guard() -> Guard:
    return Guard(name="guard_energy", definition="pe", condition="> 1e300", reason="the energy became infinite")


def _count_guard(n_atoms: int) -> Guard:
    return Guard(name="guard_count", definition="count(all)", condition=f"!= {n_atoms}", reason="atoms were lost")


def _distance_guard(counts: Mapping[str, int]) -> Guard:
    shortest = min(_shortest_angstrom(list(counts)).values())
    return Guard(
        name="guard_distance",
        commands=(
            "compute         pairs all pair/local dist",
            "compute         closest all reduce min c_pairs inputs local",
        ),
        definition="c_closest",
        condition=f"< {shortest:.6g}",
        reason=f"two atoms came closer than {shortest:.3g} Angstrom",
    )


def _pair_guards(pair: PairStyle, counts: Mapping[str, int]) -> Iterator[Guard]:
    """For pairs of elements that are kept farther apart than any two atoms are."""
    shortest = min(_shortest_angstrom(list(counts)).values())
    type_of = {element: number for number, element in enumerate(pair.type_map, start=1)}
    for one, other in combinations_with_replacement(sorted(counts), 2):
        limit = pair_limit_angstrom(pair, one, other)
        if limit > shortest:
            name = f"{one}_{other}"
            yield Guard(
                name=f"guard_distance_{name}",
                commands=(
                    # A group for each element, however often it is told: LAMMPS has room for 32.
                    f"group           {one} type {type_of[one]}",
                    f"compute         near_{name} {one} coord/atom cutoff {limit:.6g} {type_of[other]}",
                    f"compute         nearest_{name} all reduce max c_near_{name}",
                ),
                definition=f"c_nearest_{name}",
                condition="> 0",
                reason=f"{one} and {other} came closer than {limit:.3g} Angstrom, much closer than in training",
            )


def _temperature_guard(plan: SimulationPlan, *, n_atoms: int) -> Guard:
    # Twice the target is far outside the canonical spread of a melt, but not of a handful of atoms.
    spread = sqrt(2 / (3 * n_atoms))
    hottest = plan.temperature_k * max(2.0, 1.0 + 8.0 * spread)
    return Guard(
        name="guard_temperature",
        definition="temp",
        condition=f"> {hottest:.8g}",
        reason=f"the temperature rose above {hottest:.0f} K at a target of {plan.temperature_k:g} K",
    )


def _crowding_guard(element: str, slots: int, type_number: int, *, r_cut_angstrom: float) -> Guard:
    # Neighbours beyond the slots are left out by the model, and the energy is no longer conserved.
    neighbours, most = f"neighbours_{element}", f"most_{element}"
    return Guard(
        name=f"guard_crowding_{element}",
        commands=(
            f"compute         {neighbours} all coord/atom cutoff {r_cut_angstrom:.6g} {type_number}",
            f"compute         {most} all reduce max c_{neighbours}",
        ),
        definition=f"c_{most}",
        condition=f"> {slots}",
        reason=f"an atom had more than the {slots} neighbours of {element} that the potential has slots for",
    )


def _volume_guard(contents: Contents) -> Guard:
    """At other conditions than those of the start frame a sound melt takes another volume."""
    most = _LARGEST_VOLUME_CHANGE_IF_EXCHANGED if contents.is_exchanged else _LARGEST_VOLUME_CHANGE
    expanded = _EXPANSION_PER_K * max(0.0, abs(contents.warmed_k) - _LIKE_TEMPERATURES_K)
    smallest, largest = 1.0 - most - expanded, 1.0 + most + expanded
    if abs(contents.pressed_gpa) > _LIKE_PRESSURES_GPA:
        smallest, largest = min(smallest, 0.5), max(largest, 2.0)
    centre, told = (smallest + largest) / 2, f"more than {most:.0%} away from that"
    if (smallest, largest) != (1.0 - most, 1.0 + most):
        told = f"below {smallest:.2f} or above {largest:.2f} times that"
    return Guard(
        name="guard_volume",
        definition=f'"abs(vol / {centre * contents.volume_angstrom3:.12g} - 1.0)"',
        condition=f"> {(largest - smallest) / 2 / centre:.6g}",
        reason=f"the volume went {told} of the start frame",
    )
