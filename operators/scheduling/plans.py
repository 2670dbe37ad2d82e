"""What is to be done next, read from the lake: lists of `meltlake` arguments for the runners.

Functions of the lake's present state, so that a repeated or a lost event does no harm. They read; steps write.
Airflow's own objects belong in `dags`.
"""

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from operators.campaign import Campaign, campaign_of
from operators.scheduling.groups import UNUSUAL, Group, groups_of
from operators.scheduling.landing_zone import entries
from schemas.errors import MeltlakeError
from schemas.settings import Settings

Commands = list[list[str]]

_MOST_PODS = 256  # Airflow maps at most 1024 tasks; beyond this many entries, one pod reads several


def here() -> Settings:
    """Where things are, as the worker that runs the plan was told."""
    return Settings.from_mapping(os.environ)


def ingest_commands(named: Iterable[str] = ()) -> Commands:
    """One command per landing entry: those that are named, and those that the lake does not know."""
    settings = here()
    zone = settings.landing.rstrip("/")
    if "://" not in zone:
        zone = str(Path(zone).absolute())
    wanted = sorted({*named, *_unknown_entries(settings, zone)})
    paths = [entry if entry.startswith("/") or "://" in entry else f"{zone}/{entry}" for entry in wanted]
    size = -(-len(paths) // _MOST_PODS) or 1
    return [["ingest", *paths[start : start + size]] for start in range(0, len(paths), size)]


def changed_compositions(since: datetime | None) -> list[str]:
    """Compositions with an AIMD run that was committed since then, or that nobody has observed yet."""
    return sorted({run["composition"] for run in _stale_runs("aimd", since)})


def gate_commands(since: datetime) -> Commands:
    """One command per AIMD run that was committed since then."""
    runs = [run["run_id"] for run in _committed(since)]
    size = -(-len(runs) // _MOST_PODS) or 1
    return [["validate", "--require", *runs[start : start + size]] for start in range(0, len(runs), size)]


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
        f"""select run_id, n_accepted, n_rejected, reason from runs
        where origin = 'aimd' and ingested_at >= {_timestamp(since)} order by run_id"""
    )


def observe_commands(composition: str, since: datetime | None) -> Commands:
    """One command per AIMD run of the composition that was committed since then or never observed."""
    stale = _stale_runs("aimd", since)
    return [["observe", "--run", run["run_id"]] for run in stale if run["composition"] == composition]


def materialize_commands() -> Commands:
    """One training set per group of compositions whose energies are comparable."""
    campaign = campaign_of(here())
    groups = _groups()
    return [_materialize(group, campaign, groups) for group in groups if group.trained(campaign)]


def train_commands() -> Commands:
    """Newest training set of every group x recipe x seed. Potentials that exist are found by the command itself.

    Raises
    ------
    MeltlakeError
        If there are frames to train on and no training set of them.
    """
    campaign = campaign_of(here())
    steps = [] if campaign.steps is None else ["--steps", str(campaign.steps)]
    training_sets = _newest_training_sets()
    if not training_sets and materialize_commands():
        raise MeltlakeError(
            "The lake has frames to train on, and no training set that was made of them as the campaign wants it.",
            "See why the task materialize failed; `meltlake materialize` tells the same by hand.",
        )
    return [
        ["train", training_set_id, "--recipe", recipe, "--seed", str(seed), *steps]
        for training_set_id in training_sets
        for recipe in campaign.recipes
        for seed in campaign.seeds
    ]


def score_commands() -> Commands:
    """One command per potential of the newest training sets."""
    return [["observe", "--potential", potential["potential_id"]] for potential in _newest_potentials()]


def simulate_commands() -> Commands:
    """Newest potentials x their compositions, held-out ones included, x the campaign's protocols."""
    campaign = campaign_of(here())
    heat = [] if campaign.temperature_k is None else ["--temperature-k", str(campaign.temperature_k)]
    length = [] if campaign.simulation_steps is None else ["--steps", str(campaign.simulation_steps)]
    return [
        ["simulate", potential["potential_id"], "--protocol", protocol, "--composition", composition]
        + (heat if protocol != "twin" else [])
        + length
        for potential in _newest_potentials()
        for composition in sorted({*potential["compositions"], *potential["held_out"]})
        for protocol in campaign.protocols
    ]


def observe_simulations_commands(since: datetime | None) -> Commands:
    """One command per simulation that was committed since then or never observed."""
    return [["observe", "--run", run["run_id"]] for run in _stale_runs("dnnp", since)]


def _stale_runs(origin: str, since: datetime | None) -> list[dict[str, Any]]:
    """Runs with frames that were committed since then (UTC), or with frames that no observable has seen."""
    changed = "false" if since is None else f"ingested_at >= {_timestamp(since)}"
    return _query(
        f"""select run_id, composition from runs
        where origin = '{origin}' and n_frames > 0
        and ({changed} or not exists (select 1 from thermodynamics t where t.run_id = runs.run_id
                                      and t.n_frames = runs.n_frames)
             or run_id in (select a.run_id from agreement a join runs aimd on aimd.run_id = a.aimd_run_id
                           where a.aimd_n_frames is distinct from aimd.n_frames)) order by run_id"""
    )


def _timestamp(when: datetime) -> str:
    return f"timestamp '{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}'"


def _groups() -> list[Group]:
    columns = "run_id, composition, chemical_system, level_of_theory, synthetic"
    return groups_of(_query(f"select {columns} from runs where origin = 'aimd' and n_accepted > 0"))


def _materialize(group: Group, campaign: Campaign, groups: list[Group]) -> list[str]:
    command = ["materialize", "--compositions", *group.trained(campaign)]
    if held_out := group.held_out(campaign):
        command += ["--hold-out", *held_out]
    command += ["--split", campaign.split, "--test-fraction", str(campaign.test_fraction)]
    for name in UNUSUAL:
        if (value := getattr(campaign, name)) != Campaign.model_fields[name].default:
            command += [f"--{name.replace('_', '-')}", str(value)]
    elsewhere = {
        (other.level_of_theory, other.synthetic) for other in groups if other.compositions & group.compositions
    }
    if len(elsewhere) > 1:  # a composition alone would not say which level of theory is meant
        command += ["--runs", *(run_id for _, run_id in group.runs)]
    return command


def _newest_training_sets() -> dict[str, dict[str, Any]]:
    """The training set that was frozen last for each of today's groups."""
    campaign = campaign_of(here())
    rows = _query("select * from training_sets order by lake_version, created_at")
    owned = [[row for row in rows if group.owns(row, campaign)] for group in _groups()]
    return {sets[-1]["training_set_id"]: sets[-1] for sets in owned if sets}


def _newest_potentials() -> list[dict[str, Any]]:
    campaign, sets = campaign_of(here()), _newest_training_sets()
    return [
        {**sets[row["training_set_id"]], "potential_id": row["potential_id"]}
        for row in _query("select potential_id, training_set_id, recipe from potentials order by potential_id")
        if row["training_set_id"] in sets and row["recipe"] in campaign.recipes
    ]


def _unknown_entries(settings: Settings, zone: str) -> list[str]:
    # A refused file waits for a person; when it changes, the landing event names it.
    seen = "select path as uri from raw_files union select subject from task_failures where verb = 'ingest'"
    known = {_plain(uri) for uri in _column(seen, "uri")}
    names = {uri.removeprefix(f"{zone}/").split("/")[0] for uri in known if uri.startswith(f"{zone}/")}
    return [name for name in entries(settings.landing) if name not in names]


def _plain(uri: str) -> str:
    return uri.removeprefix("file://")


def _column(sql: str, name: str) -> list[str]:
    return [row[name] for row in _query(sql)]


def _query(sql: str) -> list[dict[str, Any]]:
    from lake.warehouse import query  # DuckDB and Delta must be used after Airflow's fork only, never before

    rows: list[Mapping[str, object]] = query(here(), sql)  # type: ignore[assignment]
    return [dict(row) for row in rows]
