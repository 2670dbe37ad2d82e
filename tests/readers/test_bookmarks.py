"""A growing file read piece by piece ends in what one reading gives, and a replaced file is noticed."""

import dataclasses
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest

from lake.readers.containers import SourceStream
from lake.readers.outcar import OutcarReader
from lake.readers.vasprun import VasprunReader
from schemas.errors import FileReplaced, UnreadableFile
from schemas.frames import Bookmark, FrameBatch

FILES = [
    "h2o-md10/OUTCAR",
    "h2o-md10/vasprun.xml",
    "ti32-aimd-nwrite0/OUTCAR",
    "ti32-aimd-nwrite0/vasprun.xml",
    "ch4-mlff/OUTCAR",
    "ag32h-v522/OUTCAR",
    "zn2-v46/OUTCAR.gz",
    "lips84-npt-langevin/OUTCAR",
    "concat-restart/OUTCAR",
    "bad-outcar-force-stars/OUTCAR",
    "bad-vasprun-force-stars/vasprun.xml",
]
FRAME_NAMES = [field.name for field in dataclasses.fields(FrameBatch)]


def content_of(path: Path) -> bytes:
    raw = path.read_bytes()
    return gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw


def opened(content: bytes, **options):
    source = SourceStream(io.BytesIO(content), "memory")
    is_xml = b"<modeling" in source.peek(1024)
    return (VasprunReader if is_xml else OutcarReader)(source, **options)


def frames_of(batches: list[FrameBatch]) -> list[tuple[object, ...]]:
    """One tuple of bytes per frame: equal if every bit is."""
    rows = []
    for batch in batches:
        for index in range(batch.n_frames):
            values = (getattr(batch, name) for name in FRAME_NAMES)
            rows.append(
                tuple(
                    value if value is None else value[index] if isinstance(value, tuple) else _bits(value[index])
                    for value in values
                )
            )
    return rows


def _bits(value: object) -> bytes:
    array = np.asarray(value)
    return str(array).encode() if array.dtype.kind == "U" else array.tobytes()


def ending(reader) -> tuple[object, ...]:
    header = dataclasses.replace(reader.header, atomic_numbers=reader.header.atomic_numbers.tobytes())
    return dataclasses.asdict(header), dataclasses.asdict(reader.outcome), reader.head_sha256()


def through_json(bookmark: Bookmark) -> Bookmark:
    return Bookmark(**json.loads(json.dumps(dataclasses.asdict(bookmark))))


def read_or_refuse(content: bytes, **options):
    reader = opened(content, **options)
    try:
        return reader, frames_of(list(reader.batches())), ""
    except UnreadableFile as error:
        return reader, [], str(error)


@pytest.mark.parametrize(
    ("name", "chunk_bytes"),
    [*((name, 262_144) for name in FILES), ("h2o-md10/OUTCAR", 10_007), ("h2o-md10/vasprun.xml", 10_007)],
)
def test_file_read_while_it_grows_ends_as_if_it_was_read_once(reference, name, chunk_bytes):
    content = content_of(reference / name)
    start = content.index(b"<calculation>" if b"<modeling" in content[:200] else b" Iteration ")
    bookmark, kept, n_kept = None, [], []
    for cut in np.linspace(start + 1, len(content), 101, dtype=int):
        whole, frames, refusal = read_or_refuse(content[:cut], chunk_bytes=chunk_bytes)
        grown, new, grown_refusal = read_or_refuse(content[:cut], chunk_bytes=chunk_bytes, bookmark=bookmark)
        assert grown_refusal == refusal
        assert kept + new == frames
        assert ending(grown) == ending(whole)
        if (bookmark := grown.bookmark()) is not None:
            bookmark = through_json(bookmark)
        kept = [] if bookmark is None else frames[: bookmark.n_frames]
        n_kept.append(len(kept))
    assert max(n_kept) >= len(frames) // 3
    assert (bookmark is None) == (name == "concat-restart/OUTCAR")


@pytest.mark.parametrize("name", ["h2o-md10/OUTCAR", "h2o-md10/vasprun.xml"])
def test_bookmarked_frames_are_final(reference, name):
    content = (reference / name).read_bytes()
    frames = frames_of(list(opened(content).batches()))
    for cut in range(len(content) // 3, len(content), 7919):
        reader = opened(content[:cut])
        found = frames_of(list(reader.batches()))
        n_final = reader.bookmark().n_frames
        assert n_final >= len(found) - 1
        assert found[:n_final] == frames[:n_final]


@pytest.mark.parametrize("name", ["h2o-md10/OUTCAR", "h2o-md10/vasprun.xml"])
def test_bookmark_of_a_plain_file_serves_its_compressed_copy(reference, name):
    content = (reference / name).read_bytes()
    cut = 2 * len(content) // 3
    first = opened(content[:cut])
    kept = frames_of(list(first.batches()))[: first.bookmark().n_frames]
    grown = opened(gzip.compress(content), bookmark=first.bookmark())
    assert kept + frames_of(list(grown.batches())) == frames_of(list(opened(content).batches()))


@pytest.mark.parametrize("name", ["h2o-md10/OUTCAR", "h2o-md10/vasprun.xml"])
@pytest.mark.parametrize("change", ["beginning", "after the offset", "cut", "cut before the offset"])
def test_replaced_or_shrunk_file_is_noticed(reference, name, change):
    content = (reference / name).read_bytes()
    first = opened(content[: len(content) // 2])
    list(first.batches())
    bookmark = first.bookmark()
    other = {
        "beginning": b"#" + content[1:],
        "after the offset": content[: bookmark.offset + 5] + b"x" + content[bookmark.offset + 6 :],
        "cut": content[: bookmark.content_bytes - 1],
        "cut before the offset": content[: bookmark.offset - 1],
    }[change]
    grown = opened(other, bookmark=bookmark)
    with pytest.raises(FileReplaced, match="are not those that were read before"):
        list(grown.batches())


def test_unchanged_file_gives_only_the_frames_that_are_not_final(reference):
    content = (reference / "h2o-md10/OUTCAR").read_bytes()
    first = opened(content)
    frames = frames_of(list(first.batches()))
    again = opened(content, bookmark=first.bookmark())
    assert frames_of(list(again.batches())) == frames[first.bookmark().n_frames :]
    assert again.bookmark() == first.bookmark()
    assert again.fingerprint() == first.fingerprint()


def test_joined_runs_have_no_bookmark(reference):
    reader = opened((reference / "concat-restart/OUTCAR").read_bytes())
    list(reader.batches())
    assert reader.bookmark() is None


def test_run_of_a_force_field_without_counters_has_a_bookmark(reference):
    content = (reference / "ch4-mlff/OUTCAR").read_bytes()
    lines = content.split(b"     LOOP+:")
    long = b"     LOOP+:".join([*lines[:-4], *[lines[-4]] * 3000, *lines[-4:]])
    first = opened(long)
    frames = frames_of(list(first.batches()))
    longer = b"     LOOP+:".join([*lines[:-4], *[lines[-4]] * 3100, *lines[-4:]])
    assert first.bookmark().n_frames > len(frames) // 2
    grown = opened(longer, bookmark=opened_bookmark(long[:-100_000]))
    assert len(frames_of(list(grown.batches()))) < 2000


def opened_bookmark(content: bytes) -> Bookmark:
    reader = opened(content)
    list(reader.batches())
    return reader.bookmark()


@pytest.mark.parametrize("name", ["h2o-md10/OUTCAR", "ch4-mlff/OUTCAR", "h2o-md10/vasprun.xml"])
def test_digest_of_the_head_names_the_run_however_far_it_is_read(reference, name):
    content = (reference / name).read_bytes()
    digests = {opened(text, chunk_bytes=n).head_sha256() for n in (777, 262_144) for text in (content, content[:-9999])}
    assert digests == {opened(gzip.compress(content)).head_sha256()}
    assert opened(content.replace(b"POTIM", b"PXTIM")).head_sha256() not in digests
