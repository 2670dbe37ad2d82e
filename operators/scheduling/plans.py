"""What is to be done next, read from the lake: lists of `meltlake` arguments for the runners.

Functions of the lake's present state, so that a repeated or a lost event does no harm. They read; steps write.
Airflow's own objects belong in `dags`.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lake.raw_store import full_address
from operators.log import log
from operators.scheduling.landing_zone import work_below, work_in
from operators.scheduling.shared_commands import Commands, to_ingest, to_judge, to_observe
from schemas.errors import MeltlakeError
from schemas.settings import Settings

if TYPE_CHECKING:
    from operators.stale.campaign_work import CampaignWork
    from operators.stale.item import Stale


def here() -> Settings:
    """Where things are, as the worker that runs the plan was told."""
    return Settings.from_mapping(os.environ)


def ingest_commands(named: Iterable[str] = ()) -> Commands:
    """Landing entries that are named, and those that the lake does not know: small ones together, a large one in parts.

    A bad one stops no other of the same command.
    """
    settings = here()
    zone = full_address(settings.landing)
    landed = work_in(settings.landing)
    wanted = sorted({*named, *_unknown(zone, landed)})
    work = {_address(entry, zone): landed.get(entry) for entry in wanted}
    return to_ingest({address: work_below(address) if known is None else known for address, known in work.items()})


def _address(entry: str, zone: str) -> str:
    return entry if entry.startswith("/") or "://" in entry else f"{zone}/{entry}"


def changed_compositions(since: datetime | None) -> list[str]:
    """Compositions with an AIMD run that was committed since then, or that nobody has observed yet."""
    return sorted({run["composition"] for run in _stale_runs("aimd", since=since)})


def gate_commands(since: datetime) -> Commands:
    """AIMD runs that were committed since then, small ones together."""
    return to_judge(_committed(since))


def gate_summary(since: datetime) -> dict[str, Any]:
    """What the gate said of the AIMD runs that were committed since then, for whoever listens to the asset."""
    runs = _committed(since)
    return {
        "n_runs": len(runs),
        "n_accepted": sum(run["n_accepted"] for run in runs),
        "n_rejected": sum(run["n_rejected"] for run in runs),
        "reasons": {run["run_id"]: run["reason"] for run in runs if run["reason"]},
    }


def _committed(since: datetime) -> list[dict[str, Any]]:
    return _query(
        f"""select run_id, n_frames, n_atoms, n_accepted, n_rejected, reason from runs
        where origin = 'aimd' and ingested_at >= {_timestamp(since)} order by run_id"""
    )


def observe_commands(composition: str) -> Commands:
    """AIMD runs of the composition that are due to be observed, small ones together."""
    return to_observe(_stale_runs("aimd", composition=composition), "--due")


def chosen_commands(condition: str) -> Commands:
    """Runs that a person chose, due or not: a condition in SQL on the published table `runs`.

    Raises
    ------
    MeltlakeError
        If the condition is none, or would do more than read.
    """
    from lake.sandbox import Limits, ask

    columns = ("run_id", "n_frames", "n_atoms")
    chosen = f"select {', '.join(columns)} from runs where n_frames > 0 and ({condition}) order by run_id"
    rows = ask(here(), chosen, limits=Limits(rows=None)).rows
    return to_observe([dict(zip(columns, row, strict=True)) for row in rows])


def compare_commands(composition: str) -> Commands:
    """Simulations of the composition that are due to be observed, for what its AIMD runs are by now."""
    return to_observe(_stale_runs("dnnp", composition=composition), "--due")


def materialize_commands() -> Commands:
    """One training set per group of compositions whose energies are comparable, where frames or choices changed."""
    work = campaign_work()
    for note in work.unmatched():
        log.warning("materialize", note=note)
    return _commands(work.training_sets())


def train_commands() -> Commands:
    """Newest training set of every group x recipe x seed, but for potentials that are there.

    An outdated set is not trained on: where the next one could not be made, its task has said why.

    Raises
    ------
    MeltlakeError
        If there are frames to train on and no training set of them.
    """
    work = campaign_work()
    if work.sets and not any(one.newest for one in work.sets):
        raise MeltlakeError(
            "The lake has frames to train on, and no training set that was made of them as the campaign wants it.",
            "See why the task materialize failed; `meltlake materialize` tells the same by hand.",
        )
    return _commands(work.potentials())


def score_commands() -> Commands:
    """One command per potential of the newest training sets whose errors are not known."""
    return _commands(campaign_work().scores())


def simulate_commands(approved: Collection[str] | None = None) -> Commands:
    """Newest potentials x their compositions x the campaign's protocols, but for simulations that are there.

    Where a person was asked, those of the approved potentials only.
    """
    commands = _commands(campaign_work().simulations())
    return [command for command in commands if approved is None or command[1] in approved]


@dataclass(frozen=True)
class Question:
    """What a person is asked to decide."""

    potentials: list[str]
    text: str


def promotion_question() -> Question | None:
    """The potentials that are to be simulated, with their errors; nothing, where `campaign.toml` asks nobody."""
    from operators.campaign import campaign_of

    if not campaign_of(here()).approve:
        return None
    potentials = sorted({command[1] for command in simulate_commands()})
    if not potentials:
        return Question([], "There is none.")
    rows = _query(
        f"""select potential_id, recipe, seed, n_steps, training_set_id,
        max(rmse_force_mev_per_angstrom) filter (split = 'test') as test,
        max(rmse_force_mev_per_angstrom) filter (split = 'held_out') as held_out
        from potentials left join (from rmse where composition = 'all') using (potential_id)
        where potential_id in ({", ".join(f"'{name}'" for name in potentials)}) group by all order by recipe, seed"""
    )
    lines = [
        "| potential | recipe | seed | steps | training set | force RMSE, test | held out |",
        "|---|---|---|---|---|---|---|",
        *(f"| {' | '.join(_shown(value) for value in row.values())} |" for row in rows),
    ]
    return Question(potentials, "\n".join([*lines, "", "Force errors in meV per angstrom; - is not known."]))


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def has_news_of_potentials() -> bool:
    """Whether there are potentials to be simulated or to be published."""
    work = campaign_work()
    return bool(work.newest_potentials) and (bool(work.simulations()) or not work.is_published())


def observe_simulations_commands() -> Commands:
    """Simulations that are due to be observed, short ones together."""
    return to_observe(_stale_runs("dnnp"), "--due")


def _stale_runs(
    origin: str, *, composition: str | None = None, since: datetime | None = None
) -> list[Mapping[str, Any]]:
    """Runs with frames that are due to be observed, or that were committed since then (UTC)."""
    from operators.stale.holdings import Holdings  # as below
    from operators.stale.observations import due_observations

    holdings = Holdings(here())
    due = due_observations(holdings)
    when = None if since is None else since.astimezone(UTC).replace(tzinfo=None, microsecond=0)
    stale = [
        run
        for run in holdings.runs
        if (run["origin"] == origin and run["n_frames"] and composition in (None, run["composition"]))
        and (run["run_id"] in due or (when is not None and run["ingested_at"] and run["ingested_at"] >= when))
    ]
    return sorted(stale, key=lambda run: str(run["run_id"]))


def _timestamp(when: datetime) -> str:
    return f"timestamp '{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}'"


def campaign_work() -> "CampaignWork":
    """What is due of the campaign, with the reasons."""
    from operators.stale.campaign_work import CampaignWork  # as below

    return CampaignWork(here())


def _commands(items: "Iterable[Stale]") -> Commands:
    return [list(item.arguments) for item in items]


def _unknown(zone: str, landed: Iterable[str]) -> list[str]:
    # A refused file waits for a person; when it changes, the landing event names it.
    seen = "select path as uri from raw_files union select subject from task_failures where verb = 'ingest'"
    known = {uri.removeprefix("file://") for uri in _column(seen, "uri")}
    names = {uri.removeprefix(f"{zone}/").split("/")[0] for uri in known if uri.startswith(f"{zone}/")}
    return [entry for entry in landed if entry not in names]


def _column(sql: str, name: str) -> list[str]:
    return [row[name] for row in _query(sql)]


def _query(sql: str) -> list[dict[str, Any]]:
    from lake.warehouse import query  # DuckDB and Delta must be used after Airflow's fork only, never before

    rows: list[Mapping[str, object]] = query(here(), sql)  # type: ignore[assignment]
    return [dict(row) for row in rows]
