"""Fixed-width decoding gives what `float()` gives, bit for bit, or refuses."""

import math
import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
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


NUMBERS = st.one_of(st.floats(-99, 999), st.floats(-9999, 99999), st.sampled_from([0.0, -0.0, 999.5, -99.5, 1000.0]))
LAYOUTS = {
    "force table": (FORCE_ROW, 6, 0),
    "force table with line ends of Windows": (FORCE_ROW.replace("\n", "\r\n"), 6, 0),
    "force table of vdW-DF": (FORCE_ROW[:-1] + " %14.6f %14.6f %14.6f\n", 6, 3),
    "positions in XML": (XML_ROW, 3, 0),
    "forces in XML": (XML_ROW[1:], 3, 0),
    "XDATCAR": ("%12.8f %12.8f %12.8f\n", 3, 0),
    "two characters before the point": ("%8.3f%8.3f%8.3f\n", 3, 0),
}


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=30)
@given(data=st.data())
def test_rows_decode_to_the_bits_of_float(name, data):
    row_format, n_fields, spare = LAYOUTS[name]
    bound = 99 if "%8" in row_format or "%12.8" in row_format else 99999
    number = NUMBERS.map(lambda value: max(min(value, bound), -bound / 10))
    values = data.draw(st.lists(st.tuples(*[number] * (n_fields + spare)), min_size=1, max_size=30))
    rows = "".join(row_format % row for row in values).encode()
    layout = RowLayout.learn((row_format % tuple(range(1, 1 + n_fields + spare))).encode(), n_fields, spare=spare)
    expected = [[float(text) for text in _cells(row_format, row)[:n_fields]] for row in values]
    assert decode(rows, layout).tobytes() == np.array(expected).tobytes()


def _cells(row_format: str, values: tuple[float, ...]) -> list[str]:
    formats = re.findall(r"%\d+\.\d+f", row_format)
    return [one % value for one, value in zip(formats, values, strict=True)]


@given(decimals=st.integers(1, 8), values=st.lists(st.one_of(st.floats(-99, 999), st.floats(-1e5, 1e6)), min_size=1))
def test_any_number_of_decimals_decodes_to_the_bits_of_float(decimals, values):
    lines = [b"%16.*f" % (decimals, value) for value in values]
    layout = learned(b"%16.*f\n" % (decimals, 1.0), 1)
    expected = np.array([float(line) for line in lines])
    assert decode(b"\n".join(lines) + b"\n", layout).tobytes() == expected.tobytes()


def test_nine_decimals_are_not_for_the_column_decoder():
    assert RowLayout.learn(b"   1.123456789\n", 1) is None
    assert decimal_rows([b"   1.123456789"], 1, None).tolist() == [[1.123456789]]


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=30)
@given(data=st.data())
def test_short_numbers_with_a_damaged_byte_are_refused_or_read_as_float_reads_them(name, data):
    row_format, n_fields, spare = LAYOUTS[name]
    number = st.floats(-9, 99)
    row = bytearray((row_format % data.draw(st.tuples(*[number] * (n_fields + spare)))).encode())
    layout = RowLayout.learn((row_format % tuple(range(1, 1 + n_fields + spare))).encode(), n_fields, spare=spare)
    for _ in range(data.draw(st.integers(1, 2))):
        row[data.draw(st.integers(0, layout.width - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode(bytes(row), layout)[0]
    except NotPlainDecimals:
        return
    assert [float(row[field.start : field.end]) for field in layout.fields] == found.tolist()


def test_every_short_form_and_nothing_else_is_looked_up():
    layout = learned(b"  1.00\n", 1)
    characters = b" -0129+.x"
    for text in (bytes(three) for three in product(characters, repeat=3)):
        is_right = re.fullmatch(rb" *-?[0-9]+", text) is not None
        try:
            found = decode(text + b".25\n", layout)[0, 0]
        except NotPlainDecimals:
            assert not is_right
        else:
            assert is_right
            assert found == float(text + b".25")


def test_one_long_number_among_short_ones_changes_nothing_else():
    values = np.random.default_rng(2).normal(size=(9000, 6)) * 20
    values[8500, 2] = -12345.25
    rows = "".join(FORCE_ROW % tuple(row) for row in values).encode()
    assert np.array_equal(decode(rows, learned(rows[:85])), np.array(rows.split(), dtype=float).reshape(-1, 6))


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


@pytest.mark.parametrize(("width", "decimals"), [(5, 1), (6, 1), (6, 2), (7, 1), (7, 2), (7, 3), (8, 3), (9, 4)])
def test_narrow_columns_do_not_reach_into_their_neighbours(width, decimals):
    numbers = [[0.5, 0.25, 0.125], [1.75, -2.5, 3.875], [-0.25, 9.0, 0.0]]
    texts = ["".join(f"{number:{width}.{decimals}f}" for number in row) for row in numbers]
    rows = "".join(f"{text}\n" for text in texts).encode()
    layout = learned(rows[: rows.index(b"\n") + 1], 3)
    wanted = [[float(text[at : at + width]) for at in range(0, 3 * width, width)] for text in texts]
    assert decode(rows, layout).tolist() == wanted
