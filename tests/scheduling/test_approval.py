"""Nothing is simulated that nobody approved, where somebody is to approve it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk import NEVER_EXPIRE  # type: ignore[attr-defined]  # stub lags
from airflow.sdk.exceptions import TaskAwaitingInput

from lake.delta import Lake
from operators.scheduling import plans
from operators.scheduling.approval import PromotionOperator
from schemas.errors import MeltlakeError
from schemas.recipes import recipe_named
from tests.scheduling.lake_rows import freeze, ingest, run, trained

ANSWER: dict[str, Any] = {"chosen_options": ["Approve"], "params_input": {}, "responded_by_user": None}


class Store(dict[str, Any]):
    """What Airflow keeps beside a task, and for how long."""

    kept_for: timedelta | None = None

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        self[key], self.kept_for = value, retention


@pytest.fixture
def context(lake: Lake, tmp_path: Path) -> Any:
    """Of a task on a lake with frames, whose campaign wants a person to approve potentials."""
    ingest(lake, run("Al100", "Al"))
    freeze(lake, "set", type_map=["Al"], compositions=["Al100"], runs=["al100"])
    (tmp_path / "campaign.toml").write_text("approve = true")
    return {"task_instance": SimpleNamespace(id="one"), "task_state_store": Store()}


def _approved(context: Any) -> Any:
    event = ANSWER | {"responded_at": datetime.now(UTC)}
    return PromotionOperator(task_id="promote").execute_complete(context, event)


def test_potential_that_was_trained_after_the_question_is_not_approved(context: Any, lake: Lake) -> None:
    approved = PromotionOperator(task_id="promote").execute(context)
    trained(lake, "set", recipe_named("DP-small"))
    assert len(plans.simulate_commands()) == 1
    assert plans.simulate_commands(approved) == []


def test_answer_may_take_for_ever(context: Any, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **_: None)
    name = trained(lake, "set", recipe_named("DP-small"))
    with pytest.raises(TaskAwaitingInput):
        PromotionOperator(task_id="promote").execute(context)
    assert context["task_state_store"].kept_for is NEVER_EXPIRE
    assert _approved(context) == [name]


def test_answer_to_a_question_that_was_forgotten_approves_nothing(context: Any) -> None:
    with pytest.raises(MeltlakeError, match=r"which potentials it is about.*Clear the task"):
        _approved(context)
