"""Compressed files: every byte they still hold, whatever was cut or damaged, and with either gzip library."""

import bz2
import gzip
import hashlib
import io
import lzma
import zlib

import pytest

from lake.readers import containers
from lake.readers.containers import SourceStream

CONTENT = b"".join(b"%9.5f %13.6f\n" % (n / 7, n / 11) for n in range(20_000))
COMPRESS = {"gzip": lambda data: gzip.compress(data, 6), "bzip2": bz2.compress, "xz": lzma.compress}


@pytest.fixture(params=["isal", "zlib"])
def gzip_library(request, monkeypatch):
    if request.param == "zlib":
        monkeypatch.setattr(containers, "_GZIP", zlib)
        monkeypatch.setattr(containers, "_DAMAGE", (zlib.error, lzma.LZMAError, OSError))
    else:
        pytest.importorskip("isal")


def content_of(raw: bytes) -> tuple[bytes, SourceStream]:
    source, scratch, content = SourceStream(io.BytesIO(raw), "memory"), memoryview(bytearray(50_000)), b""
    while n := source.readinto(scratch):
        content += scratch[:n]
    return content, source


def test_cut_gzip_gives_what_it_still_holds(gzip_library):
    raw = gzip.compress(CONTENT, 6)
    for cut in [*range(18, len(raw), len(raw) // 50), len(raw) - 9, len(raw) - 8, len(raw) - 1]:
        found, source = content_of(raw[:cut])
        held = zlib.decompressobj(31).decompress(raw[:cut])
        assert held.startswith(found)
        assert len(held) - len(found) <= 2  # isal takes up to three characters at once
        assert source.damage == "the compressed file was cut: its end marker is missing"
        assert source.finish().raw_sha256 == hashlib.sha256(raw[:cut]).hexdigest()


def test_wrong_checksum_is_noticed(gzip_library):
    raw = bytearray(gzip.compress(CONTENT))
    raw[-8] ^= 1
    found, source = content_of(bytes(raw))
    assert CONTENT.startswith(found)
    assert source.damage.startswith("the compressed file is damaged")


def test_xz_that_asks_for_gigabytes_of_memory_is_refused():
    modest = [{"id": lzma.FILTER_LZMA2, "preset": 9}]
    assert content_of(lzma.compress(CONTENT, filters=modest))[0] == CONTENT
    raw = bytearray(lzma.compress(CONTENT, filters=modest))
    # The header of the first block says the size of the dictionary in one byte: 36 is 1 GiB. Its checksum ends it.
    end = (raw[12] + 1) * 4 + 12
    raw[12 + 4] = 36
    raw[end - 4 : end] = zlib.crc32(raw[12 : end - 4]).to_bytes(4, "little")
    found, source = content_of(bytes(raw))
    assert (found, source.damage) == (b"", "the compressed file is damaged (Memory usage limit exceeded)")


def test_damaged_byte_in_the_middle_keeps_what_stands_before(gzip_library):
    raw = bytearray(gzip.compress(CONTENT * 9))
    raw[len(raw) // 2 : len(raw) // 2 + 64] = b"\xff" * 64
    found, source = content_of(bytes(raw))
    assert len(found) > len(CONTENT)
    assert found[: len(CONTENT)] == CONTENT
    assert source.damage.startswith("the compressed file")


@pytest.mark.parametrize("kind", COMPRESS)
def test_members_in_a_row_and_zeros_behind_them_are_one_file(gzip_library, kind):
    raw = COMPRESS[kind](CONTENT) + bytes(512) + COMPRESS[kind](b"end\n") + bytes(300_000)
    found, source = content_of(raw)
    assert (found, source.damage) == (CONTENT + b"end\n", None)


@pytest.mark.parametrize("kind", COMPRESS)
def test_text_behind_the_compressed_stream_is_told(gzip_library, kind):
    found, source = content_of(COMPRESS[kind](CONTENT) + b"something else")
    assert found == CONTENT
    assert source.damage == "bytes after the end of the compressed stream were ignored"


@pytest.mark.parametrize("kind", ["bzip2", "xz"])
def test_cut_file_of_another_kind_gives_a_prefix(kind):
    raw = COMPRESS[kind](CONTENT * 8)
    found, source = content_of(raw[: len(raw) // 2])
    assert (CONTENT * 8).startswith(found)
    assert len(found) > len(CONTENT) // 3
    assert "cut" in source.damage


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("n_bytes", [0, 10, 262_144, 300_001, len(CONTENT)])
def test_expected_beginning_is_compared_in_passing(kind, n_bytes):
    for expected, same in ((CONTENT[:n_bytes], True), (b"x" + CONTENT[:n_bytes], False)):
        source = SourceStream(io.BytesIO(COMPRESS[kind](CONTENT)), "memory")
        source.expect(n_bytes, hashlib.sha256(expected).hexdigest())
        source.finish()
        assert source.is_as_expected is same
