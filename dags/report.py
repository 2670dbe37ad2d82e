"""The warehouse and the report, whenever some table of the lake changed.

Both are pure functions of the lake. When another run of this Dag waits already, this one leaves the work to it.
"""

from typing import Any

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowSkipException

from operators.scheduling.assets import catalog
from operators.scheduling.house import house
from operators.scheduling.runner import RunnerOperator

with DAG("report", schedule=[catalog], max_active_runs=1, **house(__doc__, hours=6)) as dag:

    @task
    def is_last(ti: Any = None) -> None:
        """Skip when a later run is queued: it will see everything that this one would."""
        if ti.get_dr_count("report", states=["queued"]):
            raise AirflowSkipException("A later run is queued; it will report this too.")

    publish = RunnerOperator(task_id="publish", arguments=["publish"], pool="cpu")
    report = RunnerOperator(task_id="report", arguments=["report"], pool="cpu")
    is_last() >> publish >> report
