"""The section that says whose a deviation from experiment is: the potential's or DFT's."""

from collections.abc import Sequence

from operators.report.page import NOTHING, Ask, Grid, Group, Row, Section, number, plain, simulation

_NAMES = {
    "density_g_per_cm3": "density (g/cm³)",
    "viscosity_mpa_s": "viscosity (mPa s)",
    "diffusion_angstrom2_per_ps": "diffusion (Å²/ps)",
    "rdf": "g(r), L1",
}


def experiment_section(group: Group, ask: Ask) -> Section:
    """AIMD, potential and experiment, each against the others, with a verdict in a word."""
    sql = f"""select * from attribution where {group.where} and dnnp_from_experiment_percent is not null
order by composition, quantity, element, recipe, run_id"""
    rows = ask(sql)
    curves = ask(f"""select * from rdf_vs_experiment
where {group.where} and (pair <> 'all' or contains(chemical_system, '-'))
order by composition, pair, origin, run_id""")
    caveats = sorted({row["caveat"] for row in rows if row["caveat"]})
    return Section(
        anchor=f"{group.anchor}-experiment",
        title="Experiment: potential or DFT?",
        caption="Deviations in percent with standard errors. The verdict is dft where AIMD itself is off and the "
        "potential follows it, potential where AIMD meets experiment and the potential does not. The potential's "
        "deviation from AIMD counts where experiment could see it. A viscosity or diffusion coefficient is compared as "
        "in a cell without images. " + " ".join(caveats),
        sql=sql,
        command="meltlake experiments add FILE",
        when_empty="No simulation and measurement of one melt at one temperature yet.",
        grids=[*_attributed(rows), *_curves(curves)],
        synthetic=group.synthetic,
    )


def _attributed(rows: Sequence[Row]) -> list[Grid]:
    head = (
        "composition", "quantity", "simulation", "run", "verdict", "why", "T (K)", "potential", "AIMD", "experiment",
        "potential from AIMD (%)", "potential from experiment (%)", "AIMD from experiment (%)",
    )  # fmt: skip
    cells = [
        (
            row["composition"],
            " ".join(filter(None, (_NAMES.get(row["quantity"], row["quantity"]), row["element"]))),
            simulation(row),
            row["run_id"],
            row["verdict"],
            plain(row["why"]),
            number(row["temperature_k"]),
            *(number(row[f"value_{whose}"], 4) for whose in ("dnnp", "aimd", "experiment")),
            *(_percent(row, name) for name in ("dnnp_from_aimd", "dnnp_from_experiment", "aimd_from_experiment")),
        )
        for row in rows
    ]
    return [Grid(head, cells, n_text=6)] if cells else []


def _curves(rows: Sequence[Row]) -> list[Grid]:
    head = (
        "composition", "pair", "source", "run", "measured by", "L1 (%)", "uncertainty as L1 (%)", "Wright R (%)",
        "highest peak (Å)", "measured (Å)",
    )  # fmt: skip
    cells = [
        (
            row["composition"],
            row["pair"],
            "AIMD" if row["origin"] == "aimd" else simulation(row),
            row["run_id"],
            row["source"],
            *(number(row[name]) for name in ("l1_percent", "experiment_l1_percent", "wright_percent")),
            *(number(row[name]) for name in ("first_peak_angstrom", "experiment_first_peak_angstrom")),
        )
        for row in rows
    ]
    return [Grid(head, cells, "Radial distribution functions", n_text=5)] if cells else []


def _percent(row: Row, name: str) -> str:
    value, error = row[f"{name}_percent"], row[f"{name}_error_percent"]
    if value is None:
        return NOTHING
    return f"{value:+.1f}" + ("" if error is None else f" ± {error:.1f}")
