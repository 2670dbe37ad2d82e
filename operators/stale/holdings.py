"""What the lake holds, as far as it decides what is due: each table is read once, when it is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from lake.delta import Lake
from lake.delta_log import RowFile
from operators.campaign import Campaign, campaign_of
from operators.potentials.groups import Group, groups_of
from operators.potentials.kept_labels import when_asked
from schemas.settings import Settings
from schemas.tables import TABLES
from schemas.training import TrainingSetRequest

Row = Mapping[str, Any]


class Holdings:
    """One look at a lake. It never sees what is committed after a table was read."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lake = Lake(settings.lake)

    @cached_property
    def campaign(self) -> Campaign:
        return campaign_of(self.settings)

    @cached_property
    def runs(self) -> list[Row]:
        """Every run, simulations included."""
        rows: list[Row] = self.lake.rows("runs").to_pylist()
        return rows

    @cached_property
    def trainable(self) -> list[Row]:
        """AIMD runs with accepted frames."""
        return [run for run in self.runs if run["origin"] == "aimd" and run["n_accepted"]]

    @cached_property
    def groups(self) -> list[Group]:
        """Runs that may train together."""
        return groups_of(self.trainable)

    @cached_property
    def training_sets(self) -> list[Row]:
        """Every training set, the one that was asked for last at the end.

        Frames that come back, as after an override, bring an old set back: it is found, and its row stays as it is.
        """
        rows: list[Row] = self.lake.rows("training_sets").to_pylist()
        last = {row["training_set_id"]: when_asked(row) for row in (*rows, *self._request_rows)}
        return sorted(rows, key=lambda row: last[row["training_set_id"]])

    @cached_property
    def requests(self) -> list["Answered"]:
        """What was asked for, at which version of the lake, and the training set that came of it, the newest last.

        A request that named the version says so itself.
        """
        return [
            Answered(
                TrainingSetRequest.model_validate_json(row["request"]),
                row["training_set_id"],
                row["lake_version"],
                bool(row["for_campaign"]),
            )
            for row in self._request_rows
        ]

    @cached_property
    def _request_rows(self) -> list[Row]:
        return sorted(self.lake.rows("training_set_requests").to_pylist(), key=when_asked)

    def runs_of(self, training_set: Row) -> frozenset[str]:
        """Runs that a training set has frames of."""
        return self.runs_of_sets.get(training_set["training_set_id"], frozenset())

    @cached_property
    def runs_of_sets(self) -> dict[str, frozenset[str]]:
        """Runs that each training set has frames of."""
        found: dict[str, set[str]] = {}
        for row in self.lake.rows("training_set_runs", columns=["training_set_id", "run_id"]).to_pylist():
            found.setdefault(row["training_set_id"], set()).add(row["run_id"])
        return {name: frozenset(runs) for name, runs in found.items()}

    @cached_property
    def potentials(self) -> list[Row]:
        rows: list[Row] = self.lake.rows("potentials").to_pylist()
        return sorted(rows, key=lambda row: (str(row["created_at"]), row["potential_id"]))

    @cached_property
    def coverage(self) -> dict[str, list[Row]]:
        """Rows of `coverage` by training set."""
        found: dict[str, list[Row]] = {}
        for row in self.lake.rows("coverage").to_pylist():
            found.setdefault(row["training_set_id"], []).append(row)
        return found

    @cached_property
    def frame_files(self) -> "FrameFiles":
        return FrameFiles(self.lake)


class Answered(NamedTuple):
    """A request for a training set."""

    asked: TrainingSetRequest
    training_set_id: str
    lake_version: int
    for_campaign: bool
    """`leave_one_out` of the campaign wanted it then."""


class FrameFiles:
    """Which files hold the frames of each run, now and at the versions that training sets are pinned to."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._log = lake.log("frames")
        self._now = lake.version("frames")
        self._at: dict[int, dict[str, list[RowFile]]] = {}
        self._labels: dict[tuple[str, int], Labels] = {}

    def now(self) -> dict[str, list[RowFile]]:
        return self.at(self._now)

    def at(self, version: int) -> dict[str, list[RowFile]]:
        """By run; empty for a lake without frames."""
        if version not in self._at:
            files: dict[str, list[RowFile]] = {}
            for file in self._log.files(version=None if version == self._now else version):
                files.setdefault(file.partition["run_id"], []).append(file)
            self._at[version] = files
        return self._at[version]

    def are_unchanged(self, run_id: str, *, since: int) -> bool:
        """Whether a run's rows are the very files of that version."""
        return self.at(since).get(run_id) == self.now().get(run_id)

    def labels(self, run_id: str, version: int | None = None) -> "Labels":
        """Which frames of a run may be trained on, by their labels."""
        version = self._now if version is None else version
        if (run_id, version) not in self._labels:
            self._labels[run_id, version] = self._read_labels(self.at(version).get(run_id, []), run_id)
        return self._labels[run_id, version]

    def _read_labels(self, files: Sequence[RowFile], run_id: str) -> "Labels":
        columns = ("accepted", "label_source", "labels_id", "energy_ev")
        batches = self._lake.frame_batches(run_id, columns, files=files)
        schema = pa.schema([TABLES["frames"].file_schema.field(name) for name in columns])
        frames = pa.Table.from_batches(batches, schema)
        energies = pc.round(frames["energy_ev"], 6)
        names = pc.coalesce(frames["labels_id"], pc.cast(energies, pa.string()))  # old lakes have no names of labels
        is_usable = pc.and_(frames["accepted"], pc.equal(frames["label_source"], "dft"))
        return Labels(
            everything=frozenset(names.to_pylist()),
            usable=frozenset(names.filter(is_usable).to_pylist()),
            energies_ev=frozenset(energies.filter(is_usable).to_pylist()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Names of a run's frames by all their numbers, those of the frames that may be trained on, and their energies."""

    everything: frozenset[str]
    usable: frozenset[str]
    energies_ev: frozenset[float]
