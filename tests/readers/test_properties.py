"""Damaged files of every format: never a crash, a hang, or a frame that is wrong and not flagged.

`MELTLAKE_TEST_EXAMPLES=3000 pytest tests/readers/test_properties.py` is a campaign of some hours with new examples;
without it the same few examples are tried every time.
"""

import bz2
import gzip
import io
import lzma
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.readers.containers import SourceStream
from lake.readers.extxyz import ExtxyzReader
from lake.readers.lammps_dump import LammpsDumpReader
from lake.readers.ml_ab import MlAbReader
from lake.readers.outcar import OutcarReader
from lake.readers.vasprun import VasprunReader
from lake.readers.xdatcar import XdatcarReader
from schemas.errors import FileReplaced, UnreadableFile
from tests.readers.damage import (
    TEXTS,
    Reading,
    is_another_number,
    read,
    read_places,
    reading_of,
    same,
    sound_file,
    wrong_frames,
)

N_EXAMPLES = int(os.environ.get("MELTLAKE_TEST_EXAMPLES", "24"))
_READERS = {
    "outcar": OutcarReader,
    "vasprun": VasprunReader,
    "xdatcar": XdatcarReader,
    "ml_ab": MlAbReader,
    "extxyz": ExtxyzReader,
    "lammps_dump": LammpsDumpReader,
}
_BOOKMARKED = [name for name in TEXTS if name.split(",")[0] in {"outcar", "vasprun", "xdatcar"}]
_USUAL_BYTES = st.sampled_from(list(b"0123456789.- *\n\r\0ax"))
_WHOLE: dict[str, Reading] = {}

pytestmark = pytest.mark.usefixtures("reference")
every_text = pytest.mark.parametrize("name", TEXTS)
some_examples = settings(
    max_examples=N_EXAMPLES,
    derandomize="MELTLAKE_TEST_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


def whole(name, tmp_path):
    if name not in _WHOLE:
        read(tmp_path / "run", sound_file(name))  # the first reading of a format fills tables
        _WHOLE[name] = read(tmp_path / "run", sound_file(name))
    return _WHOLE[name]


def reread(name, content, tmp_path):
    """The reading of a damaged file within the time that is allowed; None if it was refused."""
    try:
        found = read(tmp_path / "run", content)
    except UnreadableFile:
        return None
    assert found.seconds < 20 * whole(name, tmp_path).seconds + 1
    return found


def opened(name, content, **options):
    kind = name.split(",")[0].removesuffix(" of MACE")
    return _READERS[kind](SourceStream(io.BytesIO(content), name), **options)


def all_of(reader):
    return reading_of(list(reader.batches()), reader.outcome)


@st.composite
def positions(draw, name):
    """A place in a file: anywhere, or where a reader looks."""
    places = read_places(name)
    return draw(st.integers(0, len(sound_file(name)) - 1) | st.sampled_from(places))


@every_text
def test_chunk_size_changes_nothing(name, tmp_path):
    @some_examples
    @given(st.integers(16, 1 << 20) | st.sampled_from([101, 4096, 65_536]))
    def check(chunk_bytes):
        chunk_bytes = max(chunk_bytes, len(sound_file(name)) // 2000)  # each piece costs a search of the window
        assert same(all_of(opened(name, sound_file(name), chunk_bytes=chunk_bytes)), wanted)

    wanted = all_of(opened(name, sound_file(name)))
    check()


@every_text
def test_single_bytes_are_chunks_too(name):
    content = sound_file(name)[:20_000]
    outcomes = []
    for chunk_bytes in (len(content), 1):
        try:
            outcomes.append(all_of(opened(name, content, chunk_bytes=chunk_bytes)))
        except UnreadableFile as error:
            outcomes.append(str(error))
    one, other = outcomes
    assert one == other if isinstance(one, str) else same(one, other)


@every_text
def test_flipped_byte_never_makes_a_wrong_frame_without_a_flag(name, tmp_path):
    @some_examples
    @given(positions(name), st.integers(0, 255) | _USUAL_BYTES)
    def check(at, byte):
        content = sound_file(name)
        damaged = content[:at] + bytes([byte]) + content[at + 1 :]
        found = reread(name, damaged, tmp_path)
        problems = [] if found is None else wrong_frames(whole(name, tmp_path), found)
        assert not problems or is_another_number(content, damaged, at), (content[at - 40 : at + 20], byte)

    check()


@every_text
def test_run_of_nul_bytes_never_makes_a_wrong_frame_without_a_flag(name, tmp_path):
    @some_examples
    @given(positions(name), st.integers(1, len(sound_file(name))) | st.sampled_from([8, 100, 512, 4096]))
    def check(at, n_bytes):
        content = sound_file(name)
        n_bytes = min(n_bytes, len(content) - at)
        found = reread(name, content[:at] + bytes(n_bytes) + content[at + n_bytes :], tmp_path)
        assert found is None or not wrong_frames(whole(name, tmp_path), found), (at, n_bytes)

    check()


@every_text
def test_cut_file_gives_a_prefix(name, tmp_path):
    @some_examples
    @given(positions(name))
    def check(at):
        found = reread(name, sound_file(name)[:at], tmp_path)
        if found is None:
            return
        wanted = whole(name, tmp_path)
        assert len(found.frames) <= len(wanted.frames)
        problems = wrong_frames(wanted, found)
        # Formats whose files have no end cannot tell a cut between two frames.
        assert [text for text in problems if "vanished" not in text] == []
        assert [found.key(index) for index in range(len(found.frames))] == [
            wanted.key(index) for index in range(len(found.frames))
        ]

    check()


@every_text
def test_frames_before_the_damage_are_untouched(name, tmp_path):
    @some_examples
    @given(positions(name), st.binary(min_size=1, max_size=200))
    def check(at, garbage):
        content = sound_file(name)
        try:
            before = all_of(opened(name, content[:at]))
            found = all_of(opened(name, content[:at] + garbage + content[at + len(garbage) :]))
        except UnreadableFile:
            return
        n_before = max(len(before.frames) - 2, 0)  # what follows a frame may belong to it
        assert [found.key(index) for index in range(n_before)] == [before.key(index) for index in range(n_before)]
        assert found.faults[:n_before] == before.faults[:n_before]

    check()


@every_text
def test_dos_line_ends_give_the_same_numbers(name, tmp_path):
    found = reread(name, sound_file(name).replace(b"\n", b"\r\n"), tmp_path)
    assert found is not None
    wanted = whole(name, tmp_path)
    assert (found.faults, len(found.frames)) == (wanted.faults, len(wanted.frames))
    assert not wrong_frames(wanted, found)


@every_text
@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_damaged_archive_gives_a_prefix_or_is_refused(name, compress, tmp_path):
    @settings(some_examples, max_examples=max(N_EXAMPLES // 3, 1))
    @given(st.floats(0, 1), st.sampled_from(["cut", "flip", "nul"]), st.integers(1, 255))
    def check(place, kind, byte):
        at = int(place * (len(archive) - 1))
        tail = {"cut": b"", "flip": bytes([archive[at] ^ byte]) + archive[at + 1 :], "nul": bytes(100)}[kind]
        found = reread(name, archive[:at] + tail, tmp_path)
        assert found is None or not [text for text in wrong_frames(wanted, found) if "vanished" not in text]

    archive, wanted = compress(sound_file(name)), whole(name, tmp_path)
    check()


@pytest.mark.parametrize("name", _BOOKMARKED)
def test_file_that_went_on_badly_is_read_on_as_if_it_was_read_once(name):
    @some_examples
    @given(st.floats(0.2, 1), positions(name), st.integers(0, 255))
    def check(part, at, byte):
        content = sound_file(name)
        try:
            first = opened(name, content[: int(part * len(content))])
            kept = all_of(first)
        except UnreadableFile:
            return
        bookmark = first.bookmark()
        if bookmark is None:
            return
        damaged = content[:at] + bytes([byte]) + content[at + 1 :]
        try:
            rest = all_of(opened(name, damaged, bookmark=bookmark))
            again = all_of(opened(name, damaged))
        except FileReplaced:
            assert at < bookmark.content_bytes
            return
        except UnreadableFile:
            return
        n_kept = bookmark.n_frames
        joined = Reading(kept.frames[:n_kept] + rest.frames, kept.faults[:n_kept] + rest.faults, rest.outcome, 0.0)
        assert same(joined, again)

    check()


def test_damaged_hdf5_is_read_or_refused(tmp_path):
    @some_examples
    @given(st.floats(0, 1), st.binary(min_size=1, max_size=600) | st.integers(1, 4096).map(bytes))
    def check(place, garbage):
        content = sound_file("vaspout_h5")
        at = int(place * (len(content) - 1))
        reread("vaspout_h5", content[:at] + garbage + content[at + len(garbage) :], tmp_path)

    check()


def test_cut_hdf5_is_refused(tmp_path):
    @some_examples
    @given(st.integers(0, len(sound_file("vaspout_h5")) - 1))
    def check(at):
        with pytest.raises(UnreadableFile, match=r"HDF5|empty|needed one of"):
            read(tmp_path / "run", sound_file("vaspout_h5")[:at])

    check()
