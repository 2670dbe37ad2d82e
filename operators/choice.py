"""The choice of a potential in brief: the view `potential_choice` of the newest training sets, for a person to read."""

from collections.abc import Mapping
from typing import Any

from lake.delta import Lake
from lake.warehouse import query
from schemas.settings import Settings

Row = Mapping[str, Any]

_TABLES = ("potentials", "training_sets", "training_set_requests", "rmse", "agreement", "performance")

_NEWEST = """
with requests as (
    select training_set_id, max((lake_version, created_at)) as last_asked
    from training_set_requests group by training_set_id
)
select potential_choice.* from potential_choice
join training_sets using (training_set_id)
where training_set_id in (
    select arg_max(training_set_id, (coalesce(last_asked, (lake_version, training_sets.created_at)), training_set_id))
    from training_sets semi join potentials using (training_set_id) left join requests using (training_set_id)
    where training_set_id not in (
        select training_set_id from leave_one_out_sets
        where base_training_set_id in (select training_set_id from potentials)
    )
    group by type_map, training_sets.synthetic, level_of_theory
)
"""


def choice(settings: Settings) -> list[Row]:
    """Rows of `potential_choice` for the newest training set of each kind that has potentials: the last asked for."""
    if Lake(settings.lake).version("rmse") < 0:
        return []
    rows: list[Row] = [*query(settings, _NEWEST, tables=_TABLES)]
    return rows


def in_brief(row: Row) -> dict[str, object]:
    """A row of the view in the columns that fit a terminal."""
    return {
        "recipe": row["candidate"],
        "seeds": row["n_seeds"],
        "E meV/atom": _with_spread(row, "energy_mev_per_atom", 2),
        "F meV/A": _with_spread(row, "force_mev_per_angstrom", 1),
        "V meV/atom": _with_spread(row, "virial_mev_per_atom", 2),
        "held-out F": _rounded(row["held_out_rmse_force_mev_per_angstrom"], 1),
        "agreeing": "-" if row["n_curves"] is None else f"{row['n_curves_agree']} of {row['n_curves']}",
        "ns/day": _rounded(row["ns_per_day"], 3),
        "verdict": verdict(row),
    }


def verdict(row: Row) -> str:
    """Whether another candidate dominates this one, and which ones cannot be told from it."""
    if row["n_test_frames_known"]:
        told = f"no rank in errors: it began with weights that know {row['n_test_frames_known']} frames of the test"
    elif row["dominated_by"]:
        told = f"dominated by {', '.join(row['dominated_by'])}"
    else:
        unknown = f", {' and '.join(row['not_measured'])} unknown" if row["not_measured"] else ""
        told = f"Pareto-optimal{unknown}"
    alike = f"; within seed noise of {', '.join(row['within_noise_of'])}" if row["within_noise_of"] else ""
    return told + (f"; {row['noise']}" if row["n_seeds"] == 1 else alike)


def _with_spread(row: Row, quantity: str, digits: int) -> str:
    spread = row[f"spread_{quantity}"]
    value = _rounded(row[f"rmse_{quantity}"], digits)
    return value if spread is None else f"{value} ± {spread:.{digits}f}"


def _rounded(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
