"""What we write for DeePMD is what dpdata reads, bit by bit."""

from pathlib import Path

import dpdata
import numpy as np
import pytest

from lake.deepmd_npy import DeepmdSystemWriter, LabelledFrames, read_deepmd_system
from operators.physics.neighbours import max_neighbours, sel
from schemas.errors import MeltlakeError

NUMBERS = np.array([28, 13, 13, 29], dtype=np.int8)
TYPE_MAP = ("Al", "Cu", "Ni")


def random_frames(n_frames: int, *, with_virial: bool = True) -> LabelledFrames:
    rng = np.random.default_rng(0)
    return LabelledFrames(
        cell_angstrom=np.tile(np.diag([7.0, 8.0, 9.0]), (n_frames, 1, 1)),
        positions_angstrom=rng.normal(size=(n_frames, 4, 3)),
        forces_ev_per_angstrom=rng.normal(size=(n_frames, 4, 3)),
        energy_ev=rng.normal(size=n_frames) - 2.0e3,
        virial_ev=rng.normal(size=(n_frames, 3, 3)) if with_virial else None,
    )


def write(folder: Path, frames: LabelledFrames, *, batch: int = 3) -> None:
    with DeepmdSystemWriter(
        folder,
        atomic_numbers=NUMBERS,
        type_map=TYPE_MAP,
        n_frames=frames.n_frames,
        with_virial=frames.virial_ev is not None,
    ) as writer:
        for start in range(0, frames.n_frames, batch):
            inside = np.arange(frames.n_frames)
            writer.append(frames.chosen((inside >= start) & (inside < start + batch)))


def test_dpdata_reads_exactly_what_was_written(tmp_path: Path) -> None:
    frames = random_frames(10)
    write(tmp_path / "set", frames)
    oracle = dpdata.LabeledSystem(str(tmp_path / "set"), fmt="deepmd/npy")
    assert [oracle["atom_names"][kind] for kind in oracle["atom_types"]] == ["Ni", "Al", "Al", "Cu"]
    for name, ours in (("coords", "positions_angstrom"), ("cells", "cell_angstrom"), ("energies", "energy_ev")):
        assert np.array_equal(oracle[name], getattr(frames, ours))
    for name, ours in (("forces", "forces_ev_per_angstrom"), ("virials", "virial_ev")):
        assert np.array_equal(oracle[name], getattr(frames, ours))


def test_round_trip_is_exact(tmp_path: Path) -> None:
    frames = random_frames(5)
    write(tmp_path / "set", frames)
    read = read_deepmd_system(tmp_path / "set")
    assert read.type_map == TYPE_MAP
    assert read.types.tolist() == [2, 0, 0, 1]
    assert np.array_equal(read.frames.positions_angstrom, frames.positions_angstrom)
    assert np.array_equal(read.frames.virial_ev, frames.virial_ev)


def test_without_virial_there_is_no_virial_file(tmp_path: Path) -> None:
    write(tmp_path / "set", random_frames(5, with_virial=False))
    assert not (tmp_path / "set/set.000/virial.npy").exists()
    assert read_deepmd_system(tmp_path / "set").frames.virial_ev is None


def test_a_missing_label_is_not_written(tmp_path: Path) -> None:
    frames = random_frames(5)
    frames.forces_ev_per_angstrom[3, 0, 0] = np.nan
    with pytest.raises(MeltlakeError, match="lack a finite force"):
        write(tmp_path / "set", frames)


def test_fewer_frames_than_announced_are_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="announced 9 frames, got 5"),
        DeepmdSystemWriter(
            tmp_path / "set", atomic_numbers=NUMBERS, type_map=TYPE_MAP, n_frames=9, with_virial=True
        ) as writer,
    ):
        writer.append(random_frames(5))


def test_a_folder_that_is_not_whole_is_told(tmp_path: Path) -> None:
    write(tmp_path / "set", random_frames(5))
    (tmp_path / "set/set.000/force.npy").unlink()
    with pytest.raises(MeltlakeError, match="not a whole deepmd_system"):
        read_deepmd_system(tmp_path / "set")


def neighbours_by_images(positions: np.ndarray, cell: np.ndarray, types: np.ndarray, r_cut: float) -> list[int]:
    shifts = np.array(np.meshgrid(*[np.arange(-4, 5)] * 3)).reshape(3, -1).T @ cell
    distance = np.linalg.norm(positions[None, :, None] + shifts[None, None] - positions[:, None, None], axis=-1)
    near = ((distance < r_cut) & (distance > 1e-9)).sum(axis=2)
    return [int(near[:, types == kind].sum(axis=1).max()) for kind in range(2)]


@pytest.mark.parametrize("r_cut", [2.5, 5.0, 7.5])
def test_neighbours_are_counted_with_all_images_of_a_triclinic_cell(r_cut: float) -> None:
    rng = np.random.default_rng(3)
    cell = np.array([[5.0, 0, 0], [2.2, 4.0, 0], [-1.5, 1.0, 6.0]])
    types = np.array([0, 0, 1, 1, 1], dtype=np.int32)
    positions = rng.uniform(-6, 12, (5, 3))
    wrapped = (positions @ np.linalg.inv(cell) % 1.0) @ cell
    most = max_neighbours(positions[None], cell[None], types, r_cut_angstrom=r_cut, n_types=2)
    assert most.tolist() == neighbours_by_images(wrapped, cell, types, r_cut)


def test_the_one_dense_frame_of_many_decides() -> None:
    cells = np.stack([np.eye(3) * 20.0] * 50 + [np.eye(3) * 3.0])
    most = max_neighbours(np.zeros((51, 1, 3)), cells, np.zeros(1, dtype=np.int32), r_cut_angstrom=3.5, n_types=1)
    assert most.tolist() == [6]


def test_sel_has_head_room_and_is_a_multiple_of_four() -> None:
    assert sel([57, 75, 80]) == [68, 88, 92]
    assert sel([85, 121, 128]) == [100, 140, 148]
    assert sel([0, 1]) == [4, 4]
