"""Landed VASP output becomes frames, and the gate says which of them may be trained on.

Starts when the landing zone changes, and every night at 3 h UTC for whatever was missed; by hand with `entries`: names
in the landing zone, or absolute paths. Small entries share a pod, a large one is shared by several; a bad file stops no
other: the task is red, names it and says what to do. Frames are judged before they are stored; `gate` shows the verdict
on each run that changed, writes its data docs, and is red for a run that a person should look at.
"""

from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, Param, task
from airflow.sdk.exceptions import AirflowSkipException

from operators.scheduling.assets import aimd, catalog, frames, landed, landing
from operators.scheduling.house import house
from operators.scheduling.runner import RunnerOperator

with DAG(
    "ingest",
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("0 3 * * *", timezone="UTC"), assets=[landing]),
    params={"entries": Param([], type="array", items={"type": "string"}, description="what to read, by hand")},
    max_active_runs=1,
    **house(__doc__, hours=12),
) as dag:

    @task
    def plan(params: Any = None, triggering_asset_events: Any = None) -> list[list[str]]:
        """What landed, what was asked for, and what the lake does not know yet."""
        from operators.scheduling.plans import ingest_commands

        return ingest_commands([*landed(triggering_asset_events.get(landing, [])), *params["entries"]])

    @task(trigger_rule="all_done")
    def plan_gate(dag_run: Any = None) -> list[list[str]]:
        """Runs that were just stored."""
        from operators.scheduling.plans import gate_commands

        return gate_commands(dag_run.start_date)

    @task(outlets=[frames, aimd, catalog], trigger_rule="all_done")
    def announce(dag_run: Any = None, outlet_events: Any = None) -> None:
        """Tell the compositions that changed, whether or not every entry could be read."""
        from operators.scheduling.plans import changed_compositions, gate_summary

        compositions = changed_compositions(dag_run.start_date)
        if not compositions:
            raise AirflowSkipException("No composition changed.")
        outlet_events[frames].add_partitions(compositions)
        since = dag_run.start_date
        outlet_events[frames].extra = {"since": since.isoformat(), "gate": gate_summary(since)}

    ingest = RunnerOperator.partial(task_id="ingest", pool="cpu").expand(arguments=plan())
    ingest >> (to_judge := plan_gate())
    gate = RunnerOperator.partial(task_id="gate", pool="cpu").expand(arguments=to_judge)
    gate >> announce()
    [ingest, gate] >> EmptyOperator(task_id="all_good", trigger_rule="none_failed")  # or the Dag run fails, too
