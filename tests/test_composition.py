"""Labels are the partition key of the lake: the same atoms must always give the same one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.composition import (
    canonical_composition,
    composition,
    element_counts,
    formula,
    half_l1_at_percent,
    nearest_counts,
    parse_composition,
)
from schemas.errors import MeltlakeError

COUNTS = st.dictionaries(st.sampled_from(["Al", "Cu", "Ni", "Ti"]), st.integers(1, 600), min_size=1)


def test_whole_percent_elements_sorted():
    assert composition({"Ni": 102, "Al": 307, "Cu": 103}) == "Al60Cu20Ni20"
    assert composition({"Cu": 512}) == "Cu100"
    assert formula({"Ni": 102, "Al": 307, "Cu": 103}) == "Al307Cu103Ni102"


def test_decimals_appear_only_where_a_present_element_would_round_to_zero():
    assert composition({"Al": 511, "Cu": 1}) == "Al99.8Cu0.2"
    assert composition({"Al": 171, "Cu": 171, "Ni": 170}) == "Al33Cu33Ni33"


@given(COUNTS)
def test_every_label_can_be_parsed_and_names_every_element(counts):
    parts = parse_composition(composition(counts))
    assert set(parts) == set(counts)
    total = sum(counts.values())
    assert all(abs(parts[element] - 100 * counts[element] / total) <= 0.5 for element in counts)


@given(COUNTS, st.integers(50, 2000))
def test_nearest_counts_sum_to_the_atoms_and_are_within_one_atom(counts, n_atoms):
    label = composition(counts)
    found, parts = nearest_counts(label, n_atoms), parse_composition(label)
    assert sum(found.values()) == n_atoms
    total = sum(parts.values())
    assert all(abs(found.get(element, 0) - n_atoms * part / total) < 1 for element, part in parts.items())


def test_order_of_elements_does_not_matter_to_a_person():
    assert canonical_composition("Ni20Al60Cu20") == "Al60Cu20Ni20"


def test_distance_is_the_share_of_atoms_to_swap():
    assert half_l1_at_percent("Al50Cu25Ni25", "Al60Cu20Ni20") == pytest.approx(10.0)
    assert half_l1_at_percent("Al100", "Cu100") == pytest.approx(100.0)


@pytest.mark.parametrize("label", ["", "Al", "al60Cu40", "Al60-Cu40", "Al60Cu20", "Xx100"])
def test_what_is_not_a_composition_is_refused(label):
    with pytest.raises(MeltlakeError, match=r"composition|element symbol"):
        parse_composition(label)


def test_atoms_are_counted_by_element():
    assert element_counts(np.array([13, 29, 13, 28])) == {"Al": 2, "Cu": 1, "Ni": 1}
