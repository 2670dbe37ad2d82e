"""Training sets and potentials, whenever AIMD frames change.

One training set per level of theory and largest chemical system, one potential per training set, recipe and seed of
`campaign.toml`: fourteen recipes x three seeds are 42 tasks of the pool `gpu`, and one that fails stops no other. What
is there is left out by the plans, told by content, so that a needless run starts no pod.
"""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowSkipException

from operators.scheduling.assets import aimd, catalog, potentials
from operators.scheduling.house import house
from operators.scheduling.runner import RunnerOperator

with DAG("train", schedule=[aimd], max_active_runs=1, **house(__doc__, days=14)) as dag:

    @task
    def plan_training_sets() -> list[list[str]]:
        """One command per group of comparable compositions whose frames or choices have changed."""
        from operators.scheduling.plans import materialize_commands

        return materialize_commands()

    @task(trigger_rule="all_done")
    def plan_potentials() -> list[list[str]]:
        """Newest training sets x recipes x seeds, but for potentials that are there."""
        from operators.scheduling.plans import train_commands

        return train_commands()

    @task(trigger_rule="all_done")
    def plan_scores() -> list[list[str]]:
        """One command per potential of the newest training sets whose errors are not known."""
        from operators.scheduling.plans import score_commands

        return score_commands()

    @task(outlets=[potentials, catalog], trigger_rule="all_done")
    def announce() -> None:
        """Potentials may be simulated, also those whose score failed."""
        from operators.scheduling.plans import has_news_of_potentials

        if not has_news_of_potentials():
            raise AirflowSkipException("No potential is to be simulated or published.")

    materialize = RunnerOperator.partial(task_id="materialize", pool="cpu").expand(arguments=plan_training_sets())
    train_plan, scores = plan_potentials(), plan_scores()
    train = RunnerOperator.partial(task_id="train", node="gpu", pool="gpu").expand(arguments=train_plan)
    observe = RunnerOperator.partial(task_id="observe", pool="cpu").expand(arguments=scores)
    materialize >> train_plan
    train >> scores
    observe >> announce()
    [materialize, train, observe] >> EmptyOperator(task_id="all_trained", trigger_rule="none_failed")
