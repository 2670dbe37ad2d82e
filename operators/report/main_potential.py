"""Which runs and which potential the paper's figures are drawn for, where many would fit."""

from collections.abc import Sequence

from operators.report.page import Ask, Group, Row

_LAST = float("inf")


def compared(group: Group, ask: Ask) -> list[Row]:
    """AIMD runs beside one simulation of each potential, a twin before others, at one temperature and volume.

    The paper's figures rest on such pairs: the same atoms, temperature and volume.
    """
    return ask(f"""with shares as (
    select composition, count(*) as n_elements, max(at_percent) - min(at_percent) as spread_at_percent
    from composition_elements group by composition
),
forces as (select * from rmse where composition = 'all' and split = 'test')
select run_pairs.composition, aimd_run_id, aimd_temperature_k, dnnp_run_id, run_pairs.potential_id, run_pairs.recipe,
       potentials.seed, n_elements, spread_at_percent, rmse_force_mev_per_angstrom,
       list_contains(training_sets.compositions, run_pairs.composition) as is_home
from run_pairs
join shares using (composition)
left join potentials on potentials.potential_id = run_pairs.potential_id
left join training_sets on training_sets.training_set_id = potentials.training_set_id
left join forces on forces.potential_id = run_pairs.potential_id
where aimd_run_id is not null and dnnp_run_id is not null and protocol is distinct from 'npt'
  and at_one_temperature is not false and {group.where_of("run_pairs")}
qualify row_number() over (
    partition by aimd_run_id, run_pairs.potential_id order by protocol is distinct from 'twin', dnnp_run_id) = 1
order by run_pairs.composition, aimd_run_id, run_pairs.recipe, seed, run_pairs.potential_id""")


def main_potential(pairs: Sequence[Row]) -> str | None:
    """The potential that was simulated at most compositions; of several, the one with the smallest error.

    It takes the place of the paper's DP-2. Potentials that were not judged against DFT do not count.
    """
    judged = [row for row in pairs if row["rmse_force_mev_per_angstrom"] is not None]
    melts: dict[str, set[str]] = {}
    for row in judged:
        melts.setdefault(row["potential_id"], set()).add(row["composition"])
    ranked = sorted(judged, key=lambda row: (-len(melts[row["potential_id"]]), _error(row), row["potential_id"]))
    return str(ranked[0]["potential_id"]) if ranked else None


def named_apart(pairs: Sequence[Row]) -> dict[str, str]:
    """What each potential is called: its recipe, with its seed or id where another one has the same."""
    rows = {row["potential_id"]: row for row in pairs}
    names = {potential_id: row["recipe"] or potential_id for potential_id, row in rows.items()}
    for column, word in (("seed", "seed "), ("potential_id", "")):
        taken = list(names.values())
        names = {
            key: f"{name}, {word}{rows[key][column]}" if taken.count(name) > 1 else name for key, name in names.items()
        }
    return names


def _error(row: Row) -> float:
    error = row["rmse_force_mev_per_angstrom"]
    return _LAST if error is None else float(error)
