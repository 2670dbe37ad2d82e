"""The section that compares densities with experiment and lists the averages of every run (Fig. 7 of the paper)."""

from collections.abc import Sequence

from operators.report.density_figure import density_figure, is_predicted
from operators.report.page import (
    NOTHING,
    Ask,
    Grid,
    Group,
    Row,
    Section,
    number,
    plain,
    simulation,
    with_error,
)


def density_section(group: Group, ask: Ask) -> Section:
    """Density and the other averages of every run, beside experiment (Fig. 7)."""
    sql = f"""select view.*, n_frames, n_averaged, temperature_error_k, energy_ev_per_atom, energy_error_ev_per_atom
from density_vs_experiment view join thermodynamics using (run_id)
where {group.where}
order by view.composition, view.origin, view.temperature_k, run_id"""
    rows = ask(sql)
    return Section(
        anchor=f"{group.anchor}-density",
        title="Figure 7: density against temperature",
        caption="Averages over the accepted frames of every run from where it is equilibrated. Standard errors count "
        "correlation; a run too short for one has none. A density is a prediction only at constant "
        "pressure; otherwise it was imposed and the pressure is the prediction. Measurements appear only inside their "
        "range of validity, with the uncertainty that their authors state: bands around lines, bars at points. A "
        "dashed line is a source that no verdict rests on.",
        sql=sql,
        command="meltlake simulate POTENTIAL --protocol npt --composition COMPOSITION",
        figures=density_figure(group, rows, ask),
        grids=[_thermodynamics(rows), *_citations(rows)] if rows else [],
        synthetic=group.synthetic,
    )


def _thermodynamics(rows: Sequence[Row]) -> Grid:
    head = (
        "composition", "source", "run", "density is", "frames", "averaged", "T (K)", "pressure (GPa)",
        "energy (eV/atom)", "density (g/cm³)", "AIMD (g/cm³)", "from AIMD (%)",
        "experiment (g/cm³)", "from experiment (%)",
    )  # fmt: skip
    cells = [
        (
            row["composition"],
            "AIMD" if row["origin"] == "aimd" else simulation(row),
            row["run_id"],
            row["density_is"],
            number(row["n_frames"]),
            number(row["n_averaged"]),
            with_error(row["temperature_k"], row["temperature_error_k"], 1),
            with_error(row["pressure_gpa"], row["pressure_error_gpa"], 3),
            with_error(row["energy_ev_per_atom"], row["energy_error_ev_per_atom"], 4),
            with_error(row["density_g_per_cm3"], row["density_error_g_per_cm3"] if is_predicted(row) else None, 3),
            with_error(row["aimd_density_g_per_cm3"], None, 3),
            _percent(row["deviation_from_aimd_percent"] if is_predicted(row) else None),
            with_error(row["experiment_density_g_per_cm3"], row["experiment_uncertainty_g_per_cm3"], 3),
            _percent(row["deviation_from_experiment_percent"]),
        )
        for row in rows
    ]
    return Grid(head, cells, f"Averages of {len(cells)} runs", n_text=4, folded=True)


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:+.2f}"


def _citations(rows: Sequence[Row]) -> list[Grid]:
    cited = sorted(
        {(row["composition"], row["citation"], plain(row["experiment_note"])) for row in rows if row["citation"]}
    )
    return [Grid(("composition", "measured by", "note"), cited, "Measurements", n_text=3, folded=True)] if cited else []
