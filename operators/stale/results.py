"""What is due of potentials that are there: their errors and simulations; and the warehouse."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from math import ceil

from pydantic import ValidationError

from lake.sources import SIMULATION_CARD
from lake.warehouse import is_current
from operators.campaign import Campaign
from operators.potentials.committee import stale_committees
from operators.stale.coverage import outdated_coverage
from operators.stale.holdings import Holdings, Row
from operators.stale.item import Stale
from operators.stale.potentials import missing_model, wanted_potentials
from operators.stale.wanted_sets import WantedSet
from schemas.simulation import SimulationCard, SimulationPlan


def potentials_of(holdings: Holdings, wanted: WantedSet) -> list[Row]:
    """Potentials of its newest training set whose model is there: the campaign's, or all that were trained by hand."""
    made = wanted.newest
    if made is None:
        return []
    campaigns = {one.potential_id for one in wanted_potentials(holdings, [wanted])}
    return [
        row
        for row in holdings.potentials
        if row["training_set_id"] == made["training_set_id"]
        and (row["potential_id"] in campaigns or not wanted.by_campaign)
        and missing_model(holdings, row) is None
    ]


def not_scored(holdings: Holdings, potentials: Iterable[Row]) -> Iterator[Stale]:
    """Potentials whose errors or coverage are not known, and committees with one of them that were not compared.

    A committee is of all potentials that differ in nothing but their seed, wanted or not: so `observe` compares them.
    """
    rows = holdings.lake.rows("rmse", columns=["potential_id", "model_sha256"]).to_pylist()
    scored = {row["potential_id"]: row["model_sha256"] for row in rows}
    there = {row["potential_id"]: row for row in potentials if missing_model(holdings, row) is None}
    due = {name for name, row in there.items() if name not in scored or scored[name] != row["sha256"]}
    for name, row in there.items():
        if name in due:
            why = "its model file is another one since" if name in scored else "its errors are not known"
            yield Stale(f"potential {name}", why, ["observe", "--potential", name])
        elif other := outdated_coverage(holdings, row):
            yield Stale(f"coverage of potential {name}", other, ["observe", "--potential", name])
    for committee in stale_committees(holdings.lake, holdings.potentials):
        wanted = [name for name in committee.potential_ids if name in there]
        is_whole = all(missing_model(holdings, row) is None for row in committee.potentials)
        if wanted and is_whole and not due.intersection(wanted):  # otherwise a line above is enough
            why = f"its {len(committee.potentials)} seeds were not compared"
            yield Stale(f"committee {committee.committee_id}", why, ["observe", "--potential", wanted[0]])


def not_simulated(holdings: Holdings, sets: Iterable[WantedSet]) -> Iterator[Stale]:
    """Potentials of the newest sets x their compositions, held-out ones included, x the campaign's protocols.

    Of a set that leaves a composition out, that one alone: the others are simulated with all trained on.
    """
    campaign, done = holdings.campaign, _simulations(holdings)
    for one in sets:
        made = one.newest or {}
        all_of_it = sorted({*(made.get("compositions") or ()), *(made.get("held_out") or ())})
        compositions = all_of_it if one.left_out is None else [one.left_out]
        for name in [row["potential_id"] for row in potentials_of(holdings, one)]:
            for composition, protocol in product(compositions, campaign.protocols):
                found = done.get((name, composition, protocol), [])
                is_done = any(_is_as_wanted(holdings, run_id, campaign) for run_id in found)
                if not is_done and _can_be(holdings, composition, protocol):
                    why = "temperature_k or simulation_steps of campaign.toml has changed since"
                    yield Stale(
                        f"potential {name} {composition} {protocol}",
                        why if found else "it was not simulated there",
                        _simulate(name, protocol, composition=composition, campaign=campaign),
                    )


def _can_be(holdings: Holdings, composition: str, protocol: str) -> bool:
    """Whether a protocol has what it starts from: a twin its molecular dynamics, every other one a temperature."""
    runs = [run for run in holdings.trainable if run["composition"] == composition]
    if protocol == "twin":
        return any(run["time_step_fs"] for run in runs)
    is_told = holdings.campaign.temperature_k is not None
    return is_told or any(run["time_step_fs"] or run["temperature_target_k"] for run in runs)


def not_published(holdings: Holdings) -> Iterator[Stale]:
    """The warehouse, where it does not show the lake as it is."""
    if not is_current(holdings.settings, holdings.lake):
        yield Stale("warehouse", "the lake has changed since it was published", ["publish"])


def _simulations(holdings: Holdings) -> dict[tuple[str, str, str], list[str]]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for row in holdings.lake.rows("performance").to_pylist():
        found.setdefault((row["potential_id"], row["composition"], row["protocol"]), []).append(row["run_id"])
    return found


def _is_as_wanted(holdings: Holdings, run_id: str, campaign: Campaign) -> bool:
    """Whether a simulation has the campaign's temperature and length; a twin takes them from its AIMD run."""
    if campaign.temperature_k is None and campaign.simulation_steps is None:
        return True
    card = holdings.settings.artifacts / "simulations" / run_id / SIMULATION_CARD
    try:
        plan = SimulationCard.model_validate_json(card.read_bytes()).plan
    except (OSError, ValidationError):
        return True  # on another machine, where the command itself finds it
    is_as_warm = plan.protocol == "twin" or campaign.temperature_k in (None, plan.temperature_k)
    return is_as_warm and has_length(plan, campaign.simulation_steps)


def has_length(plan: SimulationPlan, n_steps: int | None) -> bool:
    """Whether a simulation is as long as was asked for, in whole saved frames; a twin is as long as its AIMD run."""
    if n_steps is None or plan.protocol == "twin":
        return True
    return plan.n_production_steps == ceil(n_steps / plan.steps_per_frame - 1e-9) * plan.steps_per_frame


def _simulate(name: str, protocol: str, *, composition: str, campaign: Campaign) -> Sequence[str]:
    words = ["simulate", name, "--protocol", protocol, "--composition", composition]
    if campaign.temperature_k is not None and protocol != "twin":
        words += ["--temperature-k", str(campaign.temperature_k)]
    if campaign.simulation_steps is not None and protocol != "twin":
        words += ["--steps", str(campaign.simulation_steps)]
    return words
