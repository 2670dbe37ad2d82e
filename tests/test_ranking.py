"""Candidates ranked without a lake: the holes of the paper's grid, and other numbers of elements than three."""

from dataclasses import replace

import numpy as np
import pytest

from operators.physics.local_composition import environments, known_region
from operators.potentials.stored_frames import Geometry
from operators.proposals.knowledge import Knowledge, Melt
from operators.proposals.ranking import candidates, ranked
from schemas.composition import atomic_numbers_of, half_l1_at_percent, nearest_counts

PAPER = (
    *("Al100", "Cu100", "Ni100", "Al50Cu50", "Al50Ni50", "Cu50Ni50"),
    *("Al60Cu20Ni20", "Al20Cu60Ni20", "Al20Cu20Ni60", "Al33Cu33Ni33"),
)
CELL = np.eye(3) * 15.0
SITES = np.stack(np.meshgrid(*[np.arange(6)] * 3), axis=-1).reshape(-1, 3) * 2.5


def known_melts(names, elements):
    """Shaken crystals of 216 atoms with elements at random."""
    rng = np.random.default_rng(0)
    melts, taught = {}, []
    for name in names:
        counts = nearest_counts(name, len(SITES))
        numbers = rng.permutation(atomic_numbers_of([e for e, n in counts.items() for _ in range(n)]))
        frames = [(SITES + rng.normal(0, 0.2, SITES.shape), CELL) for _ in range(8)]
        taught.append(environments(numbers, frames, r_cut_angstrom=6.0))
        last = Geometry(frame=7, atomic_numbers=numbers, cell_angstrom=CELL, positions_angstrom=frames[-1][0])
        melts[name] = Melt(
            composition=name, runs=[], last=last, volume_per_atom_angstrom3=15.6, temperature_k=None, pressure_gpa=None
        )
    return Knowledge(
        potential={}, training_set={"type_map": elements}, r_cut_angstrom=6.0, committee=None, taught=sorted(names),
        region=known_region(taught), melts=melts, deviations_mev_per_angstrom={},
    )  # fmt: skip


@pytest.fixture(scope="module")
def paper():
    return known_melts(PAPER, ["Al", "Cu", "Ni"])


@pytest.fixture(scope="module")
def grid(paper):
    return candidates(paper, step_at_percent=5, trust_mev_per_angstrom=100)


def test_the_largest_holes_of_the_papers_grid_come_first(paper, grid):
    best = ranked(paper, grid, n_wanted=4)
    assert {one.candidate.distance_at_percent for one in best} == {20.0}
    assert max(one.candidate.coverage_frac for one in best) < 0.25
    assert max(one.distance_at_percent for one in grid) == 20.0
    assert all(
        half_l1_at_percent(one.composition, one.nearest_composition) == pytest.approx(one.distance_at_percent, abs=0.51)
        for one in grid
    )


def test_coverage_falls_with_distance_and_the_papers_test_alloy_is_half_known(grid):
    found = {one.composition: one for one in grid}
    assert found["Al50Cu25Ni25"].distance_at_percent == 10.0
    assert 0.3 < found["Al50Cu25Ni25"].coverage_frac < 0.95
    assert found["Al35Cu35Ni30"].coverage_frac > found["Al45Cu30Ni25"].coverage_frac > found["Al80Cu20"].coverage_frac


def test_a_committee_that_agrees_leaves_covered_melts_alone_and_one_that_does_not_asks_for_them(paper, grid):
    covered = {one.composition for one in grid if one.is_covered}
    for worst, expected in ((20.0, covered), (300.0, set())):
        known = replace(paper, deviations_mev_per_angstrom={"Al100": worst, "Ni100": worst})
        found = candidates(known, step_at_percent=5, trust_mev_per_angstrom=100)
        assert {one.composition for one in found if one.is_covered} == expected
    assert covered


@pytest.mark.parametrize("elements", [["Al"], ["Al", "Ni"], ["Al", "Cu", "Fe", "Ni"]])
def test_any_number_of_elements_has_a_grid(elements):
    known = known_melts([f"{element}100" for element in elements], elements)
    found = candidates(known, step_at_percent=20, trust_mev_per_angstrom=100)
    best = ranked(known, found, n_wanted=2)
    assert len(best) == (0 if len(elements) == 1 else 2)
    assert all(one.candidate.distance_at_percent >= 40 for one in best[:1])
