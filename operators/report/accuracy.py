"""Sections on how well potentials predict DFT, at home and away: parity and transferability (Fig. 3 of the paper)."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from operators.report.drawing.pictures import Picture, picture
from operators.report.drawing.plots import Axis, Plot
from operators.report.drawing.series import Series
from operators.report.drawing.style import ROLE_COLOURS
from operators.report.drawing.triangles import WORDED
from operators.report.main_potential import compared, main_potential, named_apart
from operators.report.page import NOTHING, Ask, Figure, Fold, Grid, Group, Row, Section, column, number, plain
from operators.report.potentials import RMSE, colours_of, drawn_of, named

_QUANTITIES = {"energy": "eV/atom", "force": "eV/Å", "virial": "eV/atom"}
_MOST_DRAWN = 3
"""Potentials; of the others the errors are told."""
_BIAS = ("bias_energy_mev_per_atom", "bias_force_mev_per_angstrom", "bias_virial_mev_per_atom")


def parity_section(group: Group, ask: Ask) -> Section:
    """DNNP against DFT: energy, force and virial (Fig. 3)."""
    main = main_potential(compared(group, ask))
    errors = sorted(_errors(group, ask), key=lambda rows: rows[0]["potential_id"] != main)
    drawn_ids = ", ".join(f"'{rows[0]['potential_id']}'" for rows in errors[:_MOST_DRAWN])
    sql = f"""select potential_id, quantity, split, dft, dnnp
from parity_plot
where {group.where} and potential_id in ({drawn_ids or "''"})
order by potential_id, quantity, split"""
    points = {key: list(found) for key, found in groupby(ask(sql), key=itemgetter("potential_id"))}
    folds: list[Fold] = []
    for rows in errors:
        first = rows[0]
        found = points.get(first["potential_id"], [])
        name = f"figure-3-{first['potential_id']}-{group.anchor}"
        drawn = _parity_picture(name, found, synthetic=group.synthetic)
        folds.append(
            Fold(
                f"{named(first)}, {number(first['n_steps'])} steps: potential {first['potential_id']}",
                [Figure(drawn, below=f"{len(found):,} sampled points; what falls on another one is drawn once.")]
                if found
                else [],
                [_error_grid(rows)],
                opened=not folds,
            )
        )
    return Section(
        anchor=f"{group.anchor}-parity",
        title="Figure 3: parity with DFT",
        caption="Predictions of the potential against DFT for sampled frames: compositions trained on in blue "
        "(light blue: their test split), held-out compositions in red. The line is perfect agreement. RMSE are pooled; "
        "the bias is the mean of potential minus DFT. The potential of Figures 5 and 8 comes "
        f"first, others by their force RMSE; points of {_MOST_DRAWN} are drawn, errors of all are told.",
        sql=sql,
        command="meltlake observe --potential POTENTIAL",
        folds=folds,
        synthetic=group.synthetic,
    )


def _errors(group: Group, ask: Ask) -> list[list[Row]]:
    rows = ask(f"""select rmse.*, recipe, seed, n_steps
from rmse
join trained_potentials using (potential_id)
where {group.where}
order by potential_id, rmse.composition = 'all' desc, rmse.composition, split""")
    per_potential = [list(found) for _, found in groupby(rows, key=itemgetter("potential_id"))]
    return sorted(per_potential, key=_force_error)


def _force_error(rows: Sequence[Row]) -> float:
    pooled = [
        row["rmse_force_mev_per_angstrom"] for row in rows if row["composition"] == "all" and row["split"] == "test"
    ]
    return pooled[0] if pooled and pooled[0] is not None else float("inf")


def _error_grid(rows: Sequence[Row]) -> Grid:
    head = (
        "composition", "split", "frames", "RMSE E (meV/atom)", "RMSE F (meV/Å)", "RMSE V (meV/atom)",
        "bias E (meV/atom)", "bias F (meV/Å)", "bias V (meV/atom)",
    )  # fmt: skip
    cells = [
        (
            "all together" if row["composition"] == "all" else row["composition"],
            row["split"].replace("_", "-"),
            number(row["n_frames"]),
            *(number(row[name]) for name in (*RMSE, *_BIAS)),
        )
        for row in rows
    ]
    return Grid(head, cells, "Errors by composition and split", n_text=2, folded=True)


def _parity_picture(name: str, rows: Sequence[Row], *, synthetic: bool) -> Picture:
    plots = []
    for quantity, unit in _QUANTITIES.items():
        clouds = []
        for split in ("train", "test", "held_out"):
            found = [row for row in rows if row["quantity"] == quantity and row["split"] == split]
            if found:
                points = [row["dft"] for row in found], [row["dnnp"] for row in found]
                clouds.append(Series(WORDED[split], *points, ROLE_COLOURS[split], "circle"))
        if clouds:
            plots.append(Plot(f"{quantity} ({unit})", clouds, Axis("DFT"), Axis("potential"), is_parity=True))
    return picture(name, plots, columns=3, lettered=True, synthetic=synthetic)


def transferability_section(group: Group, ask: Ask) -> Section:
    """How errors grow with the distance to what was trained on."""
    sql = f"""select * from transferability
where {group.where} and split in ('test', 'held_out')
order by recipe, seed, potential_id, distance_at_percent, composition, split"""
    rows = ask(sql)
    far = [row for row in rows if row["distance_at_percent"]]
    colours, names = colours_of(rows), named_apart(rows)
    points = {key: [row for row in rows if row["potential_id"] == key] for key in colours}
    series = [
        Series(names[key], column(found, "distance_at_percent"), column(found, RMSE[1]), colours[key], "circle")
        for key, found in points.items()
    ]
    axes = (Axis("distance to training (at.%)"), Axis("force RMSE (meV/Å)"))
    plot = Plot("Force error against distance", series, *axes)
    drawn = picture(f"transferability-{group.anchor}", [plot], synthetic=group.synthetic) if far else None
    grid = Grid(
        ("composition", "split", "nearest trained", "recipe", "distance (at.%)", "coverage", "frames",
         "RMSE E (meV/atom)", "RMSE F (meV/Å)", "RMSE V (meV/atom)", "curves that agree", "largest z"),
        [
            (
                row["composition"],
                row["split"].replace("_", "-"),
                plain(row["nearest_composition"]),
                names[row["potential_id"]],
                number(row["distance_at_percent"]),
                number(row["coverage_frac"]),
                number(row["n_frames"]),
                *(number(row[name]) for name in RMSE),
                f"{row['n_curves_agree']} of {row['n_curves']}" if row["n_curves"] else NOTHING,
                number(row["largest_z"]),
            )
            for row in far
        ],
        n_text=4,
    )  # fmt: skip
    return Section(
        anchor=f"{group.anchor}-transfer",
        title="Transferability",
        caption="Error on each composition against its distance to the nearest composition that the potential was "
        "trained on: half-L1, the share of atoms to swap. Distance 0 is the test split. Coverage is the share of the "
        "melt's environments within the cutoff that lie where the training frames are dense. The paper's own example, "
        "Al50Cu25Ni25, is 10 at.% away; 20 at.% is the largest distance inside its ten-point grid."
        + drawn_of(rows, colours),
        sql=sql,
        command="meltlake materialize --hold-out COMPOSITION",
        figures=[Figure(drawn)] if drawn else [],
        grids=[grid] if far else [],
        synthetic=group.synthetic,
    )
