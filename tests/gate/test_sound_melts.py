"""Sound melts go through the whole ingest, and the gate rejects none of their frames."""

from collections import Counter
from dataclasses import replace

import pytest

from lake.delta import Lake
from operators.ingest import ingest
from operators.materialize import materialize
from operators.physics.toy_potential import MELT_TEMPERATURES_K
from operators.toy_melt import ToyMeltRequest, generate
from schemas.errors import MeltlakeError
from schemas.settings import Settings
from schemas.training import TrainingSetRequest
from tests.gate.clean_runs import clean_text
from tests.gate.vasp_text import VaspText

COMPOSITIONS = tuple(MELT_TEMPERATURES_K)[:10]
MOST_FLAGGED = 1e-3
"""Share of frames; what is rare in a melt is flagged for being rare."""


def ingested(folder, compositions, n_frames):
    """A lake of such melts: rows of `runs`, and failed frames (1 for a run) by rule."""
    for seed, composition in enumerate(compositions):
        request = ToyMeltRequest(
            composition=composition, n_atoms=108, n_frames=n_frames, sample_fs=2.0, seed=seed, source_format="outcar"
        )
        generate(folder / "raw" / f"{seed}-{composition}", request)
    settings = Settings.from_mapping({}, lake=str(folder / "lake"), landing=str(folder / "landing"))
    ingest(settings, [str(folder / "raw")], workers=1)
    lake = Lake(settings.lake)
    failed = Counter()
    for result in lake.rows("expectation_results").to_pylist():
        assert result["error"] is None
        failed[result["expectation"]] += result["n_unexpected"]
    return lake.rows("runs").to_pylist(), +failed


def check(runs, failed, *, n_runs, n_frames):
    assert [run["n_frames"] for run in runs] == [n_frames] * n_runs
    assert [run["n_rejected"] for run in runs] == [0] * n_runs
    assert sum(failed.values()) <= MOST_FLAGGED * n_runs * n_frames, failed


def test_no_frame_of_three_sound_melts_is_rejected(tmp_path):
    check(*ingested(tmp_path, COMPOSITIONS[::4], 200), n_runs=3, n_frames=200)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_frame_of_ten_sound_melts_is_rejected(tmp_path):
    runs, failed = ingested(tmp_path, COMPOSITIONS, 2000)
    print(dict(failed))
    check(runs, failed, n_runs=10, n_frames=2000)


def test_runs_of_one_composition_and_two_cutoffs_never_meet_in_a_training_set(tmp_path):
    text = VaspText.of(clean_text("brief melt/OUTCAR"))
    for cutoff, frames in ((300, text.frames[:20]), (400, text.frames[20:40])):
        folder = tmp_path / "raw" / f"{cutoff}"
        folder.mkdir(parents=True)
        head = text.head.replace("ENCUT  =  300", f"ENCUT  =  {cutoff}").replace("ENCUT = 300", f"ENCUT = {cutoff}")
        (folder / "OUTCAR").write_text(str(replace(text, head=head, frames=frames)))
    settings = Settings.from_mapping({}, lake=str(tmp_path / "lake"), landing=str(tmp_path / "landing"))
    ingest(settings, [str(tmp_path / "raw")], workers=1)
    runs = Lake(settings.lake).rows("runs").to_pylist()
    assert sorted((run["encut_ev"], run["n_rejected"]) for run in runs) == [(300.0, 0), (400.0, 0)]
    with pytest.raises(
        MeltlakeError, match=r"differ in ENCUT, so.*ENCUT=300.*ENCUT=400|differ in ENCUT, so.*ENCUT=400.*ENCUT=300"
    ):
        materialize(settings, TrainingSetRequest(compositions=(runs[0]["composition"],)))
    alone = materialize(settings, TrainingSetRequest(runs=(runs[0]["run_id"],)))
    assert alone["training_set_id"]
