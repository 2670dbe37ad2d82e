"""Volumes of melts that nobody computed: between known ones as these tell, beyond them never far from crystals."""

import numpy as np
import pytest

from operators.physics.composition_space import simplex_grid
from operators.physics.melt_volumes import foretold_volumes
from schemas.elements import crystal_volumes_angstrom3
from schemas.errors import MeltlakeError

AL_CU = np.array([16.6, 11.8])
NEAR = np.array([[100.0, 0.0], [95.0, 5.0]])
FAR = np.array([[60.0, 40.0], [0.0, 100.0]])


@pytest.mark.parametrize("second", [18.6, 17.0])
def test_two_near_melts_of_unlike_heat_foretell_no_impossible_volume_far_away(second) -> None:
    found = foretold_volumes(FAR, NEAR, volumes=np.array([18.0, second]), of_crystals=AL_CU)
    np.testing.assert_allclose(found.volumes_angstrom3, [15.9, 12.8], rtol=0.03)
    assert found.is_guessed.all()


def test_between_known_melts_their_volumes_are_additive() -> None:
    known = np.array([[100.0, 0.0], [0.0, 100.0]])
    found = foretold_volumes(np.array([[60.0, 40.0]]), known, volumes=np.array([19.0, 13.0]), of_crystals=AL_CU)
    np.testing.assert_allclose(found.volumes_angstrom3, 0.6 * 19 + 0.4 * 13)
    assert not found.is_guessed.any()


def test_a_known_melt_keeps_its_volume_and_its_neighbours_are_near_it() -> None:
    known = np.array([[50.0, 50.0], [70.0, 30.0]])
    points = np.array([[50.0, 50.0], [49.0, 51.0], [45.0, 55.0]])
    found = foretold_volumes(points, known, volumes=np.array([15.2, 16.3]), of_crystals=AL_CU).volumes_angstrom3
    np.testing.assert_allclose(found, 15.2, rtol=0.03)
    assert found[0] == pytest.approx(15.2, rel=1e-9)


def test_no_melt_of_a_grid_is_larger_or_smaller_than_crystals_allow() -> None:
    points, own = simplex_grid(3, step_at_percent=10), np.array([16.6, 11.8, 10.9])
    known = np.array([[60.0, 20.0, 20.0], [58.0, 22.0, 20.0], [60.0, 22.0, 18.0]])
    grown = np.array([1.10, 1.16, 1.13])
    found = foretold_volumes(points, known, volumes=grown * (known @ own) / 100, of_crystals=own)
    ratios = found.volumes_angstrom3 / (points @ own / 100)
    assert 1.10 - 1e-9 <= ratios.min() <= ratios.max() <= 1.16 + 1e-9


def test_an_element_without_a_crystal_takes_the_volume_of_melts_nearby() -> None:
    found = foretold_volumes(FAR, NEAR, volumes=np.array([18.0, 18.6]), of_crystals=np.array([16.6, np.nan]))
    assert ((found.volumes_angstrom3 >= 18.0) & (found.volumes_angstrom3 <= 18.6)).all()
    assert found.is_guessed.all()


def test_nothing_is_foretold_from_melts_without_a_volume() -> None:
    with pytest.raises(MeltlakeError, match="needed one that is known, found none"):
        foretold_volumes(FAR, NEAR, volumes=np.array([np.nan, 0.0]), of_crystals=AL_CU)


def test_crystals_of_metals_have_their_densities() -> None:
    numbers = np.array([3, 13, 26, 29, 79, 92])  # Li, Al, Fe, Cu, Au, U; g/cm3: 0.534 2.70 7.87 8.96 19.3 19.1
    np.testing.assert_allclose(crystal_volumes_angstrom3(numbers), [21.6, 16.6, 11.8, 11.8, 16.9, 20.7], rtol=0.01)
    assert np.isnan(crystal_volumes_angstrom3(np.array([1, 18]))).all()
