"""Fixed-width decoding gives what `float()` gives, bit for bit, or refuses."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.readers.columns import (
    PADDING,
    NotPlainDecimals,
    RowLayout,
    decimal,
    decimal_rows,
    decode_columns,
    glued_decimals,
)

FORCE_ROW = " %12.5f %12.5f %12.5f    %13.6f %13.6f %13.6f\n"
XML_ROW = "    <v> %16.8f %16.8f %16.8f </v>\n"


def decode(rows: bytes, layout: RowLayout) -> np.ndarray:
    return decode_columns(b" " * PADDING + rows + b" " * PADDING, layout, len(rows) // layout.width)


def learned(row: bytes, n_fields: int = 6) -> RowLayout:
    layout = RowLayout.learn(row, n_fields)
    assert layout is not None
    return layout


@given(st.lists(st.tuples(*[st.floats(-9999, 99999)] * 6), min_size=1, max_size=40))
def test_force_rows_decode_to_the_bits_of_float(values):
    rows = "".join(FORCE_ROW % row for row in values).encode()
    layout = learned((FORCE_ROW % (1, -2, 3, -4, 5, 6)).encode())
    expected = np.array([[float(word) for word in row.split()] for row in rows.splitlines()])
    assert decode(rows, layout).tobytes() == expected.tobytes()


@given(st.lists(st.tuples(*[st.floats(-999999, 9999999)] * 3), min_size=1, max_size=40))
def test_xml_rows_decode_to_the_bits_of_float(values):
    rows = "".join(XML_ROW % row for row in values).encode()
    layout = learned((XML_ROW % (1, -2, 3)).encode(), 3)
    expected = np.array([[float(word) for word in row.split()[1:4]] for row in rows.splitlines()])
    assert decode(rows, layout).tobytes() == expected.tobytes()


@given(st.integers(0, 84), st.integers(0, 255), st.integers(0, 84), st.integers(0, 255))
def test_damaged_row_is_refused_or_reads_as_float_reads_it(first, byte, second, other):
    sound = (FORCE_ROW % (1.5, -22.25, 333.125, -0.000123, 55.5, -6.75)).encode()
    layout, row = learned(sound), bytearray(sound)
    row[first], row[second] = byte, other
    try:
        found = decode(bytes(row), layout)[0]
    except NotPlainDecimals:
        return
    assert [float(row[field.start : field.end]) for field in layout.fields] == found.tolist()


@pytest.mark.parametrize(
    "cell", ["************", "         NaN", "   1.2 34567", "    --1.2345", "  1.2345E+01", "     +1.2345"]
)
def test_what_is_not_a_plain_decimal_is_refused(cell):
    layout = learned(b" %12.5f %12.5f\n" % (1, 2), 2)
    with pytest.raises(NotPlainDecimals, match=r"number|digit|decimal point"):
        decode(f" {cell} {cell}\n".encode(), layout)


def test_negative_zero_keeps_its_sign():
    found = decode(b"   -0.00000    0.00000\n", learned(b"   -1.00000    0.00000\n", 2))
    assert [math.copysign(1, value) for value in found[0]] == [-1, 1]


def test_many_rows_cross_the_tiles():
    values = np.random.default_rng(1).normal(size=(20_000, 6)) * 30
    rows = "".join(FORCE_ROW % tuple(row) for row in values).encode()
    found = decode(rows, learned(rows[:85]))
    assert np.array_equal(found, np.array(rows.split(), dtype=float).reshape(-1, 6))


def test_glued_columns_of_one_row_are_separated_by_their_width():
    row = b"  12.12345-123456.12345   1.00000\n"
    assert decode(row, learned(row, 3)).tolist() == [[12.12345, -123456.12345, 1.0]]


def test_row_that_lost_a_digit_is_not_read():
    layout = learned((FORCE_ROW % (1, 2, 3, 4, 5, 6)).encode())
    line = (FORCE_ROW % (1, 2, 3, 4, 5, 6)).encode().rstrip(b"\n").replace(b"4.000000", b"4.00000")
    assert np.isnan(decimal_rows([line], 6, layout)).all()


def test_asterisks_spoil_their_own_number_only_within_a_row():
    layout = learned((FORCE_ROW % (1, 2, 3, 4, 5, 6)).encode())
    line = (FORCE_ROW % (1, 2, 3, 4, 5, 6)).encode().rstrip(b"\n").replace(b"     4.000000", b"*************")
    assert decimal_rows([line], 6, layout)[0].tolist()[:3] == [1, 2, 3]
    assert np.isnan(decimal_rows([line], 6, layout)[0, 3])


@pytest.mark.parametrize("text", [b"1_0", b"inf", b"0x1", b"", b"1.0 2.0", b"***", b"1\x002"])
def test_only_decimals_are_numbers(text):
    assert math.isnan(decimal(text))


def test_stress_columns_may_touch_without_a_sign():
    assert glued_decimals(b" 12345.67890112345.67890   -1.50000", 3) == [12345.6789, 112345.6789, -1.5]
    assert np.isnan(glued_decimals(b" 1.0 **** 2.0", 4)).all()
