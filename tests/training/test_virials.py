"""The paper's first claim and the smallest recipe's promise, on the demo's toy melts: two trainings, a minute each."""

from pathlib import Path

import pytest

from operators.publish import publish
from operators.report import report
from tests.benchmarks.recipes import settings_in, train_small


@pytest.mark.physical_validation
@pytest.mark.timeout(3600)
def test_virials_in_the_loss_cost_nothing_and_make_the_virial_many_times_better(tmp_path: Path) -> None:
    used, unused = (train_small(tmp_path, name) for name in ("DP-small", "DP-small-without-virial"))
    assert used["energy"] <= 10
    assert used["force"] <= 200
    assert used["cpu_seconds"] <= 300
    assert unused["virial"] > 5 * used["virial"]
    assert unused["energy"] == pytest.approx(used["energy"], rel=0.5)
    assert unused["force"] == pytest.approx(used["force"], rel=0.25)
    settings = settings_in(tmp_path, "small")
    publish(settings)
    page = Path(str(report(settings)["index"])).read_text(encoding="utf-8")
    assert "Virials in the loss" in page
    assert "DP-small against DP-small-without-virial" in page
