"""What the study is to show, each claim with its bar, what was found, and whether it holds; read by SQL from the lake.

A claim holds only where all that it is about is there and decided: a missing simulation, a curve without a verdict or a
density without an error bar is a no.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import hypot, inf, nan
from statistics import fmean, median
from typing import Any

import pyarrow as pa

from tests.study.melts import BLIND, COMPOSITIONS, HELD_OUT, NEVER_MET, TRAINED, curves
from tests.study.plan import OF_COMMITTEES, RECIPE, SEEDS, WITHOUT_VIRIAL
from tests.study.truth import TRUTH

MOST_FLOORS = 3.0
MOST_DENSITY_PERCENT = 1.0
MOST_DENSITY_ERROR_PERCENT = 0.5
"""Standard error of a difference that is called less than one percent."""
VISIBLY = 2.0
"""Times by which the density of a potential without virials is further off."""
HALTED_PERCENT = 15.0
"""Change of volume at which a guard ends a simulation: its density is at least that far off."""
VIRIAL_TIMES, FORCE_TIMES = 5.0, 1.3
FLAG = 3.0
"""Times the disagreement on a potential's own test frames at which frames are called unknown to it."""

Query = Callable[[str], pa.Table]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Claim:
    """One line of the study's table."""

    claim: str
    bar: str
    found: str
    holds: bool

    @property
    def row(self) -> dict[str, str]:
        return {"claim": self.claim, "bar": self.bar, "found": self.found, "holds": "yes" if self.holds else "NO"}


def claims(query: Query) -> list[Claim]:
    """All of them.

    Parameters
    ----------
    query
        Runs one reading query over the lake.
    """
    return [*_of_curves(query), *_of_densities(query), _of_virials(query), *_of_committees(query), _of_failures(query)]


# Curves --------------------------------------------------------------------------------------------------------------

CURVES = f"""
with twins as (
    select runs.run_id, runs.composition, runs.potential_id, potentials.recipe
    from runs join potentials using (potential_id) join performance using (run_id)
    where runs.protocol = 'twin' and performance.outcome = 'finished'
),
beside_aimd as (
    select run_id, observable, l1_percent as percent, floor_percent, verdict from agreement
    where regexp_full_match(observable, '(rdf|vacf) \\S+')
),
side_by_side as (
    select own.run_id, truth.run_id as its_id
    from twins own join twins truth on truth.composition = own.composition
    where truth.potential_id = '{TRUTH}' and own.potential_id <> '{TRUTH}'
),
beside_truth as (
    select side_by_side.run_id, 'rdf ' || its.pair as observable, 100 * sum(abs(own.g - its.g)) / sum(its.g) as percent
    from side_by_side join rdf own on own.run_id = side_by_side.run_id
    join rdf its on its.run_id = its_id and its.pair = own.pair
     and round(its.r_angstrom, 4) = round(own.r_angstrom, 4)
    where its.r_angstrom >= 1.5 group by all
    union all
    select side_by_side.run_id, 'vacf ' || its.element, 100 * sqrt(avg(pow(own.vacf - its.vacf, 2)))
    from side_by_side join vacf own on own.run_id = side_by_side.run_id
    join vacf its on its.run_id = its_id and its.element = own.element
     and round(its.lag_fs, 4) = round(own.lag_fs, 4)
    where its.lag_fs <= 600 group by all
)
select recipe, composition, 'AIMD' as reference, observable, percent, floor_percent, percent / floor_percent as z,
       verdict <> 'undecided' as decided
from twins join beside_aimd using (run_id)
union all
select recipe, composition, 'truth', observable, beside_truth.percent, floor_percent,
       beside_truth.percent / floor_percent, verdict <> 'undecided'
from twins join beside_truth using (run_id) join beside_aimd using (run_id, observable)
order by all
"""
"""Distance of every curve of a twin from that of the AIMD run and from that of the truth's twin, over one floor: that
of the AIMD run, which is as long as both."""


def _of_curves(query: Query) -> Iterator[Claim]:
    rows = query(CURVES).to_pylist()
    yield _curves("The floor is honest: the truth's twins beside AIMD", rows, recipe=TRUTH, reference="AIMD")
    for kind, called in (("rdf", "Partial RDFs"), ("vacf", "VACFs")):
        for reference in ("AIMD", "truth"):
            for names, role in ((TRAINED, "trained"), (HELD_OUT, "held-out")):
                yield _curves(
                    f"{called} of {role} melts beside {reference}", rows, names, kind=kind, reference=reference
                )


def _curves(
    claim: str,
    rows: Sequence[Row],
    names: Sequence[str] = COMPOSITIONS,
    *,
    reference: str,
    recipe: str = RECIPE,
    kind: str = "",
) -> Claim:
    wanted = {(name, curve) for name in names for curve in curves(name) if curve.startswith(kind)}
    found = {
        (row["composition"], row["observable"]): row["z"] if row["decided"] else inf
        for row in rows
        if (row["recipe"], row["reference"]) == (recipe, reference)
    }
    judged = {curve: found[curve] for curve in wanted if curve in found}
    within = [curve for curve, z in judged.items() if z <= MOST_FLOORS]
    told = f"{len(within)} of {len(wanted)}"
    if judged:
        (name, curve), worst = max(judged.items(), key=lambda item: item[1])
        told += f"; median {median(judged.values()):.2f}, worst {worst:.2f} ({name} {curve})"
    return Claim(claim, f"all within {MOST_FLOORS:g} floors", told, len(within) == len(wanted))


# Densities -----------------------------------------------------------------------------------------------------------

DENSITIES = """
select potentials.recipe, performance.composition, performance.outcome, density_g_per_cm3, density_error_g_per_cm3
from performance join potentials using (potential_id) left join thermodynamics using (run_id)
where performance.protocol = 'npt' order by all
"""


@dataclass(frozen=True, slots=True)
class Deviation:
    """Density of a simulation beside the truth's, in percent."""

    composition: str
    percent: float
    error_percent: float
    halted: bool = False
    """A guard ended it: the deviation is at least this."""


def deviations(rows: Sequence[Row], recipe: str) -> list[Deviation]:
    """Of a recipe's simulations at constant pressure, where the truth was simulated, too."""
    truth = {row["composition"]: row for row in rows if row["recipe"] == TRUTH and row["outcome"] == "finished"}
    return [
        _deviation(row, truth[row["composition"]])
        for row in rows
        if row["recipe"] == recipe and row["composition"] in truth
    ]


def _deviation(row: Row, truth: Row) -> Deviation:
    if row["outcome"] != "finished":
        is_halted = "volume" in row["outcome"] or "density" in row["outcome"]
        return Deviation(row["composition"], HALTED_PERCENT if is_halted else nan, nan, halted=is_halted)
    own, its = row["density_g_per_cm3"], truth["density_g_per_cm3"]
    errors = [one["density_error_g_per_cm3"] for one in (row, truth)]
    error = nan if None in errors else 100 * hypot(*errors) / its
    return Deviation(row["composition"], 100 * (own / its - 1), error)


def _of_densities(query: Query) -> Iterator[Claim]:
    rows = query(DENSITIES).to_pylist()
    trained, without = deviations(rows, RECIPE), deviations(rows, WITHOUT_VIRIAL)
    is_whole = {one.composition for one in trained} == set(COMPOSITIONS)
    yield Claim(
        "Density at zero pressure, trained with virials, beside the truth",
        f"within {MOST_DENSITY_PERCENT:g} %, error below {MOST_DENSITY_ERROR_PERCENT:g} %",
        _told(trained),
        is_whole
        and all(
            abs(one.percent) <= MOST_DENSITY_PERCENT and one.error_percent <= MOST_DENSITY_ERROR_PERCENT
            for one in trained
        ),
    )
    with_virials, of_without = _mean(trained), _mean(without)
    yield Claim(
        "Density, trained without virials: visibly worse",
        f"mean above {MOST_DENSITY_PERCENT:g} % and {VISIBLY:g} times that with virials",
        _told(without),
        len(without) == len(COMPOSITIONS)
        and of_without > MOST_DENSITY_PERCENT
        and of_without >= VISIBLY * with_virials,
    )


def _mean(found: Sequence[Deviation]) -> float:
    return fmean(abs(one.percent) for one in found) if found else nan


def _told(found: Sequence[Deviation]) -> str:
    if not found:
        return "no simulation"
    halted = sum(one.halted for one in found)
    if halted:
        return f"mean at least {_mean(found):.1f} %; {halted} of {len(found)} ended by the volume guard"
    worst = max(found, key=lambda one: abs(one.percent))
    told = f"{worst.percent:+.2f} +- {worst.error_percent:.2f} % ({worst.composition})"
    return f"mean {_mean(found):.2f} %, worst {told}"


# Virials and committees ----------------------------------------------------------------------------------------------


def _of_virials(query: Query) -> Claim:
    rows = query(
        f"""select recipe, rmse_force_mev_per_angstrom as force, rmse_virial_mev_per_atom as virial
        from rmse join potentials using (potential_id)
        where composition = 'all' and split = 'test' and recipe in ('{RECIPE}', '{WITHOUT_VIRIAL}')"""
    ).to_pylist()
    of = {row["recipe"]: row for row in rows}
    bar = f"virial error at least {VIRIAL_TIMES:g} times, force error at most {FORCE_TIMES:g} times"
    claim = "Without virials in the loss: virials worse, forces alike"
    if set(of) != {RECIPE, WITHOUT_VIRIAL}:
        return Claim(claim, bar, "not both potentials were judged", holds=False)
    force, virial = (of[WITHOUT_VIRIAL][name] / of[RECIPE][name] for name in ("force", "virial"))
    return Claim(
        claim,
        bar,
        f"virial {virial:.1f} times, force {force:.2f} times",
        virial >= VIRIAL_TIMES and force <= FORCE_TIMES,
    )


COMMITTEES = f"""
select sets.compositions, committees.composition, committees.split, len(committees.potential_ids) as n_potentials,
       deviation_force_mev_per_angstrom as deviation, error_force_mev_per_angstrom as error,
       deviation / own.deviation_own as times
from committees join training_sets sets using (training_set_id)
join (select committee_id, deviation_force_mev_per_angstrom as deviation_own from committees
      where composition = 'all' and split = 'test') own using (committee_id)
where recipe = '{OF_COMMITTEES}' order by all
"""
"""Disagreement of the forces of every committee, in units of that on its own test frames."""


def _of_committees(query: Query) -> Iterator[Claim]:
    rows = [row for row in query(COMMITTEES).to_pylist() if row["n_potentials"] == len(SEEDS)]
    blind, knowing = (_of_set(rows, names) for names in (BLIND, TRAINED))
    yield _flagged(f"Never met Al beside Ni: {NEVER_MET} is flagged", blind.get((NEVER_MET, "held_out")))
    yield _not_flagged(f"Control that learnt {NEVER_MET}: not flagged there", [knowing.get((NEVER_MET, "test"))])
    yield _not_flagged(
        "The control on held-out melts: not flagged", [knowing.get((name, "held_out")) for name in HELD_OUT]
    )


def _of_set(rows: Sequence[Row], compositions: Sequence[str]) -> dict[tuple[str, str], Row]:
    return {(row["composition"], row["split"]): row for row in rows if row["compositions"] == sorted(compositions)}


def _flagged(claim: str, row: Row | None) -> Claim:
    bar = f"at least {FLAG:g} times the disagreement on own test frames"
    return Claim(claim, bar, _disagreement(row), row is not None and row["times"] >= FLAG)


def _not_flagged(claim: str, rows: Sequence[Row | None]) -> Claim:
    known = [row for row in rows if row is not None]
    worst = max(known, key=lambda row: row["times"], default=None)
    return Claim(claim, f"below {FLAG:g} times", _disagreement(worst), len(known) == len(rows) and _is_below(worst))


def _is_below(row: Row | None) -> bool:
    return row is not None and row["times"] < FLAG


def _disagreement(row: Row | None) -> str:
    if row is None:
        return "no committee of all seeds"
    return (
        f"{row['times']:.1f} times: {row['deviation']:.0f} meV/Å on {row['composition']}, where the error is "
        f"{row['error']:.0f}"
    )


def _of_failures(query: Query) -> Claim:
    failed = query("select verb, subject from task_failures").to_pylist()
    told = "; ".join(f"{row['verb']} {row['subject']}" for row in failed) or "none"
    return Claim("Steps that failed", "none", told, not failed)
