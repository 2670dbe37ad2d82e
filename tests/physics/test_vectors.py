"""Observables of a run that comes a few frames at a time are those of the run in memory, and memory does not grow."""

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from operators.physics import lagged_products
from operators.physics.lagged_products import lagged_sums
from operators.physics.local_composition import environments
from operators.physics.motion import AtRest, CentralDifferences, Moves, Paths
from operators.physics.msd import mean_squared_displacement
from operators.physics.rdf import partial_rdf
from operators.physics.structure_factor import partial_structure_factors
from operators.physics.thermodynamics import temperatures_k
from operators.physics.vacf import vacf_from_positions, vacf_from_velocities
from operators.physics.vectors import Chosen, finite_frames, in_batches, one_by_one
from operators.physics.viscosity import pressure_tensors_gpa
from schemas.elements import masses_amu
from schemas.errors import MeltlakeError
from schemas.frames import Floats, Trajectory, Vectors

CELL = np.array([[12.0, 0, 0], [3.0, 13.0, 0], [-2.0, 4.0, 14.0]])
NUMBERS = np.tile([28, 13, 29, 13], 8)
MASSES = masses_amu(NUMBERS)


@dataclass(frozen=True)
class Pieces:
    """An array that comes so many frames at a time."""

    array: Floats
    length: int

    def __len__(self) -> int:
        return len(self.array)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def batches(self) -> Iterator[Floats]:
        for first in range(0, len(self.array), self.length):
            yield self.array[first : first + self.length]


@pytest.fixture(scope="module")
def melt() -> tuple[Floats, Floats, Floats, Floats]:
    """Positions, velocities, cells and times of atoms that diffuse through a breathing cell."""
    rng = np.random.default_rng(0)
    time = np.arange(431) * 2.0
    velocities = rng.normal(0, 0.01, (431, 32, 3))
    for frame in range(1, 431):
        velocities[frame] = 0.97 * velocities[frame - 1] + 0.24 * velocities[frame]
    cells = CELL * (1 + 0.01 * np.sin(time / 50))[:, None, None]
    inside = rng.random((32, 3)) + np.cumsum(velocities, axis=0) * 2.0 @ np.linalg.inv(CELL)
    return (inside - np.floor(inside)) @ cells, velocities, cells, time


Melt = tuple[Floats, Floats, Floats, Floats]


def curves(melt: Melt, wrap: Callable[[Floats], Floats | Vectors]) -> dict[str, Floats]:
    positions, velocities, cells, time = wrap(melt[0]), wrap(melt[1]), melt[2], melt[3]
    rdf = partial_rdf(NUMBERS, positions, cells=cells, r_max_angstrom=5.0, n_bins=50, n_blocks=5)
    factors = partial_structure_factors(NUMBERS, positions, cells=cells, q_max_per_angstrom=2.0, n_blocks=5)
    moved = vacf_from_positions(NUMBERS, positions, cells=cells, time_fs=time, longest_lag_fs=60.0, n_blocks=6)
    stored = vacf_from_velocities(NUMBERS, velocities, time_fs=time, longest_lag_fs=60.0, n_blocks=6)
    msd = mean_squared_displacement(NUMBERS, positions, cells=cells, time_fs=time, longest_lag_fs=60.0, n_blocks=6)
    near = environments(NUMBERS, one_by_one(positions, cells), r_cut_angstrom=5.0)
    stress = pressure_tensors_gpa(np.zeros((len(time), 3, 3)), cells, masses_amu=MASSES, velocities=velocities)
    return {
        "rdf": rdf.block_g, "structure factor": factors.block_s, "vacf of positions": moved.block_vacf,
        "vacf": stored.block_vacf, "msd": msd.block_msd_angstrom2, "environments": near.neighbours, "stress": stress,
    }  # fmt: skip


@pytest.mark.parametrize("length", [1, 13, 430])
def test_a_run_in_pieces_has_the_curves_of_the_run_in_memory(melt: Melt, length: int) -> None:
    whole, pieces = curves(melt, lambda array: array), curves(melt, lambda array: Pieces(array, length))
    for name, curve in whole.items():
        np.testing.assert_allclose(pieces[name], curve, rtol=1e-9, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("parts", [[211], [70, 141, 211], [30, 61, 91, 150, 211]])
@pytest.mark.parametrize("kept", [1, 10**9], ids=["an atom at a time", "one pass"])
def test_lagged_sums_are_the_sums_over_all_time_origins(
    parts: list[int], kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lagged_products, "_BYTES_AT_ONCE", kept)
    monkeypatch.setattr(lagged_products, "_SHORTEST_STRETCH", 1)
    series = np.random.default_rng(1).normal(size=(211, 6, 3))
    groups = [np.array([4, 0]), np.array([1, 2, 5])]
    slices = [slice(start, stop) for start, stop in zip([0, *parts[:-1]], parts, strict=True)]
    found = lagged_sums(Pieces(series, 17), groups, slices, n_lags=31)
    for slot, group in enumerate(groups):
        some = series[:, group]
        for number, part in enumerate(slices):
            for lag in (0, 1, 17, 30):
                stop = min(part.stop, 211 - lag)
                expected = np.sum(some[part.start : stop] * some[part.start + lag : stop + lag])
                assert found.products[number, slot, lag] == pytest.approx(expected, abs=1e-10)
        np.testing.assert_allclose(found.squares[slot], np.square(some).sum(axis=(1, 2)))


def test_parts_shorter_than_the_longest_lag_are_refused() -> None:
    with pytest.raises(ValueError, match="needed parts that are longer"):
        lagged_sums(Pieces(np.zeros((30, 2, 3)), 9), [np.arange(2)], [slice(0, 20), slice(20, 30)], n_lags=12)


@pytest.mark.parametrize("length", [1, 4, 50])
def test_moves_add_up_across_batches(melt: Melt, length: int) -> None:
    positions, _, cells, _ = melt
    moves = Moves(positions=Pieces(positions, length), cells=cells, masses_amu=MASSES)
    scaled = positions @ np.linalg.inv(cells)
    steps = np.diff(scaled, axis=0) - np.rint(np.diff(scaled, axis=0))
    expected = steps @ (0.5 * (cells[1:] + cells[:-1]))
    expected -= (MASSES @ expected / MASSES.sum())[:, None]
    for stream, array in (
        (moves, expected),
        (Paths(moves), np.concatenate([np.zeros((1, 32, 3)), np.cumsum(expected, axis=0)])),
        (CentralDifferences(moves, 2.0), (expected[1:] + expected[:-1]) / 4.0),
    ):
        assert stream.shape == array.shape
        np.testing.assert_allclose(np.concatenate(list(stream.batches())), array, atol=1e-12)


@pytest.mark.parametrize("length", [3, 20, 200])
def test_runs_pasted_together_are_refused_wherever_batches_begin(melt: Melt, length: int) -> None:
    pasted = np.concatenate([melt[0][:60], melt[0][120:]])
    cells = np.concatenate([melt[2][:60], melt[2][120:]])
    with pytest.raises(MeltlakeError, match=r"jump near frame (59|60)"):
        list(Moves(positions=Pieces(pasted, length), cells=cells, masses_amu=MASSES).batches())


@pytest.mark.parametrize(
    "frames",
    [slice(None, None, 7), slice(100, 250), slice(0, 0), np.arange(431) % 3 == 0, np.array([0, 49, 50, 430])],
    ids=["stride", "stretch", "none", "mask", "numbers"],
)
@pytest.mark.parametrize("length", [1, 50])
def test_chosen_frames_are_those_of_the_array(melt: Melt, frames: slice, length: int) -> None:
    chosen = Chosen.of(Pieces(melt[0], length), frames)
    expected = melt[0][frames]
    assert (chosen.shape, len(chosen)) == (expected.shape, len(expected))
    np.testing.assert_array_equal(chosen.in_memory(), expected)


def test_broken_frames_are_found_wherever_they_are(melt: Melt) -> None:
    broken = melt[1].copy()
    broken[[5, 430], 3, 1] = np.nan, np.inf
    assert np.flatnonzero(~finite_frames(Pieces(broken, 6))).tolist() == [5, 430]
    with pytest.raises(MeltlakeError, match="A thing needed every velocity"):
        list(AtRest(Pieces(broken, 6), MASSES, "A thing").batches())


def test_temperatures_come_from_velocities_in_pieces(melt: Melt) -> None:
    positions, velocities, cells, time = melt
    unknown = np.where(time > 100, np.nan, 700.0)
    runs = [
        Trajectory(
            run_id="a", atomic_numbers=NUMBERS.astype(np.int8), time_fs=time, cell_angstrom=cells, energy_ev=time,
            positions_angstrom=positions, virial_trace_ev=time, temperature_k=unknown, accepted=time > 0,
            label_source=np.full(431, "none"), velocities_angstrom_per_fs=some,
        )
        for some in (velocities, Pieces(velocities, 9))
    ]  # fmt: skip
    whole, pieces = map(temperatures_k, runs)
    np.testing.assert_allclose(pieces, whole, rtol=1e-12)
    assert whole[50] == 700.0
    assert 0 < whole[51] != 700.0


@dataclass(frozen=True)
class Made:
    """Frames that are made when they are asked for."""

    n_frames: int

    def __len__(self) -> int:
        return self.n_frames

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.n_frames, 256, 3)

    def batches(self) -> Iterator[Floats]:
        rng = np.random.default_rng(2)
        place = rng.random((256, 3)) @ CELL
        for _, batch in in_batches(np.broadcast_to(0.0, self.shape)):
            paths = place + np.cumsum(rng.normal(0, 0.02, batch.shape), axis=0)
            place = paths[-1]
            yield paths


def test_memory_does_not_grow_with_the_length_of_a_run() -> None:
    peaks, numbers = [], np.full(256, 13)
    for n_frames in (1_000, 3_000, 12_000):  # the first one compiles and imports
        cells, time, run = np.broadcast_to(CELL, (n_frames, 3, 3)), np.arange(n_frames) * 1.0, Made(n_frames)
        tracemalloc.start()
        mean_squared_displacement(numbers, run, cells=cells, time_fs=time, longest_lag_fs=200.0, n_blocks=2)
        vacf_from_positions(numbers, run, cells=cells, time_fs=time, longest_lag_fs=200.0, n_blocks=2)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # What is known of each frame, not of each atom, may take a tenth of what the positions of 9,000 frames more are.
    assert peaks[2] - peaks[1] < 0.1 * 9_000 * 256 * 3 * 8
