from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.delta import Lake
from operators.runs.part import Part
from operators.scheduling import plans
from operators.scheduling.batches import LEAST_S, MOST_TASKS, Work, batches, parts
from operators.scheduling.landing_zone import work_in
from tests.scheduling.lake_rows import ingest, run

MB = 1 << 20


def grow(path: Path, n_bytes: int) -> None:
    """A file of that size that takes no disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(n_bytes)


@given(st.dictionaries(st.integers(), st.floats(0.0, 1e4), max_size=600))
def test_every_item_is_in_one_batch_and_every_batch_is_worth_its_task(seconds: dict[int, float]) -> None:
    found = batches(seconds)
    assert sorted(item for batch in found for item in batch) == sorted(seconds)
    assert len(found) <= MOST_TASKS
    assert len(found) <= 1 or all(sum(seconds[item] for item in batch) >= LEAST_S for batch in found)


def test_what_is_worth_a_task_is_alone_but_for_what_is_left_over() -> None:
    seconds = {"hours": 9000.0, "minutes": 600.0, "seconds": 6.0} | dict.fromkeys("abcdefg", 1.0)
    assert batches(seconds) == [["hours"], ["minutes"], ["f", "g", "seconds"], ["a", "b", "c", "d", "e"]]


@given(st.dictionaries(st.integers(), st.builds(Work, st.integers(0, 5000), st.floats(0.0, 1e5)), max_size=50))
def test_parts_are_a_minute_long_and_no_more_than_tasks_there_may_be(work: dict[int, Work]) -> None:
    found = parts(work)
    assert all(n_parts == 1 or work[item].seconds / n_parts >= 60 for item, n_parts in found.items())
    assert sum(n_parts for n_parts in found.values() if n_parts > 1) <= MOST_TASKS


@given(st.integers(1, 40), st.lists(st.text(), max_size=40))
def test_every_run_is_of_exactly_one_part(of: int, addresses: list[str]) -> None:
    every = [Part.parse(f"{number}/{of}") for number in range(1, of + 1)]
    assert all(sum(part.has(address) for part in every) == 1 for address in addresses)


def test_work_of_an_entry_is_that_of_the_files_that_would_be_read(tmp_path: Path) -> None:
    for name in ("run/OUTCAR", "run/WAVECAR", "run/vasprun.xml", "packed.gz"):
        grow(tmp_path / name, 400 * MB)
    grow(tmp_path / "half.part", MB)
    found = work_in(str(tmp_path))
    assert {name: one.n_runs for name, one in found.items()} == {"run": 1, "packed.gz": 1}
    assert found["run"].seconds == pytest.approx(2.4, abs=0.1)
    assert found["packed.gz"].seconds == pytest.approx(10.8, abs=0.1)


def test_small_entries_share_a_pod_and_large_ones_have_their_own(lake: Lake, tmp_path: Path) -> None:
    for name, n_mb in (("a", 1), ("b", 1), ("large", 4000)):
        grow(tmp_path / "landing" / name / "OUTCAR", n_mb * MB)
    zone = tmp_path / "landing"
    assert plans.ingest_commands() == [["ingest", f"{zone}/a", f"{zone}/b", f"{zone}/large"]]
    for number in range(20):
        grow(zone / f"c{number}" / "OUTCAR", MB)
    [first, second] = plans.ingest_commands()
    assert first[-1] == f"{zone}/large"
    assert len(first) + len(second) == 2 + 23


def test_a_tree_of_many_runs_is_shared_by_several_pods_wherever_it_is(lake: Lake, tmp_path: Path) -> None:
    for number in range(40):
        grow(tmp_path / "archive" / f"run{number}" / "OUTCAR", 4000 * MB)
    expected = [["ingest", str(tmp_path / "archive"), "--part", f"{number}/7"] for number in range(1, 8)]
    assert plans.ingest_commands([str(tmp_path / "archive")]) == expected


def test_long_runs_are_observed_alone_and_short_ones_together(lake: Lake) -> None:
    short = [f"short{number}" for number in range(1, 7)]
    sizes = dict.fromkeys(short, (150, 512)) | {"long": (9000, 512)}
    for name, (n_frames, n_atoms) in sizes.items():
        ingest(lake, run("Al50Cu50", "Al-Cu", run_id=name, n_frames=n_frames, n_atoms=n_atoms))
    ingest(lake, run("Cu100", "Cu"))
    alone, together = plans.observe_commands("Al50Cu50")
    assert alone == ["observe", "--run", "long", "--due"]
    assert together == ["observe", "--run", *short, "--due"]
