"""Landed VASP output becomes frames.

Starts when the landing zone changes, and every night at 3 h UTC for whatever was missed. One pod reads one entry, so
a bad file stops no other: its task is red and says what to do (exit 65 is not retried), the rest goes on.

To read something again or by hand, trigger with `entries`: names in the landing zone, or absolute paths.
"""

from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, Param, task
from airflow.sdk.exceptions import AirflowSkipException

from operators.scheduling.assets import aimd, catalog, frames, landing
from operators.scheduling.runner import POLICY, RunnerOperator

with DAG(
    "ingest",
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("0 3 * * *", timezone="UTC"), assets=[landing]),
    params={"entries": Param([], type="array", items={"type": "string"}, description="what to read, by hand")},
    max_active_runs=1,
    default_args=POLICY,
    doc_md=__doc__,
    tags=["meltlake"],
) as dag:

    @task
    def plan(params: Any = None, triggering_asset_events: Any = None) -> list[list[str]]:
        """What landed, what was asked for, and what the lake does not know yet."""
        from operators.scheduling.plans import ingest_commands

        events = triggering_asset_events.get(landing, [])
        named = [entry for event in events for entry in event.extra.get("payload", {}).get("entries", [])]
        return ingest_commands([*named, *params["entries"]])

    @task(outlets=[frames, aimd, catalog], trigger_rule="all_done")
    def announce(dag_run: Any = None, outlet_events: Any = None) -> None:
        """Tell the compositions that changed, whether or not every entry could be read."""
        from operators.scheduling.plans import changed_compositions

        compositions = changed_compositions(dag_run.start_date)
        if not compositions:
            raise AirflowSkipException("No composition changed.")
        outlet_events[frames].add_partitions(compositions)
        outlet_events[frames].extra = {"since": dag_run.start_date.isoformat()}

    ingest = RunnerOperator.partial(task_id="ingest", pool="cpu").expand(arguments=plan())
    ingest >> [announce(), EmptyOperator(task_id="all_read")]  # the second fails the run when an entry failed
