"""What the lake says of itself, and its upkeep: sizes, pins, fewer files, and nothing lost that a version needs."""

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lake.delta import Lake
from operators.lake_describe import lake_describe
from operators.lake_upkeep import lake_compact, lake_vacuum
from operators.publish import publish
from schemas.errors import MeltlakeError
from schemas.settings import Settings
from schemas.tables import FRAMES, SCHEMA_VERSION

ROOT = Path(__file__).parents[1]
HOUR_S = 3600


@pytest.fixture
def settings(tmp_path):
    """A lake of two runs, with a training set on an early version."""
    settings = Settings.from_mapping({}, lake=str(tmp_path / "lake"))
    store(settings, "a1", n_frames=6)
    pin(settings, "set1", Lake(settings.lake).version())
    store(settings, "b2", n_frames=4)
    return settings


def batches(n_frames, first=0):
    rng = np.random.default_rng(first)
    rows = [
        {"frame": number, "energy_ev": rng.normal(), "accepted": number > 0, "positions_angstrom": rng.normal(size=30)}
        for number in range(first, first + n_frames)
    ]
    return pa.Table.from_pylist(rows, schema=FRAMES.file_schema).to_batches()


def store(settings, run_id, *, n_frames):
    """Frames that came in two files, as those of a run that was still growing."""
    lake, partition = Lake(settings.lake), {"composition": "Al100", "run_id": run_id}
    lake.replace_batches("frames", partition, batches(n_frames - 2))
    lake.append_batches("frames", partition, batches(2, first=n_frames - 2), after=n_frames - 2)
    row = {"run_id": run_id, "composition": "Al100", "origin": "aimd", "synthetic": False, "complete": run_id == "a1"}
    counts = {"n_frames": n_frames, "n_accepted": n_frames - 1, "n_rejected": 1}
    sizes = {"source_uri": f"/raw/{run_id}/OUTCAR", "source_bytes": 5000, "content_bytes": 20000}
    lake.replace("runs", run_id, [row | counts | sizes | {"ingested_at": datetime(2026, 1, n_frames)}])  # noqa: DTZ001


def pin(settings, name, version):
    Lake(settings.lake).replace("training_sets", name, [{"training_set_id": name, "lake_version": version}])


def aged(settings):
    """Let a day pass for every file of the lake."""
    for path in Path(settings.lake).rglob("*.parquet"):
        os.utime(path, (path.stat().st_mtime - 24 * HOUR_S,) * 2)


def energies(settings, version=None):
    rows = Lake(settings.lake).rows("frames", version=version, columns=["run_id", "frame", "energy_ev"]).to_pylist()
    return sorted((row["run_id"], row["frame"], row["energy_ev"]) for row in rows)


def test_the_lake_describes_itself(settings):
    told = lake_describe(settings)
    lake = Lake(settings.lake)
    sizes = [Path(path).stat().st_size for path in lake.files("frames")]
    assert (told["n_runs"], told["n_frames"], told["n_accepted"], told["n_rejected"]) == (2, 10, 8, 2)
    assert (told["raw_bytes"], told["content_bytes"], told["stored_bytes"]) == (10000, 40000, sum(sizes))
    assert told["stored_frac_of_raw"] == sum(sizes) / 10000
    assert (told["schema_version"], told["n_incomplete_runs"]) == (SCHEMA_VERSION, 1)
    assert told["oldest_ingest"] < told["newest_ingest"]
    assert told["pins"] == [{"lake_version": 2, "training_sets": ["set1"]}]
    [frames] = [table for table in told["tables"] if table["table"] == "frames"]
    assert (frames["version"], frames["rows"], frames["files"], frames["bytes"]) == (4, 10, 4, sum(sizes))
    assert frames["columns_to_come"] == []


def test_an_empty_lake_describes_itself(tmp_path):
    told = lake_describe(Settings.from_mapping({}, lake=str(tmp_path / "lake")))
    assert (told["n_frames"], told["tables"], told["stored_frac_of_raw"], told["lake_version"]) == (0, [], None, -1)


def test_compaction_leaves_one_file_per_run_and_every_number_as_it_was(settings):
    before = energies(settings)
    answer = lake_compact(settings)
    [told] = answer["tables"]
    assert (answer["n_keys"], told["table"], told["files_before"]) == (2, "frames", 4)
    assert energies(settings) == before
    assert len(Lake(settings.lake).files("frames")) == 2
    assert lake_compact(settings)["n_keys"] == 0


def test_compaction_of_one_table_or_of_none_by_that_name(settings):
    assert lake_compact(settings, table="runs")["n_keys"] == 0
    with pytest.raises(MeltlakeError, match="'farmes' is not a table"):
        lake_compact(settings, table="farmes")


def test_a_vacuum_keeps_what_a_training_set_was_made_of(settings):
    pinned, now = energies(settings, version=2), energies(settings)
    store(settings, "a1", n_frames=9)
    lake_compact(settings)
    aged(settings)
    answer = lake_vacuum(settings, older_than_hours=0)
    assert answer["n_files"] > 0
    assert answer["pinned_versions"] == [2]
    assert energies(settings, version=2) == pinned
    assert {row for row in now if row[0] == "b2"} < set(energies(settings))


def test_a_dry_vacuum_deletes_nothing_and_tells_what_the_other_deletes(settings):
    store(settings, "b2", n_frames=8)
    aged(settings)
    files = sorted(Path(settings.lake).rglob("*.parquet"))
    dry = lake_vacuum(settings, older_than_hours=0, dry_run=True)
    assert sorted(Path(settings.lake).rglob("*.parquet")) == files
    wet = lake_vacuum(settings, older_than_hours=0)
    assert (dry["n_files"], dry["bytes"], dry["tables"]) == (wet["n_files"], wet["bytes"], wet["tables"])
    assert len(files) - len(list(Path(settings.lake).rglob("*.parquet"))) == wet["n_files"] > 0


def test_a_vacuum_leaves_young_files_and_those_of_the_published_warehouse(settings):
    publish(settings)
    version = Lake(settings.lake).version()
    store(settings, "b2", n_frames=8)
    lake_compact(settings)
    assert lake_vacuum(settings, older_than_hours=1)["n_files"] == 0
    aged(settings)
    assert lake_vacuum(settings, older_than_hours=0)["pinned_versions"] == [2, version]
    assert len(energies(settings, version=version)) == 10


@pytest.mark.parametrize(
    ("words", "exit_code", "key"),
    [
        (("lake", "describe"), 0, "tables"),
        (("lake", "compact", "--table", "frames"), 0, "n_keys"),
        (("lake", "vacuum", "--dry-run"), 0, "n_files"),
        (("lake", "vacuum", "--older-than-hours", "0"), 2, None),
        (("lake",), 2, None),
        (("raw", "verify", "no-such-run"), 65, None),
    ],
)
def test_verbs_of_two_words_behave_like_the_others(settings, words, exit_code, key):
    command = [sys.executable, "-m", "operators.cli", *words, *(["--lake", settings.lake, "--json"] * (len(words) > 1))]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, "Traceback" in done.stderr) == (exit_code, False)
    assert done.stdout == "" if key is None else key in json.loads(done.stdout)
