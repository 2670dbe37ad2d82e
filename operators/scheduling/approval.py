"""Asks a person before potentials are promoted, where `campaign.toml` says `approve = true`; otherwise asks nobody."""

from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import NEVER_EXPIRE, Context  # type: ignore[attr-defined]  # stub lags

from schemas.errors import MeltlakeError

_ASKED = "asked"


class PromotionOperator(ApprovalOperator):
    """Lists the potentials that are to be simulated, with their errors, and waits for an answer without a worker.

    Returns the names that were approved, or nothing where nobody is to be asked. What was rejected stays as it was and
    is asked about again with the next potentials.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(subject="Shall these potentials be simulated?", **settings)

    def execute(self, context: Context) -> list[str] | None:
        """Ask, if a person is to be asked and there is something to decide."""
        from operators.scheduling.plans import promotion_question

        if (question := promotion_question()) is None:
            return None
        if not question.potentials:
            return []  # nothing was approved: potentials that are trained from now on are asked about next time
        # Kept beside the task while it waits, for as long as that takes; the answer is about these, and not about what
        # is trained meanwhile.
        context["task_state_store"].set(_ASKED, [*question.potentials], retention=NEVER_EXPIRE)
        self.body = question.text
        super().execute(context)
        return None

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on with what was asked about; after a rejection, what follows is skipped.

        Raises
        ------
        MeltlakeError
            If Airflow has lost what was asked about.
        """
        super().execute_complete(context, event)
        asked = context["task_state_store"].get(_ASKED)
        if asked is None:
            raise MeltlakeError(
                "There is an answer, and Airflow does not know any more which potentials it is about.",
                "Clear the task `promote`, to be asked again.",
            )
        return asked
