"""LAMMPS runs of new potentials, compared with the AIMD runs of the same composition.

Newest potentials x their compositions (held-out ones included) x the protocols of `campaign.toml`, but for simulations
that are there. With `approve = true` in that file, `promote` asks a person first.
"""

from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, task

from operators.scheduling.approval import PromotionOperator
from operators.scheduling.assets import catalog, potentials
from operators.scheduling.house import house
from operators.scheduling.runner import RunnerOperator

with DAG("simulate", schedule=[potentials], max_active_runs=1, **house(__doc__, days=14)) as dag:

    @task
    def plan(approved: Any = None) -> list[list[str]]:
        """One command per potential, composition and protocol."""
        from operators.scheduling.plans import simulate_commands

        return simulate_commands(approved)

    @task(trigger_rule="all_done")
    def plan_observations() -> list[list[str]]:
        """Simulations that changed or were never observed."""
        from operators.scheduling.plans import observe_simulations_commands

        return observe_simulations_commands()

    @task(outlets=[catalog], trigger_rule="all_done")
    def announce() -> None:
        """Warehouse and report may be rebuilt."""

    simulate = RunnerOperator.partial(task_id="simulate", node="gpu", pool="gpu").expand(
        arguments=plan(PromotionOperator(task_id="promote").output)
    )
    observations = plan_observations()
    observe = RunnerOperator.partial(task_id="observe", pool="cpu").expand(arguments=observations)
    simulate >> observations
    observe >> announce()
    [simulate, observe] >> EmptyOperator(task_id="all_simulated", trigger_rule="none_failed")
