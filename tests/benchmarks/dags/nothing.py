"""Mapped tasks that do nothing: what they cost is Airflow's own. In its processes, and in pods as our tasks are."""

from typing import Any

from airflow.sdk import DAG, task

from operators.scheduling.runner import RunnerOperator

with DAG("nothing", schedule=None, params={"n_tasks": 1}):

    @task
    def plan(params: Any = None) -> list[int]:
        """So many items."""
        return list(range(params["n_tasks"]))

    @task
    def work(item: int) -> None:
        """None."""

    work.expand(item=plan())

with DAG("nothing_in_pods", schedule=None, params={"n_tasks": 1}):

    @task
    def plan_pods(params: Any = None) -> list[list[str]]:
        """So many commands."""
        return [[str(number)] for number in range(params["n_tasks"])]

    RunnerOperator.partial(task_id="work", cmds=["true"], pool="cpu").expand(arguments=plan_pods())
