"""The demo follows Airflow also on a machine that is too busy to answer."""

import pytest

from operators import demo_progress
from operators.demo_progress import Progress
from schemas.errors import TryAgainLater

NOTHING = {"dag_runs": [], "task_instances": []}


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(demo_progress, "_POLL_S", 0.01)
    monkeypatch.setattr(demo_progress, "_QUIET_S", 0.03)


def test_an_answer_that_comes_too_late_is_asked_for_again():
    answers = [TimeoutError("timed out"), ConnectionRefusedError("refused")]
    asked = []

    def api(path):
        asked.append(path)
        if answers:
            raise answers.pop()
        return NOTHING

    Progress(api, is_due=lambda: False).follow()
    assert len(asked) > 2


def test_airflow_that_never_answers_again_is_given_up(monkeypatch):
    monkeypatch.setattr(demo_progress, "_SILENT_S", 0.05)

    def api(_path):
        raise TimeoutError("timed out")

    with pytest.raises(TryAgainLater, match="not answered for minutes"):
        Progress(api, is_due=lambda: False).follow()
