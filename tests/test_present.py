"""What people read in a terminal: tables fit, and nothing is lost."""

from decimal import Decimal

import pytest

from operators.present import as_cell, as_size, as_table, as_text

WIDE = [{f"column_{i}": i * row for i in range(20)} for row in (1, 2)]


def test_a_table_that_fits_is_one_block_with_numbers_to_the_right():
    told = as_table([{"name": "Al100", "n": 5}, {"name": "Al", "n": Decimal(12345)}], width=80)
    assert told.splitlines() == ["name       n", "-----  -----", "Al100      5", "Al     12345"]


@pytest.mark.parametrize("width", [80, 40, 132])
def test_a_wide_table_is_folded_and_loses_no_column(width):
    told = as_table(WIDE, width=width)
    assert max(map(len, told.splitlines())) <= width
    headers = [line for line in told.splitlines() if line.lstrip().startswith("column_0")]
    assert [name for line in headers for name in line.split()[1:]] == [f"column_{i}" for i in range(1, 20)]


def test_a_path_through_folders_with_blanks_is_a_path():
    deep = "/data/" + "many folders deep/" * 8 + "OUTCAR.gz"
    table = as_table([{"path": deep, "reason": f"{deep}: needed a frame, found none. Look at it."}], width=80)
    assert "deep/many folders deep/OUTCAR.gz" in table
    assert "/data/many folders deep/many folders..." in table


def test_the_end_of_a_path_and_the_beginning_of_a_sentence_are_kept():
    rows = [{"path": "/a/long/way/to/the/raw/files/of/the/run/OUTCAR", "cause": "The file ends before its end." * 3}]
    told = as_table(rows, width=80)
    assert max(map(len, told.splitlines())) <= 80
    assert "run/OUTCAR" in told
    assert "The file ends before" in told


def test_a_plan_keeps_its_lines():
    assert as_table([{"plan": "one\n  two"}], width=80) == "plan:\none\n  two"


def test_a_single_column_may_have_the_whole_line():
    assert as_table([{"uri": "x" * 75}], width=80).splitlines()[2] == "x" * 75


@pytest.mark.parametrize(
    ("n_bytes", "told"), [(0, "0 bytes"), (999, "999 bytes"), (21723598, "21.7 MB"), (10**15, "1 PB")]
)
def test_sizes_are_told_in_units(n_bytes, told):
    assert as_size(n_bytes) == told


def test_cells_are_words():
    values = (None, True, False, 0.1234567, [1, None], [])
    assert [as_cell(value) for value in values] == ["-", "true", "false", "0.123457", "1, -", "-"]


def test_sentences_stand_one_below_the_other_and_words_beside_each_other():
    told = as_text({"skipped": ["It is too short.", "It has no stress."], "elements": ["Al", "Ni"]})
    assert told.splitlines() == ["skipped:", "  It is too short.", "  It has no stress.", "elements: Al, Ni"]
