"""How the report draws: axes that begin at zero, and potentials that can be told apart however many there are."""

import re

import numpy as np
import pytest

from operators.report.drawing.scales import scale_over
from operators.report.page import Group, with_error
from operators.report.potentials import training_section


def curve(recipe, seed, force, *, virial=5.0, training_set_id="t1"):
    of = {"potential_id": f"{recipe}.{seed}.{training_set_id}", "recipe": recipe, "seed": seed}
    errors = {"rmse_energy_mev_per_atom": 2.0, "rmse_force_mev_per_angstrom": force, "rmse_virial_mev_per_atom": virial}
    return [of | errors | {"step": step} for step in (10, 100)]


def drawn(rows):
    """Words and colours of the legend of the learning curves, and the caption."""
    section = training_section(Group("Al-Ni", synthetic=False), lambda _: rows)
    svg = str(section.figures[0].picture.svg)
    keys = re.findall(r'<g class="key".*?stroke="(#\w+)".*?>([^<]+)</text>', svg)
    return [(words, colour) for colour, words in keys], section


@pytest.mark.parametrize(("lowest", "begins"), [(0.0, 0.0), (0.02, 0.0), (-0.02, 0.0), (-0.5, -0.625)])
def test_an_axis_begins_at_zero_where_only_an_error_bar_ends_just_below(lowest, begins):
    assert scale_over(np.array([lowest, 2.625])).low == pytest.approx(begins)


def test_a_potential_has_one_colour_in_all_panels_also_where_another_has_no_virial():
    keys, _ = drawn([*curve("DP-1", 1, 70.0, virial=None), *curve("DP-2", 1, 68.0)])
    assert [words for words, _ in keys] == ["DP-1", "DP-2"]
    assert len({colour for _, colour in keys}) == 2


def test_potentials_of_one_recipe_and_seed_have_names_of_their_own():
    rows = [*curve("DP-2", 1, 70.0), *curve("DP-2", 1, 71.0, training_set_id="t2"), *curve("DP-2", 2, 72.0)]
    keys, _ = drawn(rows)
    assert [words for words, _ in keys] == ["DP-2, seed 1, DP-2.1.t1", "DP-2, seed 1, DP-2.1.t2", "DP-2, seed 2"]


def test_of_many_potentials_the_best_are_drawn_and_all_are_in_the_table():
    rows = [row for place in range(14) for row in curve(f"DP-{place + 1}", 1, 80.0 - place)]
    keys, section = drawn(rows)
    assert [words for words, _ in keys] == [f"DP-{place}" for place in range(7, 15)]
    assert "Of 14 potentials the 8 with the smallest force error are drawn." in section.caption
    assert len(section.grids[0].rows) == 14


@pytest.mark.parametrize(("value", "told"), [(-0.0004, "0.000 ± 0.001"), (-0.0006, "-0.001 ± 0.001")])
def test_a_number_that_rounds_to_zero_has_no_sign(value, told):
    assert with_error(value, 0.001, 3) == told
