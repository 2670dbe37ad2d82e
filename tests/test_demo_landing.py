"""Own runs on their way into the demo's landing zone: each gets a folder of its own, however its place was named."""

import pytest

from operators.demo import _land_real_runs
from operators.toy_melt import ToyMeltRequest, generate
from schemas.settings import Settings


@pytest.mark.parametrize("place", ["my runs", "somewhere/../my runs", "my runs/one"])
def test_own_runs_land_however_their_folder_is_named(tmp_path, monkeypatch, place):
    generate(tmp_path / "my runs" / "one", ToyMeltRequest(composition="Al100", n_atoms=32, n_frames=2))
    (tmp_path / "somewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_mapping({}, lake=str(tmp_path / "lake"), landing=str(tmp_path / "landing"))
    for _ in range(2):
        _land_real_runs(settings, tmp_path.joinpath(place).relative_to(tmp_path))
    landed = [path for path in (tmp_path / "landing").rglob("*") if path.is_file()]
    assert {path.parent.name for path in landed} == {"one"}
    assert {path.name for path in landed} <= {"OUTCAR", "vasprun.xml"}
