"""Asks a person before potentials are promoted, where `campaign.toml` says `approve = true`; otherwise asks nobody."""

from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context

_ASKED = "asked"


class PromotionOperator(ApprovalOperator):
    """Lists the potentials that are to be simulated, with their errors, and waits for an answer without a worker.

    Returns the names that were approved, or nothing where nobody was asked. What was rejected stays as it was and is
    asked about again with the next potentials.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(subject="Shall these potentials be simulated?", **settings)

    def execute(self, context: Context) -> None:
        """Ask, if a person is to be asked and there is something to decide."""
        from operators.scheduling.plans import promotion_question

        if (question := promotion_question()) is None:
            return
        # Kept beside the task while it waits; the answer is about these, and not about what is trained meanwhile.
        context["task_state_store"].set(_ASKED, [*question.potentials])
        self.body = question.text
        super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on with what was asked about; after a rejection, what follows is skipped."""
        super().execute_complete(context, event)
        return context["task_state_store"].get(_ASKED)
