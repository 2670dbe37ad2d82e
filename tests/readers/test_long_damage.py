"""Damage of any length: memory stays what it was, what is complete is kept, and chunks change nothing."""

import tracemalloc
from itertools import chain, repeat

import pytest

from lake.readers import ml_ab_configurations, vasprun
from lake.readers.containers import SourceStream
from lake.readers.ml_ab import MlAbReader
from lake.readers.vasprun import VasprunReader
from tests.readers.damage import reading_of, same, sound_file

pytestmark = pytest.mark.usefixtures("reference")
_READERS = {"vasprun": VasprunReader, "ml_ab": MlAbReader}
_GARBAGE = b"garbage " * 8192
PLACES = [
    ("vasprun", b"  <scstep>\n", "between electronic steps"),
    ("vasprun", b"<structure>\n", "before the positions"),
    ("vasprun", b'<varray name="forces" >\n', "in the forces"),
    ("vasprun", b'<energy>\n   <i name="e_fr_energy"> ', "in the energy"),
    ("ml_ab", b"Configuration num.", "in the head of a configuration"),
    ("ml_ab", b"Atomic positions (ang.)", "in the positions"),
    ("ml_ab", b"Stress (kbar)", "behind the forces"),
]
anywhere = pytest.mark.parametrize(("name", "token"), [place[:2] for place in PLACES], ids=[p[2] for p in PLACES])


class Pieces:
    """A file that never is in memory."""

    def __init__(self, pieces):
        self._pieces, self._rest = iter(pieces), b""

    def readinto(self, memory):
        while not self._rest and (piece := next(self._pieces, None)) is not None:
            self._rest = piece
        n = min(len(memory), len(self._rest))
        memory[:n], self._rest = self._rest[:n], self._rest[n:]
        return n

    def close(self):
        pass


def damaged(name, token, n_pieces):
    """A sound file with garbage in its second step."""
    content = sound_file(name)
    steps = {"vasprun": b"<calculation>", "ml_ab": b"Configuration num."}[name]
    at = content.index(token, content.index(steps, content.index(steps) + 1)) + len(token)
    return chain([content[:at]], repeat(_GARBAGE, n_pieces), [content[at:]])


def read(name, pieces, **options):
    reader = _READERS[name](SourceStream(Pieces(pieces), name), **options)
    return reading_of(list(reader.batches()), reader.outcome)


def peak_bytes(name, pieces):
    tracemalloc.start()
    try:
        read(name, pieces)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@anywhere
def test_memory_does_not_grow_with_the_damage(name, token):
    few, many = (peak_bytes(name, damaged(name, token, n_pieces)) for n_pieces in (200, 800))  # 13 and 52 MB
    assert many < few + 1_000_000


@anywhere
def test_steps_before_and_behind_the_damage_are_kept(name, token):
    whole, found = read(name, [sound_file(name)]), read(name, damaged(name, token, 200))
    steps = {int(frame["ionic_step"]): frame for frame in whole.frames}
    sound = [frame for frame, faults in zip(found.frames, found.faults, strict=True) if "text_lost" not in faults]
    assert len(sound) == len(whole.frames) - 1
    assert found.outcome.n_incomplete == len(whole.frames) - len(found.frames)
    for frame in sound:
        assert (frame["forces_ev_per_angstrom"] == steps[int(frame["ionic_step"])]["forces_ev_per_angstrom"]).all()


@anywhere
def test_chunks_change_nothing(name, token, monkeypatch):
    for module in (vasprun, ml_ab_configurations):
        for limit in ("_LONGEST_LOOP", "_LONGEST_STEP", "_LONGEST_BLOCK", "_LONGEST_HEAD"):
            monkeypatch.setattr(module, limit, 8000, raising=False)
    content = b"".join(damaged(name, token, 1))
    content = content.replace(_GARBAGE, _GARBAGE[:20_000])
    one, other = (read(name, [content], chunk_bytes=chunk_bytes) for chunk_bytes in (1, len(content)))
    assert same(one, other)
    assert len(one.frames) + one.outcome.n_incomplete == one.outcome.n_ionic_steps


def test_configurations_that_all_lost_their_titles_are_counted():
    content = sound_file("ml_ab")
    first = content.index(b"Configuration num.")
    head, one = content[:first], content[first : content.index(b"Configuration num.", first + 1)]
    nameless = one.replace(b"Configuration num.", b"Configuratiom num.")
    few, many = (read("ml_ab", chain([head, one], repeat(nameless, n))) for n in (10, 3000))
    assert [len(few.frames), len(many.frames)] == [1, 1]
    assert [few.outcome.n_incomplete, many.outcome.n_incomplete] == [10, 3000]
    sizes = [peak_bytes("ml_ab", chain([head, one], repeat(nameless, n))) for n in (6000, 12_000)]
    assert sizes[1] < sizes[0] + 1_000_000


@pytest.mark.parametrize("lost", [(b"</energy>",), (b"</energy>", b"</calculation>"), (b"</varray>", b"</energy>")])
def test_lost_ends_of_many_steps_are_not_waited_for(lost):
    content = sound_file("vasprun")
    start, end = content.index(b" <calculation>"), content.rindex(b"</calculation>\n") + len(b"</calculation>\n")
    steps = content[start:end]
    for token in lost:
        steps = steps.replace(token, token[:-1] + b"~")
    found = read("vasprun", chain([content[:end]], repeat(steps, 200), [content[start:]]))
    assert [len(found.frames), found.outcome.n_incomplete] == [10, 1000]
    few, many = (peak_bytes("vasprun", chain([content[:end]], repeat(steps, n))) for n in (200, 400))
    assert many < few + 1_000_000
