"""Sections about the potentials: Table 1, training, parity, transferability and speed."""

from collections.abc import Mapping, Sequence

from operators.report.drawing.pictures import picture
from operators.report.drawing.plots import Axis, Plot
from operators.report.drawing.series import Series
from operators.report.drawing.style import POTENTIAL_COLOURS
from operators.report.main_potential import named_apart
from operators.report.page import (
    NOTHING,
    Ask,
    Cell,
    Figure,
    Grid,
    Group,
    Row,
    Section,
    column,
    number,
    plain,
    with_error,
)

_PAPER_SYSTEM = "Al-Cu-Ni"
_STEPS_PER_DECADE = 40
"""Of a learning curve, as its axis is logarithmic; more would not be told apart."""
RMSE = ("rmse_energy_mev_per_atom", "rmse_force_mev_per_angstrom", "rmse_virial_mev_per_atom")
_TABLE_1_NUMBERS = (*RMSE, "ns_per_day")


def table_1_section(group: Group, ask: Ask) -> Section:
    """Table 1 so far: recipes, errors and speed, the paper's numbers beside ours where it is about the same melt."""
    is_papers = group.chemical_system == _PAPER_SYSTEM
    sql = "select * from table_1" if is_papers else f"select * from table_1\nwhere {group.where}"
    rows = ask(sql)
    ours = [row for row in rows if _is_of(row, group)]
    trained = {row["recipe"] for row in ours}
    untrained = {row["recipe"]: row for row in rows if row["recipe"] not in trained and _is_printed(row)}
    order = dict.fromkeys(row["recipe"] for row in rows)
    listed = [
        *(_table_1_row(row, row, with_paper=is_papers) for row in ours),
        *(_table_1_row(row, {}, with_paper=is_papers) for row in untrained.values() if is_papers),
    ]
    listed.sort(key=lambda cells: list(order).index(str(cells[0])))
    return Section(
        anchor=f"{group.anchor}-table-1",
        title="Table 1",
        caption="RMSE against DFT on the test split, pooled over every component and frame; the median over seeds. "
        + (
            "Grey: as printed in the paper (512-atom AIMD of Al-Cu-Ni, 400,000 steps; speed with 4096 atoms on one GPU "
            "of 2021). Models trained once differ by a few meV/Å from seed to seed. The printed 0.007 ns/day of DP-14 "
            "is a tenth of what its size suggests."
            if is_papers
            else "The paper prints no numbers for this chemical system."
        ),
        sql=sql,
        command="meltlake train TRAINING_SET --recipe DP-2",
        grids=[Grid(_table_1_head(with_paper=is_papers), listed, n_text=3)] if listed else [],
        synthetic=group.synthetic and bool(ours),
    )


def _is_of(row: Row, group: Group) -> bool:
    elements = set(str(row["chemical_system"] or "?").split("-"))
    return (
        row["training_set_id"] is not None and row["synthetic"] == group.synthetic and elements <= set(group.elements)
    )


def _is_printed(row: Row) -> bool:
    return row["paper_ns_per_day"] is not None


def _table_1_head(*, with_paper: bool) -> list[str]:
    labels = ("E{} (meV/atom)", "F{} (meV/Å)", "V{} (meV/atom)", "ns/day{}")
    numbers = [label.format(kind) for label in labels for kind in ((" paper", " here") if with_paper else ("",))]
    return [
        "recipe",
        "embedding net",
        "fitting net",
        "axis",
        "r (Å)",
        *numbers,
        "atoms",
        "seeds",
        "steps",
        "hardware",
        "training set",
    ]


def _table_1_row(recipe: Row, ours: Row, *, with_paper: bool) -> list[Cell]:
    numbers = []
    for name in _TABLE_1_NUMBERS:
        numbers += [_as_printed(recipe[f"paper_{name}"])] if with_paper else []
        numbers += [number(ours.get(name))]
    return [
        recipe["recipe"],
        _layers(recipe["embedding_net"]),
        _layers(recipe["fitting_net"]),
        number(recipe["axis_neuron"]),
        f"{number(recipe['r_smooth_angstrom'], 2)}–{number(recipe['r_cut_angstrom'], 2)}",
        *numbers,
        *(number(ours.get(name)) for name in ("n_atoms", "n_seeds", "n_steps")),
        plain(ours.get("hardware")),
        plain(ours.get("training_set_id")) + _told_apart(ours),
    ]


def _told_apart(ours: Row) -> str:
    """What else than its recipe and training set a potential came from, where it is not the usual."""
    backend = f", {ours['backend']}" if ours.get("backend") not in (None, "tensorflow") else ""
    if not ours.get("init_from"):
        return backend
    known = f", whose weights know {ours['n_test_frames_known']} of the test frames"
    return f"{backend}, from potential {ours['init_from']}{known if ours['n_test_frames_known'] else ''}"


def _as_printed(value: float | None) -> str:
    return NOTHING if value is None else f"{value:g}"


def _layers(neurons: Sequence[int] | None) -> str:
    if not neurons:
        return NOTHING
    is_even = len(neurons) > 1 and len(set(neurons)) == 1
    return f"{neurons[0]} × {len(neurons)}" if is_even else ", ".join(str(width) for width in neurons)


def training_section(group: Group, ask: Ask) -> Section:
    """Learning curves: whether every part of the loss has settled."""
    sql = f"""select learning_curves.*, recipe, seed
from learning_curves
join trained_potentials using (potential_id)
where {group.where} and step > 0
qualify row_number() over (
    partition by potential_id, floor({_STEPS_PER_DECADE} * log10(step)) order by step desc) = 1
order by recipe, seed, potential_id, step"""
    rows = ask(sql)
    colours, names = colours_of(rows), named_apart(rows)
    plots = []
    for name, (quantity, unit) in zip(
        RMSE, (("Energy", "meV/atom"), ("Force", "meV/Å"), ("Virial", "meV/atom")), strict=True
    ):
        curves = {key: [row for row in rows if row["potential_id"] == key and row[name]] for key in colours}
        series = [
            Series(names[key], column(found, "step"), column(found, name), colours[key])
            for key, found in curves.items()
            if found
        ]
        if series:
            axes = Axis("step", logarithmic=True), Axis(f"{quantity} RMSE ({unit})", logarithmic=True)
            plots.append(Plot(quantity, series, *axes))
    last = {row["potential_id"]: row for row in rows}.values()
    grid = Grid(
        ("potential", "recipe", "last step", "E (meV/atom)", "F (meV/Å)", "V (meV/atom)"),
        [(row["potential_id"], named(row), number(row["step"]), *(number(row[name]) for name in RMSE)) for row in last],
        "At the last displayed step",
        n_text=2,
        folded=True,
    )
    return Section(
        anchor=f"{group.anchor}-training",
        title="Training",
        caption="RMSE on batches of the test split while training, both axes logarithmic. It has converged when "
        "all three parts have levelled off." + drawn_of(rows, colours),
        sql=sql,
        command="meltlake train TRAINING_SET --recipe DP-2",
        figures=[Figure(picture(f"training-{group.anchor}", plots, synthetic=group.synthetic))] if plots else [],
        grids=[grid] if last else [],
        synthetic=group.synthetic,
    )


def performance_section(group: Group, ask: Ask) -> Section:
    """Speed of every simulation, with what it ran on, how well it conserved energy, and how far seeds disagreed."""
    sql = f"""select performance.*, recipe
from performance
join trained_potentials using (potential_id)
where {group.where}
order by recipe, performance.protocol = 'performance' desc, performance.n_atoms, run_id"""
    rows = ask(sql)
    grid = Grid(
        (
            "recipe",
            "composition",
            "protocol",
            "hardware",
            "precision",
            "outcome",
            "atoms",
            "steps",
            "time step (fs)",
            "ns/day",
            "drift (meV/atom/ps)",
            "seeds disagree by (meV/Å)",
        ),
        [
            (
                row["recipe"] or row["potential_id"],
                *(plain(row[name]) for name in ("composition", "protocol", "hardware")),
                f"{plain(row['precision'])}, {'compressed' if row['compressed'] else 'uncompressed'}",
                plain(row["outcome"]),
                *(number(row[name]) for name in ("n_atoms", "n_steps", "time_step_fs", "ns_per_day")),
                with_error(row["drift_mev_per_atom_per_ps"], row["drift_error_mev_per_atom_per_ps"], 3),
                number(row["mean_max_deviation_force_mev_per_angstrom"]),
            )
            for row in rows
        ],
        n_text=6,
    )
    return Section(
        anchor=f"{group.anchor}-performance",
        title="Speed",
        caption="Simulated nanoseconds per day of wall time. Two numbers compare only at equal numbers of atoms, time "
        "step and hardware, and only over enough steps to average out what else ran. Speed measured on synthetic melts "
        "holds for real ones of the same size and density. The drift is that of the conserved energy. "
        "Seeds disagree by the deviation of the force on the atom where it is largest, on average over the run.",
        sql=sql,
        command="meltlake simulate POTENTIAL --protocol performance --composition COMPOSITION",
        grids=[grid] if rows else [],
        synthetic=group.synthetic,
    )


def colours_of(rows: Sequence[Row]) -> dict[str, str]:
    """Colours of the potentials to draw: those whose last force error is smallest, as many as can be told apart."""
    last = {row["potential_id"]: row[RMSE[1]] for row in rows if row[RMSE[1]] is not None}
    smallest = sorted(last, key=lambda key: (last[key], key))[: len(POTENTIAL_COLOURS)]
    return dict(zip((key for key in last if key in smallest), POTENTIAL_COLOURS, strict=False))


def drawn_of(rows: Sequence[Row], colours: Mapping[str, str]) -> str:
    """How many potentials are drawn, where others are not."""
    n_all = len({row["potential_id"] for row in rows})
    return (
        f" Of {n_all} potentials the {len(colours)} with the smallest force error are drawn."
        if n_all > len(colours)
        else ""
    )


def named(row: Row) -> str:
    return f"{row['recipe']} seed {row['seed']}"
