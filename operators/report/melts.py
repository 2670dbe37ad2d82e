"""Sections on what each melt is like by itself: diffraction, motion, environments."""

from collections.abc import Sequence
from itertools import cycle, groupby
from operator import itemgetter

from operators.report.drawing.pictures import picture
from operators.report.drawing.plots import Axis, Plot
from operators.report.drawing.series import Series
from operators.report.drawing.style import BLUE, GREY, POTENTIAL_COLOURS, SKY
from operators.report.page import (
    NOTHING,
    Ask,
    Figure,
    Fold,
    Grid,
    Group,
    Row,
    Section,
    column,
    number,
    simulation,
    with_error,
)
from schemas.experiments import FUNCTIONAL_CAVEAT

_MOST_RUNS = 5
"""Of one composition in one panel; the others are in the tables."""

_FEW = f"Of a composition, {_MOST_RUNS} runs are drawn, AIMD and simulations in turn, the longest of each first."
_AIMD_COLOURS = (BLUE, SKY, GREY)
_COMMAND = "meltlake observe --run RUN_ID"


def scattering_section(group: Group, ask: Ask) -> Section:
    """Structure factors of every composition."""
    sql = f"""{_shown(group)}
select shown.*, if(pair = 'all', 'all atoms', pair) as label, q_per_angstrom as x, s as y, s_error as y_error
from structure_factor join shown using (run_id)
where convention = 'faber_ziman' or (convention = 'number_number' and contains(chemical_system, '-'))
order by composition, pair <> 'all', pair, place, x"""
    return Section(
        anchor=f"{group.anchor}-scattering",
        title="Structure factors",
        caption="S(q) summed over the wave vectors of the cell: of all atoms alike, and partial ones after Faber and "
        "Ziman, which go to 1 at large q. Bands are standard errors from blocks. Points at the smallest q stand for a "
        f"few wave vectors only. {_FEW}",
        sql=sql,
        command=_COMMAND,
        folds=_folds(group, ask(sql), kind="scattering", axes=(Axis("q (1/Å)"), Axis("S(q)"))),
        synthetic=group.synthetic,
    )


def motion_section(group: Group, ask: Ask) -> Section:
    """Displacements, diffusion of each element, viscosity."""
    sql = f"""{_shown(group)}
select shown.*, element as label, lag_fs / 1000 as x, msd_angstrom2 as y, msd_error_angstrom2 as y_error
from msd join shown using (run_id)
order by composition, element, place, x"""
    return Section(
        anchor=f"{group.anchor}-motion",
        title="Diffusion and viscosity",
        caption="Mean squared displacement of each element, and in the table what follows from it: the Einstein "
        "coefficient from the slope behind the first picosecond, the same after Green and Kubo from velocities, and "
        "corrected for the images of a periodic cell where the viscosity is known. A number that the run is too short "
        f"for is missing, with the reason. {_FEW} {FUNCTIONAL_CAVEAT}",
        sql=sql,
        command=_COMMAND,
        folds=_folds(group, ask(sql), kind="motion", axes=(Axis("lag (ps)"), Axis("MSD (Å²)"))),
        grids=_transport_grid(group, ask),
        synthetic=group.synthetic,
    )


def environments_section(group: Group, ask: Ask) -> Section:
    """What melt the atoms see within a cutoff."""
    sql = f"""select local_composition.*, origin, protocol, runs.potential_id, recipe
from local_composition join runs using (run_id) left join potentials on potentials.potential_id = runs.potential_id
where local_composition.reason is null and {group.where}
order by local_composition.composition, origin, run_id, r_cut_angstrom, element"""
    rows = ask(sql)
    head = (
        "composition", "source", "run", "element", "within (Å)", "mean (at.%)", "σ (at.%)", "random σ (at.%)",
        "p99.9 (at.%)", "furthest (at.%)", "environments",
    )  # fmt: skip
    cells = [
        (
            *_names(row),
            row["element"],
            number(row["r_cut_angstrom"], 2),
            with_error(row["mean_at_percent"], None, 1),
            with_error(row["sigma_at_percent"], row["sigma_error_at_percent"], 2),
            with_error(row["random_at_percent"], None, 2),
            *(with_error(row[name], None, 1) for name in ("p999_at_percent", "max_at_percent")),
            number(row["n_environments"]),
        )
        for row in rows
    ]
    return Section(
        anchor=f"{group.anchor}-environments",
        title="Local composition",
        caption="The share of each element in the sphere that a potential sees around an atom, the atom itself not "
        "counted. The standard deviation σ beside that of randomly labelled atoms tells order from chance; p99.9, "
        "within which all but one of a thousand environments are, and the furthest one are distances from the melt's "
        "own composition.",
        sql=sql,
        command=_COMMAND,
        grids=[Grid(head, cells, f"Numbers of {len(cells)} spheres", n_text=4, folded=True)] if cells else [],
        synthetic=group.synthetic,
    )


def _shown(group: Group) -> str:
    """Of each composition the longest runs, in turn of AIMD and of simulations; AIMD is placed first, then twins."""
    return f"""with ranked as (
    select run_id, runs.composition, chemical_system, origin, protocol, runs.potential_id, recipe, temperature_k,
           row_number() over (
               partition by runs.composition, origin order by averaged_fs desc nulls last, n_averaged desc, run_id
           ) as place_in_origin
    from runs join thermodynamics using (run_id)
    left join potentials on potentials.potential_id = runs.potential_id
    where n_averaged > 0 and {group.where}
),
chosen as (
    select * from ranked
    qualify row_number() over (partition by composition order by place_in_origin, origin) <= {_MOST_RUNS}
),
shown as (
    select *, row_number() over (
        partition by composition order by origin, protocol <> 'twin', recipe, protocol, place_in_origin
    ) as place
    from chosen
)"""


def _folds(group: Group, rows: Sequence[Row], *, kind: str, axes: tuple[Axis, Axis]) -> list[Fold]:
    folds: list[Fold] = []
    for composition, found in groupby(rows, key=itemgetter("composition")):
        of_composition = list(found)
        plots = [
            Plot(label, _series(list(points)), *axes)
            for label, points in groupby(of_composition, key=itemgetter("label"))
        ]
        drawn = picture(f"{kind}-{composition}-{group.anchor}", plots, synthetic=group.synthetic)
        n_runs = len({row["run_id"] for row in of_composition})
        title = f"{composition}: {n_runs} run{'' if n_runs == 1 else 's'}"
        folds.append(Fold(title, [Figure(drawn)], opened=not folds))
    return folds


def _series(rows: Sequence[Row]) -> list[Series]:
    series, blues, colours = [], cycle(_AIMD_COLOURS), cycle(POTENTIAL_COLOURS)
    for _, found in groupby(rows, key=itemgetter("run_id")):
        points = list(found)
        is_aimd, kelvin = points[0]["origin"] == "aimd", points[0]["temperature_k"]
        source = "AIMD" if is_aimd else simulation(points[0])
        label = source if kelvin is None else f"{source} {kelvin:.0f} K"
        x, y, error = (column(points, name) for name in ("x", "y", "y_error"))
        colour = next(blues) if is_aimd else next(colours)
        series.append(Series(label, x, y, colour, "solid" if is_aimd else "dashed", error))
    return series


def _transport_grid(group: Group, ask: Ask) -> list[Grid]:
    rows = ask(f"""select transport.*, origin, protocol, runs.potential_id, recipe
from transport join runs using (run_id) left join potentials on potentials.potential_id = runs.potential_id
where {group.where}
order by transport.composition, origin, run_id, element""")
    head = (
        "composition", "source", "run", "element", "what is missing", "T (K)", "D Einstein (Å²/ps)",
        "D Green-Kubo (Å²/ps)", "D infinite cell (Å²/ps)", "viscosity (mPa s)",
    )  # fmt: skip
    cells = [
        (
            *_names(row),
            row["element"],
            _missing(row),
            with_error(row["temperature_k"], None, 0),
            *(
                with_error(row[f"{name}_angstrom2_per_ps"], row[f"{name}_error_angstrom2_per_ps"], 3)
                for name in ("diffusion", "diffusion_green_kubo", "diffusion_infinite_cell")
            ),
            with_error(row["viscosity_mpa_s"], row["viscosity_error_mpa_s"], 2),
        )
        for row in rows
    ]
    return [Grid(head, cells, f"Coefficients of {len(cells)} elements", n_text=5, folded=True)] if cells else []


def _missing(row: Row) -> str:
    names = {"diffusion": "Einstein", "diffusion_green_kubo": "Green-Kubo", "viscosity": "viscosity"}
    reasons = {told: row[f"{name}_reason"] for name, told in names.items() if row[f"{name}_reason"]}
    return "; ".join(f"{told}: {reason}" for told, reason in reasons.items()) or NOTHING


def _names(row: Row) -> tuple[str, str, str]:
    return row["composition"], "AIMD" if row["origin"] == "aimd" else simulation(row), row["run_id"]
