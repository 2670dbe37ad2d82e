"""The section on what takes several runs of a melt: thermal expansion and the enthalpy of mixing."""

from collections.abc import Sequence

from operators.report.page import NOTHING, Ask, Cell, Grid, Group, Row, Section, number, plain, simulation, with_error

_EXPANSION = """select * from thermal_expansion
where series_id in (select series_id from (select series_id, unnest(run_ids) as run_id from thermal_expansion)
                    join runs using (run_id) where {where})
order by composition, origin, pressure_gpa"""


def mixing_section(group: Group, ask: Ask) -> Section:
    """Thermal expansion and enthalpy of mixing, which take several runs."""
    grids = [*_expansion_grid(group, ask), *_mixing_grid(group, ask)]
    return Section(
        anchor=f"{group.anchor}-mixing",
        title="Expansion and mixing",
        caption="Volume expansion from the densities of runs at constant pressure and at least three temperatures; "
        "enthalpy of mixing against the pure liquids of the same potential or level of theory, at one temperature and "
        "pressure.",
        sql=_EXPANSION.format(where=group.where),
        command="meltlake simulate POTENTIAL --protocol npt --composition COMPOSITION --temperature-k T",
        grids=grids,
        synthetic=group.synthetic,
    )


def _expansion_grid(group: Group, ask: Ask) -> list[Grid]:
    rows = ask(_EXPANSION.format(where=group.where))
    head = (
        "composition", "source", "why there is none", "runs", "from (K)", "until (K)", "density (g/cm³)", "at (K)",
        "expansion (10⁻⁵/K)",
    )  # fmt: skip
    cells = [
        (
            row["composition"],
            "AIMD" if row["origin"] == "aimd" else plain(row["potential_id"]),
            plain(row["reason"]),
            number(row["n_points"]),
            *(with_error(row[name], None, 0) for name in ("from_k", "until_k")),
            with_error(row["density_g_per_cm3"], row["density_error_g_per_cm3"], 4),
            with_error(row["reference_k"], None, 0),
            _in_hundred_thousandths(row["expansion_per_k"], row["expansion_error_per_k"]),
        )
        for row in rows
    ]
    is_empty = all(row["expansion_per_k"] is None for row in rows)
    return _told(head, cells, "Thermal expansion", n_text=3, is_empty=is_empty)


def _in_hundred_thousandths(value: float | None, error: float | None) -> str:
    return NOTHING if value is None else with_error(1e5 * value, None if error is None else 1e5 * error, 2)


def _mixing_grid(group: Group, ask: Ask) -> list[Grid]:
    rows = ask(f"""select mixing_enthalpy.*, origin, protocol, runs.potential_id, recipe
from mixing_enthalpy join runs using (run_id) left join potentials on potentials.potential_id = runs.potential_id
where {group.where}
order by mixing_enthalpy.composition, origin, temperature_k, run_id""")
    head = ("composition", "source", "run", "why there is none", "T (K)", "pressure (GPa)", "mixing (meV/atom)")
    cells = [
        (
            *_names(row),
            plain(row["reason"]),
            with_error(row["temperature_k"], None, 0),
            with_error(row["pressure_gpa"], None, 2),
            with_error(row["mixing_enthalpy_mev_per_atom"], row["mixing_enthalpy_error_mev_per_atom"], 1),
        )
        for row in rows
    ]
    is_empty = all(row["mixing_enthalpy_mev_per_atom"] is None for row in rows)
    return _told(head, cells, "Enthalpy of mixing", n_text=4, is_empty=is_empty)


def _told(
    head: Sequence[str], cells: Sequence[Sequence[Cell]], title: str, *, n_text: int, is_empty: bool
) -> list[Grid]:
    """The table; folded where it has nothing but reasons."""
    title = f"{title}: none yet, and why" if is_empty else title
    return [Grid(head, cells, title, n_text=n_text, folded=is_empty)] if cells else []


def _names(row: Row) -> tuple[str, str, str]:
    return row["composition"], "AIMD" if row["origin"] == "aimd" else simulation(row), row["run_id"]
