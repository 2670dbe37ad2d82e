import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from lake.object_store import file_system
from operators.scheduling.assets import landed
from operators.scheduling.landing import LandingTrigger
from operators.scheduling.landing_zone import CURSOR_PARTS, LandingWatch, entries
from tests.object_store import make_bucket, s3_server, use_store


def _entry(zone: Path, name: str, content: str = "frames") -> Path:
    (zone / name).mkdir(parents=True, exist_ok=True)
    (zone / name / "OUTCAR").write_text(content)
    return zone / name


def test_entries_are_folders_and_files_of_the_zone(tmp_path: Path) -> None:
    _entry(tmp_path, "run")
    (tmp_path / "OUTCAR.gz").write_text("frames")
    (tmp_path / "half.part").write_text("not yet")
    (tmp_path / ".hidden").write_text("not ours")
    assert set(entries(str(tmp_path))) == {"run", "OUTCAR.gz"}


def test_zone_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert entries(str(tmp_path / "nowhere")) == {}


def test_a_name_in_another_encoding_is_told_once_and_holds_up_nobody(tmp_path: Path) -> None:
    _entry(tmp_path, "run")
    _entry(tmp_path, os.fsdecode(b"L\xf6sung"))
    (tmp_path / "run" / os.fsdecode(b"\xdcber.txt")).write_text("part of the run")
    watch = LandingWatch(quiet_s=0)
    with capture_logs() as told:
        assert [watch.look(entries(str(tmp_path)), now_s) for now_s in (0, 1)] == [["run"]] * 2
    assert [line["entry"] for line in told] == ["L\\xf6sung"]


def test_a_link_to_a_folder_is_told_once_and_not_followed(tmp_path: Path) -> None:
    zone, elsewhere = tmp_path / "zone", tmp_path / "elsewhere"
    _entry(elsewhere, "run")
    zone.mkdir()
    (zone / "linked").symlink_to(elsewhere / "run")
    with capture_logs() as told:
        assert entries(str(zone)) == entries(str(zone)) == {}
    assert [line["link"] for line in told] == [str(zone / "linked")]


def test_signature_follows_size_and_time(tmp_path: Path) -> None:
    run = _entry(tmp_path, "run")
    before = entries(str(tmp_path))["run"]
    os.utime(run / "OUTCAR", (1, 1))
    assert entries(str(tmp_path))["run"] != before


def test_growing_entry_has_not_landed() -> None:
    watch = LandingWatch(quiet_s=10)
    assert watch.look({"run": ("1", False)}, 0) == []
    assert watch.look({"run": ("2", False)}, 9) == []
    assert watch.look({"run": ("2", False)}, 18) == []
    assert watch.look({"run": ("2", False)}, 19) == ["run"]


def test_ready_entry_has_landed_at_once() -> None:
    assert LandingWatch(quiet_s=600).look({"run": ("1", True)}, 0) == ["run"]


def test_entry_is_reported_again_only_when_it_changes() -> None:
    watch = LandingWatch(quiet_s=0)
    assert watch.look({"run": ("1", False)}, 0) == ["run"]
    assert watch.advance()
    assert watch.look({"run": ("1", False)}, 1) == []
    assert watch.advance() == {}
    assert watch.look({"run": ("2", False)}, 2) == ["run"]


def test_entry_that_was_not_acknowledged_is_reported_again() -> None:
    watch = LandingWatch(quiet_s=0)
    assert watch.look({"run": ("1", False)}, 0) == ["run"]
    assert watch.look({"run": ("1", False)}, 1) == ["run"]


def _restarted(watch: LandingWatch, cursor: dict[str, str]) -> LandingWatch:
    cursor |= watch.advance()
    again = LandingWatch(watch.quiet_s)
    for part in cursor.values():
        again.recall(part)
    return again


def test_cursor_survives_a_restart_and_forgets_what_is_gone() -> None:
    first, cursor = LandingWatch(quiet_s=0), dict[str, str]()
    first.look({"old": ("1", False), "kept": ("1", False)}, 0)
    second = _restarted(first, cursor)
    assert second.look({"kept": ("1", False), "new": ("1", False)}, 0) == ["new"]
    third = _restarted(second, cursor)
    assert third.look({"kept": ("1", False), "old": ("1", False)}, 0) == ["old"]
    assert sum(map(len, cursor.values())) == 2 * 12


def test_a_zone_that_vanishes_for_a_while_is_not_told_again() -> None:
    watch = LandingWatch(quiet_s=0)
    watch.look({"run": ("1", False)}, 0)
    watch.advance()
    watch.look({}, 1)
    assert watch.advance() == {}
    assert watch.look({"run": ("1", False)}, 2) == []


def test_cursor_of_very_many_entries_fits_what_airflow_stores() -> None:
    first, cursor = LandingWatch(quiet_s=0), dict[str, str]()
    zone = {f"run{number}": ("1", False) for number in range(80_000)}
    assert len(first.look(zone, 0)) == len(zone)
    second = _restarted(first, cursor)
    assert second.look(zone | {"late": ("1", False)}, 0) == ["late"]
    assert set(cursor) == set(CURSOR_PARTS)
    assert max(len(json.dumps(part)) for part in cursor.values()) < 65_535
    assert len(second.advance()) == 1  # one more entry changes one part


class Store:
    """What the triggerer gives a trigger to remember, in memory."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    async def aget(self, key: str, default: Any) -> Any:
        return self.values.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = value


async def _first_event(trigger: LandingTrigger) -> list[str]:
    async for event in trigger.run():
        payload: list[str] = event.payload["entries"]
        return payload
    raise AssertionError("a trigger runs for ever")


def test_trigger_fires_with_what_landed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELTLAKE_LANDING", str(tmp_path))
    _entry(tmp_path, "run")
    trigger = LandingTrigger()
    assert asyncio.run(asyncio.wait_for(_first_event(trigger), 10)) == ["run"]


async def _fired(store: Store, seconds: float, *, stored_after_s: float = 0.0) -> list[str]:
    """Entries that a trigger tells of within this time."""
    trigger = LandingTrigger()
    trigger.stored_after_s = stored_after_s
    trigger.asset_state_store = store  # type: ignore[assignment]
    names: list[str] = []

    async def listen() -> None:
        async for event in trigger.run():
            names.extend(event.payload["entries"])

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(listen(), seconds)
    return names


def test_trigger_remembers_over_restarts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELTLAKE_LANDING", str(tmp_path))
    store = Store()
    _entry(tmp_path, "first")
    assert asyncio.run(_fired(store, 0.5)) == ["first"]
    assert asyncio.run(_fired(store, 0.3)) == []
    _entry(tmp_path, "second")
    assert asyncio.run(_fired(store, 0.5)) == ["second"]


def test_triggerer_that_dies_before_airflow_stored_an_event_tells_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MELTLAKE_LANDING", str(tmp_path))
    store = Store()
    _entry(tmp_path, "run")
    assert asyncio.run(_fired(store, 0.5, stored_after_s=1.0)) == ["run"]
    assert asyncio.run(_fired(store, 1.5, stored_after_s=1.0)) == ["run"]
    assert asyncio.run(_fired(store, 0.5)) == []


@pytest.fixture
def bucket() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, s3_server() as server:
        use_store(patch, server)
        make_bucket(server, "arrivals")
        patch.setenv("MELTLAKE_LANDING", "s3://arrivals/landing/")
        yield "s3://arrivals/landing"


def _upload(bucket: str, key: str, content: bytes = b"frames") -> None:
    with file_system(bucket).open_output_stream(f"{bucket.removeprefix('s3://')}/{key}") as stream:
        stream.write(content)


def test_a_zone_in_a_bucket_is_watched_as_one_on_a_disk(bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    assert asyncio.run(_fired(store, 0.5)) == []
    for key in ("first/OUTCAR", "first/deep/er/INCAR", "OUTCAR.gz", "half.part", ".hidden/OUTCAR"):
        _upload(bucket, key)
    assert asyncio.run(_fired(store, 1.0)) == ["OUTCAR.gz", "first"]
    _upload(bucket, "second/OUTCAR")
    _upload(bucket, "second/READY", b"")
    assert entries(bucket)["second"][1]
    assert asyncio.run(_fired(store, 1.0)) == ["second"]
    _upload(bucket, "first/OUTCAR", b"more frames")
    assert asyncio.run(_fired(store, 1.0)) == ["first"]
    assert caplog.records == []


def test_a_bucket_that_is_not_there_is_told_and_the_trigger_lives_on(
    bucket: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MELTLAKE_LANDING", "s3://nowhere/landing")
    assert asyncio.run(_fired(Store(), 1.0)) == []
    [told] = caplog.records
    assert "s3://nowhere/landing: there is no such bucket." in told.getMessage()
    assert told.exc_info is None or not told.exc_info


def test_trigger_is_stored_without_a_path_of_this_machine() -> None:
    assert LandingTrigger().serialize() == ("operators.scheduling.landing.LandingTrigger", {})


def test_event_that_tells_nothing_costs_no_other_its_entries() -> None:
    extras = [{"payload": {"entries": ["run-1"]}}, {"payload": {"entries": "run-2"}}, {"payload": None}, {}, None]
    assert landed([SimpleNamespace(extra=extra) for extra in extras]) == ["run-1"]
