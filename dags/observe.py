"""Observables of the AIMD runs of one composition, as soon as its frames change.

One Dag run per composition (its partition key). Its AIMD runs share pods, each with five seconds of work or more; then
`compare`: simulations that can be compared with them now, or were compared with what they were before. By hand,
trigger with a partition key, with the parameter `composition`, or with `where`: a condition in SQL on the table `runs`
for what is to be done again.
"""

from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, PartitionedAssetTimetable, task

from operators.scheduling.assets import catalog, frames
from operators.scheduling.house import house
from operators.scheduling.runner import RunnerOperator

with DAG(
    "observe",
    schedule=PartitionedAssetTimetable(assets=frames),
    params={
        "composition": Param(None, type=["null", "string"], description="instead of a partition key"),
        "where": Param(None, type=["null", "string"], description="runs to observe again: temperature_target_k > 1500"),
    },
    max_active_runs=2,
    **house(__doc__, days=1),
) as dag:

    @task
    def plan(dag_run: Any = None, params: Any = None) -> list[list[str]]:
        """Runs of the composition that changed or were never observed."""
        from operators.scheduling.plans import chosen_commands, observe_commands

        if params["where"]:
            return chosen_commands(params["where"])
        return observe_commands(dag_run.partition_key or params["composition"])

    @task(trigger_rule="all_done")
    def plan_comparisons(dag_run: Any = None, params: Any = None) -> list[list[str]]:
        """Simulations of the composition that what was just observed makes due."""
        from operators.scheduling.plans import compare_commands

        return compare_commands(dag_run.partition_key or params["composition"])

    @task(outlets=[catalog], trigger_rule="all_done")
    def announce() -> None:
        """Warehouse and report may be rebuilt."""

    observe = RunnerOperator.partial(task_id="observe", pool="cpu").expand(arguments=plan())
    comparisons = plan_comparisons()
    compare = RunnerOperator.partial(task_id="compare", pool="cpu").expand(arguments=comparisons)
    observe >> comparisons
    compare >> announce()
    [observe, compare] >> EmptyOperator(task_id="all_observed", trigger_rule="none_failed")
