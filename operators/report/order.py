"""The section with the numbers behind radial distribution functions: first peaks, coordination, chemical order."""

from operators.report.page import Ask, Grid, Group, Section, simulation, with_error


def order_section(group: Group, ask: Ask) -> Section:
    """First peaks, coordination and chemical order: the numbers behind the radial distribution functions."""
    sql = f"""select short_range_order.*, runs.origin, runs.protocol, runs.potential_id, recipe
from short_range_order
join runs using (run_id)
left join potentials on potentials.potential_id = runs.potential_id
where {group.where}
order by short_range_order.composition, origin, run_id, pair"""
    rows = ask(sql)
    head = (
        "composition", "source", "run", "centre-neighbour", "first peak (Å)", "height of g", "neighbours",
        "within (Å)", "Warren-Cowley",
    )  # fmt: skip
    cells = [
        (
            row["composition"],
            "AIMD" if row["origin"] == "aimd" else simulation(row),
            row["run_id"],
            row["pair"],
            with_error(row["first_peak_angstrom"], row["first_peak_error_angstrom"], 2),
            with_error(row["first_peak_height"], row["first_peak_height_error"], 2),
            with_error(row["coordination"], row["coordination_error"], 2),
            with_error(row["r_min_angstrom"], row["r_min_error_angstrom"], 2),
            with_error(row["warren_cowley"], row["warren_cowley_error"], 3),
        )
        for row in rows
    ]
    return Section(
        anchor=f"{group.anchor}-order",
        title="Short-range order",
        caption="Position and height of the first peak of each g(r), neighbours within the first minimum of the total "
        "g(r), and the Warren-Cowley parameter: 0 at random, negative where the pair attracts; with standard errors "
        "from leaving out blocks of the run.",
        sql=sql,
        command="meltlake observe --run RUN_ID",
        grids=[Grid(head, cells, f"Numbers of {len(rows)} pairs", n_text=4, folded=True)] if rows else [],
        synthetic=group.synthetic,
    )
