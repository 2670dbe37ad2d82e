"""Tables without fixed columns: the same doubles as `float()` whichever decoder takes them; lines in any pieces."""

import io
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lake.readers.lines import LineReader
from lake.readers.word_tables import TableDecoder

_NUMBERS = {b"Al": 13, b"Cu": 29, b"O": 8}
some_examples = settings(max_examples=150, deadline=None, derandomize=True, database=None)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.floats(-100, 100)
ways = st.sampled_from(["{!r}", "{:.6g}", "{:16.8f}", "{:.15g}", "{:+.3e}", "{:.17g}", "{:12.6f}"])


def decoder(n_columns, words=(0,)):
    return TableDecoder(n_columns, words, lambda name: _NUMBERS.get(name, 0))


def same_bits(one, other):
    return np.array_equal(one.view(np.uint64), other.view(np.uint64))


@some_examples
@given(st.lists(st.tuples(*[numbers] * 3), min_size=1, max_size=20), ways, st.sampled_from([" ", "  ", "\t", " \t "]))
@example([(-0.0, 5e-324, 1.7976931348623157e308)], "{!r}", " ")
@example([(0.1, 0.2, 0.30000000000000004), (9007199254740993.0, 1e22, 1e23)], "{:.17g}", " ")
@example([(0.5, 0.25, 0.125), (1.5, 2.25, 3.125)], "{:6.3f}", " ")
@example([(123.12345678, -1.0, 0.5), (-0.00000001, 99999.5, -999999.12345678)], "{:16.8f}", " ")
def test_every_number_is_what_float_gives(rows, way, blank):
    words = [[way.format(number) for number in row] for row in rows]
    text = "".join(f"Al{blank}{blank.join(row)}\n" for row in words).encode()
    (table,) = decoder(4).tables([text], [len(rows)])
    assert (table[:, 0] == 13).all()
    assert same_bits(table[:, 1:].copy(), np.array([[float(word) for word in row] for row in words]))


@pytest.mark.parametrize("row", ["Al 1.0 x 2.0", "Al 1.0 2.0", "Al 1.0 2.0 3.0 4.0", "Al 1.\0 2.0 3.0", ""])
def test_wrong_row_spoils_no_other_table(row):
    good = b"Cu 1.5 -2.5 3.5\nO  0.5 1e-3 7\n"
    texts = [good, f"Al 0.5 1.5 2.5\n{row}\n".encode(), good]
    one, spoiled, other = decoder(4).tables(texts, [2, 2, 2])
    assert same_bits(one, other)
    assert one.tolist() == [[29, 1.5, -2.5, 3.5], [8, 0.5, 1e-3, 7]]
    assert spoiled is None or np.isnan(spoiled[1, 2])


@pytest.mark.parametrize(
    "damage", ["1.x5000000", "1_25000000", "        nan", "0x12500000", "1.25D+0000", "***********"]
)
def test_columns_of_fixed_width_fall_back_to_words(damage):
    rows = [f"Al{1.25:17.8f}{-2.5:17.8f}\n", f"O {0.125:17.8f}{damage:>17s}\n"]
    ((first,), (second,)) = (decoder(3).tables([row.encode()], [1]) for row in rows)
    (both,) = decoder(3).tables(["".join(rows).encode()], [2])
    assert same_bits(both, np.vstack([first, second]))
    assert second[0, 1] == 0.125
    assert np.isnan(second[0, 2]) or second[0, 2] == 1.25


def test_carriage_return_within_a_row_begins_no_row():
    (table,) = decoder(2).tables([b"Al 1.0\rCu 2.0\n"], [2])
    assert table is None
    (dos,) = decoder(2).tables([b"Al 1.0\r\nCu 2.0\r\n"], [2])
    assert dos.tolist() == [[13, 1.0], [29, 2.0]]


def test_unknown_words_are_told():
    words = decoder(3, words=(1,))
    (table,) = words.tables([b"1 Al 0.5\n2 Qq 0.5\n3 Zz 1.5\n4 Qq 2.5\n"], [4])
    assert table[:, 1].tolist() == [13, -1, -2, -1]
    assert words.unknown == [b"Qq", b"Zz"]


@some_examples
@given(
    st.binary(max_size=300) | st.from_regex(rb"(?:[a-c\0]{0,5}\n){0,30}[a-c]{0,4}", fullmatch=True), st.integers(1, 40)
)
def test_lines_are_those_of_the_text_whatever_the_chunks(text, chunk_bytes):
    wanted = re.findall(rb"[^\n]*\n", text)
    lines = LineReader(io.BytesIO(text), chunk_bytes)
    assert lines.peek(2, behind=1) == wanted[1:3]
    assert lines.text(3) == b"".join(wanted[:3])
    found = [line for _ in range(len(text) + 1) for line in lines.take(1)]
    assert found == wanted
    assert lines.rest == text[sum(map(len, wanted)) :]
    assert lines.has_hole == (b"\0" in text)


@pytest.mark.parametrize("chunk_bytes", [1000, 1 << 20])
def test_megabytes_without_a_newline_come_in_pieces(chunk_bytes):
    lines = LineReader(io.BytesIO(b"x" * 2_500_000 + b"\nlast\n"), chunk_bytes)
    assert [len(line) for line in lines.take(10)] == [1_048_577, 1_048_577, 402_849, 5]


def test_first_line_that_begins_so_is_found():
    lines = LineReader(io.BytesIO(b"1 ITEM: 2\n3\nITEM: 4\n"), 4)
    assert [lines.find(b"ITEM:", n_lines) for n_lines in (2, 3, 9)] == [None, 2, 2]
    lines.pass_by(2)
    assert lines.find(b"ITEM:", 1) == 0
