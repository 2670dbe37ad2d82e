"""Section that ranks the potentials of each training set, with what speaks for and against each."""

from operators.choice import verdict
from operators.report.page import Ask, Cell, Grid, Group, Row, Section, number

_RANKED = ("rank_energy", "rank_force", "rank_virial", "rank_held_out_force", "rank_agreement", "rank_speed")


def choice_section(group: Group, ask: Ask) -> Section:
    """Which potential to use: ranks, dominance, and what seeds make no difference of."""
    sql = f"select * from potential_choice\nwhere {group.where}"
    rows = ask(sql)
    grids = [
        Grid(
            (
                "recipe",
                "verdict",
                "F (meV/Å)",
                "F held-out (meV/Å)",
                "curves that agree",
                "ns/day",
                *map(_spoken, _RANKED),
            ),
            [_cells(row) for row in rows if row["training_set_id"] == name],
            f"On training set {name}",
            n_text=2,
        )
        for name in dict.fromkeys(row["training_set_id"] for row in rows)
    ]
    return Section(
        anchor=f"{group.anchor}-choice",
        title="Choice of a potential",
        caption="Errors are means over seeds, with the spread of the seeds. A potential is dominated when another one "
        "of the training set is at least as good in energy, force, virial, agreement and speed, and better in one. "
        "A potential that began with weights that know frames of the test dominates none and has no rank in errors; "
        "agreement is ranked among potentials that were simulated at the same compositions. "
        "RMSE alone rarely decides: in the paper's Table 1 it rules out one potential of fourteen.",
        sql=sql,
        command="meltlake observe --potential POTENTIAL",
        grids=grids,
        synthetic=group.synthetic and bool(rows),
    )


def _cells(row: Row) -> list[Cell]:
    spread = row["spread_force_mev_per_angstrom"]
    force = number(row["rmse_force_mev_per_angstrom"])
    return [
        row["candidate"],
        verdict(row),
        force if spread is None else f"{force} ± {number(spread, 2)}",
        number(row["held_out_rmse_force_mev_per_angstrom"]),
        number(None) if row["n_curves"] is None else f"{row['n_curves_agree']} of {row['n_curves']}",
        number(row["ns_per_day"]),
        *(number(row[name]) for name in _RANKED),
    ]


def _spoken(rank: str) -> str:
    return f"rank {rank.removeprefix('rank_').replace('_', ' ').replace('held out', 'held-out')}"
