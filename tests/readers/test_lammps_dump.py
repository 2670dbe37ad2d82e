"""Text dumps of LAMMPS: units, boxes, columns, order of atoms, and what is refused."""

import io

import numpy as np
import pytest

from lake.readers.containers import SourceStream
from lake.readers.lammps_dump import LammpsDumpReader
from schemas.errors import UnreadableFile

UPRIGHT = "ITEM: BOX BOUNDS pp pp pp\n-1.0 9.0\n0.0 8.0\n0.0 5.0\n"
TILTED = "ITEM: BOX BOUNDS xy xz yz pp pp pp\n-1.5 11.0 2.0\n-0.75 8.0 -0.5\n0.0 5.0 -0.75\n"
GENERAL = "ITEM: BOX BOUNDS abc origin pp pp pp\n8.1 0.1 0.2 -1.0\n1.6 8.8 0.8 0.5\n-0.8 1.2 7.4 0.25\n"
COLUMNS = "id element x y z vx vy vz fx fy fz"
ROWS = ("2 Cu 4.0 5.0 6.0 1.0 2.0 3.0 -0.5 0.5 1.5\n", "1 Al 1.0 2.0 3.0 -1.0 -2.0 -3.0 0.5 -0.5 -1.5\n")


def frame(step=0, *, box=UPRIGHT, columns=COLUMNS, rows=ROWS, time=None, units=""):
    told = f"ITEM: TIME\n{time}\n" if time is not None else ""
    head = f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(rows)}\n"
    return f"{units}{told}{head}{box}ITEM: ATOMS {columns}\n{''.join(rows)}"


def read(text, *, chunk_bytes=1 << 18):
    reader = LammpsDumpReader(SourceStream(io.BytesIO(text.encode()), "melt.lammpstrj"), chunk_bytes=chunk_bytes)
    return reader, list(reader.batches())


def test_atoms_are_sorted_by_id_and_metal_units_are_ours():
    reader, (batch,) = read(frame() + frame(100, rows=ROWS[::-1]))
    assert reader.header.atomic_numbers.tolist() == [13, 29]
    assert (reader.header.origin, reader.header.potential_id) == ("dnnp", None)
    assert batch.positions_angstrom.tolist() == [[[1, 2, 3], [4, 5, 6]]] * 2
    assert batch.velocities_angstrom_per_fs[0, 1].tolist() == [0.001, 0.002, 0.003]
    assert batch.forces_ev_per_angstrom[0, 1].tolist() == [-0.5, 0.5, 1.5]
    assert (batch.ionic_step.tolist(), batch.label_source.tolist(), batch.faults) == ([1, 101], ["none"] * 2, ((), ()))


def test_real_units_are_converted():
    reader, (batch,) = read(frame(0, time=0, units="ITEM: UNITS\nreal\n") + frame(50, time=25))
    assert reader.header.time_step_fs == 0.5
    assert batch.velocities_angstrom_per_fs[0, 1].tolist() == [1, 2, 3]
    np.testing.assert_allclose(batch.forces_ev_per_angstrom[0, 1, 1], 0.5 * 0.0433641042418, rtol=1e-10)


def test_time_in_metal_units_is_picoseconds():
    reader, _ = read(frame(0, time=0) + frame(50, time=0.05) + frame(100, time=0.1))
    assert reader.header.time_step_fs == 1.0
    assert not any("does not tell the time" in note for note in reader.outcome.notes)


@pytest.mark.parametrize(
    ("box", "cell", "origin"),
    [
        (UPRIGHT, [[10, 0, 0], [0, 8, 0], [0, 0, 5]], [-1, 0, 0]),
        (TILTED, [[10, 0, 0], [2, 8, 0], [-0.5, -0.75, 5]], [-1, 0, 0]),
        (GENERAL, [[8.1, 0.1, 0.2], [1.6, 8.8, 0.8], [-0.8, 1.2, 7.4]], [-1, 0.5, 0.25]),
    ],
)
def test_scaled_and_image_coordinates_agree_with_cartesian_ones(box, cell, origin):
    cell, origin = np.array(cell), np.array(origin)
    fractions, images = np.array([[0.25, 0.5, 0.75], [0.1, 0.2, 0.3]]), np.array([[1, 0, -1], [0, 2, 0]])
    unwrapped = origin + (fractions + images) @ cell

    def rows(first, second):
        values = zip((1, 2), ("Al", "Cu"), np.hstack([first, second]).tolist(), strict=True)
        return tuple(f"{number} {name} {' '.join(map(repr, row))}\n" for number, name, row in values)

    for columns, table in {
        "id element xs ys zs ix iy iz": rows(fractions, images),
        "id element x y z ix iy iz": rows(origin + fractions @ cell, images),
        "id element xsu ysu zsu ix iy iz": rows(fractions + images, images),
        "id element xu yu zu ix iy iz": rows(unwrapped, images),
    }.items():
        _, (batch,) = read(frame(box=box, columns=columns, rows=table))
        np.testing.assert_allclose(batch.cell_angstrom[0], cell, rtol=0, atol=1e-14)
        np.testing.assert_allclose(batch.positions_angstrom[0], unwrapped, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (frame(columns="id type x y z vx vy vz fx fy fz"), "do not tell the elements .*dump_modify ID element"),
        (frame(columns="tag element x y z vx vy vz fx fy fz"), "do not tell the ids"),
        (frame(columns="id element a b c vx vy vz fx fy fz"), "no columns of positions"),
        (frame(units="ITEM: UNITS\nlj\n"), "units are `lj`"),
        (frame().replace(" Cu ", " Qq "), "'Qq' in its column"),
        (frame().replace("\n2 Cu", "\n1 Cu"), "have one id"),
        (frame() + frame(1, rows=(*ROWS, ROWS[0].replace("2", "3", 1))), "changes from 2 to 3 at step 1"),
        (frame()[:-9], "no complete frame"),
        (frame(2**31), "beyond what is stored"),
    ],
)
def test_dump_that_cannot_be_a_run_is_refused_with_what_to_do(text, reason):
    with pytest.raises(UnreadableFile, match=reason):
        read(text)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("4.0 5.0", "4.0 ****"), "positions_not_finite"),
        (("-0.5 0.5 1.5", "-0.5 x.5 1.5"), "forces_not_finite"),
        (("1.0 2.0 3.0 -0.5", "1.0 inf 3.0 -0.5"), "velocities_not_finite"),
        (("4.0 5.0", "4.0 5.0 7"), "row_count_wrong"),
        (("4.0 5.0", "4.\x00 5.0"), "row_count_wrong"),
        (("ATOMS\n2\n", "ATOMS\n3\n"), "row_count_wrong"),
        (("ATOMS\n2\n", "ATOMS\n1\n"), "row_count_wrong"),
        (("\n2 Cu", "\n2 Ni"), "atoms_differ"),
        (("\n2 Cu", "\n3 Cu"), "atoms_differ"),
        (("-1.0 9.0", "-1.0 nan"), "cell_not_finite"),
        ((UPRIGHT, ""), "cell_missing"),
        (("STEP\n10\n", "STEP\n1x\n"), "ionic_counter_missing"),
    ],
)
def test_damaged_frame_is_kept_with_its_fault(change, fault):
    _, batches = read(frame(0) + frame(10).replace(*change, 1) + frame(20) + frame(30))
    faults = [own for batch in batches for own in batch.faults]
    assert [bool(own) for own in faults] == [False, True, False, False]
    assert fault in faults[1]


def test_cut_file_keeps_its_whole_frames():
    whole, n_bytes = frame(0) + frame(10) + frame(20), len(frame(0))
    for cut in range(n_bytes, len(whole), 3):
        reader, (batch,) = read(whole[:cut])
        n_frames = 1 + (cut >= n_bytes + len(frame(10)))
        assert batch.n_frames == n_frames
        assert reader.outcome.n_incomplete == (cut not in {n_bytes, n_bytes + len(frame(10))})


def test_appended_run_is_a_segment():
    _, (batch,) = read(frame(0) + frame(10) + frame(10) + frame(20))
    assert batch.segment.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("chunk_bytes", [1, 13, 4096])
def test_chunk_size_changes_nothing(chunk_bytes):
    text = frame(0, time=0) + frame(10, box=TILTED, time=1) + frame(20, box=GENERAL, time=2)
    (whole,), (pieces,) = read(text)[1], read(text, chunk_bytes=chunk_bytes)[1]
    assert np.array_equal(whole.positions_angstrom, pieces.positions_angstrom)
    assert np.array_equal(whole.cell_angstrom, pieces.cell_angstrom)


def test_all_carbon_is_suspected():
    reader, _ = read(frame().replace("Cu", "C").replace("Al", "C"))
    assert "names no elements" in reader.outcome.notes[-1]


def test_agrees_with_ase(tmp_path):
    ase_io = pytest.importorskip("ase.io")
    (tmp_path / "dump").write_text(frame(0, box=TILTED) + frame(10, box=UPRIGHT))
    known = ase_io.read(tmp_path / "dump", index=":", format="lammps-dump-text")
    _, (batch,) = read((tmp_path / "dump").read_text())
    assert np.array_equal(batch.cell_angstrom, [atoms.cell[:] for atoms in known])
    assert np.array_equal(batch.positions_angstrom, [atoms.positions for atoms in known])
    assert np.array_equal(batch.forces_ev_per_angstrom, [atoms.get_forces() for atoms in known])
