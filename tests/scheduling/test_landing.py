import asyncio
import os
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest

from operators.scheduling.landing import LandingTrigger
from operators.scheduling.landing_zone import LandingWatch, entries


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


def test_zone_may_be_in_an_object_store() -> None:
    fsspec.filesystem("memory").pipe("/landing/run/OUTCAR", b"frames")
    assert set(entries("memory://landing")) == {"run"}


def test_zone_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert entries(str(tmp_path / "nowhere")) == {}


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
    assert not watch.advance()
    assert watch.look({"run": ("2", False)}, 2) == ["run"]


def test_entry_that_was_not_acknowledged_is_reported_again() -> None:
    watch = LandingWatch(quiet_s=0)
    assert watch.look({"run": ("1", False)}, 0) == ["run"]
    assert watch.look({"run": ("1", False)}, 1) == ["run"]


def test_cursor_survives_a_restart_and_forgets_what_is_gone() -> None:
    first = LandingWatch(quiet_s=0)
    first.look({"old": ("1", False), "kept": ("1", False)}, 0)
    first.advance()
    second = LandingWatch(quiet_s=0, cursor=first.cursor)
    assert second.look({"kept": ("1", False), "new": ("1", False)}, 0) == ["new"]
    second.advance()
    assert len(second.cursor) == len(first.cursor) == 20


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


def test_trigger_remembers_over_restarts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELTLAKE_LANDING", str(tmp_path))
    store = Store()

    async def fired(seconds: float) -> list[str]:
        trigger = LandingTrigger()
        trigger.asset_state_store = store  # type: ignore[assignment]
        names: list[str] = []

        async def listen() -> None:
            async for event in trigger.run():
                names.extend(event.payload["entries"])

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(listen(), seconds)
        return names

    _entry(tmp_path, "first")
    assert asyncio.run(fired(0.5)) == ["first"]
    assert asyncio.run(fired(0.3)) == []
    _entry(tmp_path, "second")
    assert asyncio.run(fired(0.5)) == ["second"]


def test_trigger_is_stored_without_a_path_of_this_machine() -> None:
    assert LandingTrigger().serialize() == ("operators.scheduling.landing.LandingTrigger", {})
