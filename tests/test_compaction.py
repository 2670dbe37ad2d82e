"""Compaction keeps every row where it was; vacuum takes nothing that anybody may still want."""

import os
import time
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.compaction import compact
from lake.delta import Lake
from lake.frames import row_groups
from lake.locks import exclusive
from lake.parquet import ROWS_PER_GROUP
from lake.row_files import write_row_file
from lake.staging import staged_run
from lake.vacuum import pinned_versions, vacuum
from schemas.tables import TABLES

FRAMES = TABLES["frames"]
PARTITION = {"composition": "Al100", "run_id": "growing"}
N_FRAMES = (300, 7, 1, 250)


def frames(first, n_frames):
    """A batch of frames whose coordinates tell their number; one in three has a force that is not a number."""
    rng = np.random.default_rng(first)
    rows = [
        {
            "frame": number,
            "positions_angstrom": rng.normal(size=12).tolist(),
            "forces_ev_per_angstrom": [float("nan") if number % 3 == 0 else -0.0] * 12,
            "energy_ev": float(number),
            "rejection_reasons": ["forces_not_finite"] if number % 3 == 0 else [],
        }
        for number in range(first, first + n_frames)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=FRAMES.file_schema)


@pytest.fixture
def lake(tmp_path):
    """A run that grew three times."""
    lake, n_rows = Lake(str(tmp_path / "lake")), 0
    for n_frames in N_FRAMES:
        batch = [frames(n_rows, n_frames)]
        if n_rows == 0:
            lake.replace_batches("frames", PARTITION, batch)
        else:
            lake.append_batches("frames", PARTITION, batch, after=n_rows)
        n_rows += n_frames
    return lake


def as_bits(lake, *, version=None):
    found = lake.rows("frames", key="growing", version=version, columns=["frame", "forces_ev_per_angstrom"])
    return found["frame"].to_pylist(), found["forces_ev_per_angstrom"].combine_chunks().flatten().to_numpy().tobytes()


def pin(lake, version):
    lake.replace("training_sets", "pinned", [{"lake_version": version}])


def make_older(lake, hours):
    then = time.time() - hours * 3600
    for path in Path(lake.root).rglob("*"):
        os.utime(path, (then, then))


def clean(lake, *, keep_versions=None, older_than_hours=0, dry_run=False):
    return vacuum(lake, keep_versions=keep_versions or {}, older_than_hours=older_than_hours, dry_run=dry_run)


def test_a_run_that_grew_is_one_file_again_with_the_same_frames(lake):
    before = as_bits(lake)
    [done] = compact(lake, "frames")
    assert (done.key, done.n_rows, done.n_files_before) == ("growing", sum(N_FRAMES), len(N_FRAMES))
    assert as_bits(lake) == before
    assert before[0] == list(range(sum(N_FRAMES)))
    [file] = lake.files("frames")
    assert Path(file).stat().st_size == done.n_bytes


def test_a_compacted_file_is_written_as_any_other(lake):
    compact(lake, "frames")
    metadata = pq.read_metadata(lake.files("frames")[0])
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    assert sizes == [ROWS_PER_GROUP, ROWS_PER_GROUP, sum(N_FRAMES) - 2 * ROWS_PER_GROUP]
    names = [metadata.row_group(0).column(i).path_in_schema for i in range(metadata.num_columns)]
    positions = metadata.row_group(0).column(names.index("positions_angstrom.list.element"))
    assert "BYTE_STREAM_SPLIT" in positions.encodings
    assert positions.compression == "ZSTD"


def test_compaction_says_that_no_row_changed(lake):
    compact(lake, "frames")
    entry = Path(lake.root, "frames", "_delta_log", f"{lake.version():020d}.json").read_text()
    assert entry.count('"dataChange":false') == 1 + len(N_FRAMES)


def test_what_is_one_file_is_left_alone(lake):
    compact(lake, "frames")
    before = lake.version()
    assert compact(lake, "frames") == compact(lake, "frames", "growing") == []
    assert lake.version() == before


def test_a_run_that_grows_meanwhile_is_left_for_next_time(lake, monkeypatch):
    def grow_and_write(*arguments, **options):
        lake.append_batches("frames", PARTITION, [frames(sum(N_FRAMES), 5)], after=sum(N_FRAMES))
        return write_row_file(*arguments, **options)

    monkeypatch.setattr("lake.compaction.write_row_file", grow_and_write)
    assert compact(lake, "frames") == []
    assert as_bits(lake)[0] == list(range(sum(N_FRAMES) + 5))


def test_a_run_that_is_being_written_is_not_waited_for(lake):
    with exclusive(Path(lake.root, "_locks", "growing.lock"), doing="storing run growing"):
        assert compact(lake, "frames") == []
    assert len(compact(lake, "frames")) == 1


def test_a_run_grows_on_after_compaction(lake):
    compact(lake, "frames")
    lake.append_batches("frames", PARTITION, [frames(sum(N_FRAMES), 5)], after=sum(N_FRAMES))
    assert as_bits(lake)[0] == list(range(sum(N_FRAMES) + 5))


def test_a_pinned_version_reads_after_compaction_and_vacuum(lake):
    pinned, before = lake.version(), as_bits(lake)
    pin(lake, pinned)
    compact(lake, "frames")
    clean(lake)
    assert pinned_versions(lake) == {"frames": {pinned}}
    assert as_bits(lake, version=pinned) == as_bits(lake) == before
    assert pl.scan_delta(f"{lake.root}/frames", version=pinned).collect().height == sum(N_FRAMES)


def test_files_that_no_version_of_interest_needs_are_deleted(lake):
    old = lake.files("frames")
    compact(lake, "frames")
    deleted = clean(lake)
    assert sorted(f"{lake.root}/frames/{file.path}" for file in deleted) == sorted(old)
    assert sum(file.n_bytes for file in deleted) > 0
    assert not any(Path(path).exists() for path in old)
    assert lake.rows("frames").num_rows == sum(N_FRAMES)
    assert clean(lake) == []


def test_versions_that_somebody_names_are_kept(lake):
    named = lake.version() - 1
    lake.remove("frames", "growing")
    deleted = clean(lake, keep_versions={"frames": {named}})
    assert len(deleted) == 1
    assert lake.n_rows("frames", version=named) == lake.rows("frames", version=named).num_rows == sum(N_FRAMES[:-1])


def test_a_trial_deletes_nothing_and_tells_the_same(lake):
    compact(lake, "frames")
    planned = clean(lake, dry_run=True)
    assert len(planned) == len(N_FRAMES)
    assert clean(lake) == planned


def test_vacuum_makes_no_version(lake):
    compact(lake, "frames")
    before = lake.version()
    clean(lake)
    assert lake.version() == before


def test_what_was_replaced_lately_stays(lake):
    compact(lake, "frames")
    make_older(lake, hours=5)
    assert clean(lake, older_than_hours=1) == []


def test_a_file_of_an_ingest_that_has_not_committed_stays(lake):
    staged = write_row_file(lake.log("frames"), PARTITION, [frames(0, 9)], first_row=0, scratch=lake.scratch)
    assert clean(lake, older_than_hours=1) == []
    make_older(lake, hours=2)
    assert [file.path for file in clean(lake, older_than_hours=1)] == [staged.path]


def test_what_a_killed_writer_left_is_deleted(lake):
    left = Path(lake.root, "frames", "composition=Al100", "run_id=growing", ".0f0f.tmp")
    left.write_bytes(b"half a file")
    make_older(lake, hours=2)
    assert [(file.table, file.n_bytes) for file in clean(lake, older_than_hours=1)] == [("frames", 11)]
    assert not left.exists()


def test_staged_rows_go_only_when_their_ingest_has_ended(lake):
    with staged_run(lake.scratch) as staged:
        staged.append({"frame": pa.array([1])})
        (lake.scratch / "killed.arrow").write_bytes(b"left")
        deleted = clean(lake)
        assert [next(staged.batches()).num_rows, deleted[0].path] == [1, "killed.arrow"]
    assert not (lake.scratch / "killed.arrow").exists()


def test_a_compacted_lake_reads_without_us(lake):
    compact(lake, "frames")
    clean(lake)
    assert pl.scan_delta(f"{lake.root}/frames").select("frame").collect()["frame"].to_list() == as_bits(lake)[0]
    found = duckdb.sql(f"select count(*), sum(energy_ev) from read_parquet('{lake.root}/frames/*/*/*.parquet')")
    assert found.fetchall() == [(sum(N_FRAMES), float(sum(range(sum(N_FRAMES)))))]


def test_row_groups_have_one_size_however_rows_come():
    batches = [pa.RecordBatch.from_pydict({"n": list(range(*span))}) for span in ((0, 3), (3, 4), (4, 13))]
    groups = list(row_groups(batches, 4))
    assert [group.num_rows for group in groups] == [4, 4, 4, 1]
    assert [n for group in groups for n in group["n"].to_pylist()] == list(range(13))
