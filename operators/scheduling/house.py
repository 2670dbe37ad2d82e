"""What all our DAGs have in common. What each of them does belongs in `dags`."""

from typing import Any

from operators.scheduling.alerts import late_after
from operators.scheduling.retries import POLICY


def house(doc: str | None, **late: float) -> dict[str, Any]:
    """Settings for a DAG: its explanation, the policy of retries, and when its runs count as late (`days=1`)."""
    return {"doc_md": doc, "tags": ["meltlake"], "default_args": POLICY, "deadline": late_after(**late)}
