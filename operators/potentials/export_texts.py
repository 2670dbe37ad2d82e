"""Texts of an exported potential: the page for a person, and an input for LAMMPS. Files are the verb's."""

from collections.abc import Iterator

from schemas.model_card import Accuracy, ModelCard

LAMMPS_INPUT, LAMMPS_START = "in.lammps", "start.lmp"


def lammps_example(card: ModelCard) -> str:
    """An input that computes the reference frame in `start.lmp`, and simulates it when asked to."""
    return f"""\
# Energy, pressure and closest pair of one frame:       lmp -in {LAMMPS_INPUT}
# A simulation of so many femtoseconds from it:          lmp -in {LAMMPS_INPUT} -var steps 10000 -var temperature_k 1400
# A LAMMPS that was built without deepmd-kit needs first: plugin load libdeepmd_lmp.so
variable        steps index 0
variable        temperature_k index 1000

units           metal
boundary        p p p
atom_style      atomic
read_data       {LAMMPS_START}

pair_style      deepmd {card.model.name}
pair_coeff      * * {" ".join(card.neighbours.type_map)}
neighbor        1.0 bin
neigh_modify    every 1 delay 0 check yes

# How close two atoms are: model_card.json tells how close they came in training (safe_distances).
compute         pairs all pair/local dist
compute         closest all reduce min c_pairs inputs local

timestep        0.001
thermo_style    custom step temp pe etotal press vol c_closest
thermo_modify   lost error
thermo          100
if "${{steps}} > 0" then &
    "velocity all create ${{temperature_k}} 1 mom yes rot no dist gaussian" &
    "fix motion all nvt temp ${{temperature_k}} ${{temperature_k}} 0.1"
run             ${{steps}}
print           "energy $(pe:%.12g) eV"
"""


def readme(card: ModelCard, *, frames: list[str], tolerances: dict[str, float]) -> str:
    """The page that a person reads first."""
    return "\n".join([*_head(card), *_use(card, frames, tolerances), *_trust(card), *_origin(card)]) + "\n"


def _head(card: ModelCard) -> Iterator[str]:
    name = card.training.recipe.get("name") or card.training.recipe.get("recipe") or "a recipe"
    yield f"# Deep Potential {'-'.join(card.neighbours.type_map)}, {name}, seed {card.training.seed}\n"
    if card.synthetic:
        yield "**Synthetic: learnt from the frames of a toy potential. Not for science.**\n"
    yield (
        f"Potential `{card.potential_id}`, `{card.model.name}` (sha256 `{card.model.sha256}`), exported from meltlake. "
        "Everything about it is in `model_card.json`.\n"
    )


def _use(card: ModelCard, frames: list[str], tolerances: dict[str, float]) -> Iterator[str]:
    yield "## Use\n"
    yield "| file | what for |\n|---|---|"
    yield "| `verify.py` | run it first: `python verify.py` needs deepmd-kit and numpy |"
    yield f"| `{LAMMPS_INPUT}`, `{LAMMPS_START}` | LAMMPS: one frame, or a simulation from it |"
    yield "| `ase_example.py` | ASE: energy, forces and stress of one frame |"
    yield f"| `reference.npz` | {len(frames)} frames with this potential's predictions |"
    yield "| `SHA256SUMS` | `sha256sum -c SHA256SUMS` |\n"
    allowed = ", ".join(f"{what} {value:g}" for what, value in tolerances.items())
    yield f"`verify.py` allows these differences from the stored predictions: {allowed}.\n"
    yield (
        f"Made with deepmd-kit {card.training.software.get('deepmd-kit', 'of unknown version')}, backend "
        f"{card.model.backend}; energies are free energies in eV, forces eV/angstrom, virials eV.\n"
    )


def _trust(card: ModelCard) -> Iterator[str]:
    yield "## How far to trust it\n"
    if card.accuracy:
        yield "RMSE against DFT; in brackets the largest error of any frame (energy) or component.\n"
        yield "| composition | split | frames | energy (meV/atom) | force (meV/angstrom) | virial (meV/atom) |"
        yield "|---|---|---|---|---|---|"
        yield from map(_accuracy, card.accuracy)
        yield ""
    else:
        yield "Its errors were not known when it was exported: `meltlake observe --potential` first.\n"
    if card.committee:
        yield from _committee(card)
    yield "Closest pairs in any frame that was trained on; whatever comes closer is extrapolated:\n"
    yield "| pair | smallest distance (angstrom) |\n|---|---|"
    yield from (f"| {one.pair} | {one.min_distance_angstrom:.3f} |" for one in card.safe_distances)
    slots = ", ".join(
        f"{element} {one}" for element, one in zip(card.neighbours.type_map, card.neighbours.sel, strict=False)
    )
    yield f"\nAn atom may have so many neighbours within {card.neighbours.r_cut_angstrom} angstrom: {slots}.\n"


def _committee(card: ModelCard) -> Iterator[str]:
    if card.committee is None:
        return
    yield f"Against {len(card.committee.potential_ids) - 1} more of other seeds (force, meV/angstrom):\n"
    yield "| composition | split | deviation | true error | error / deviation | deviations that cover 95 % of frames |"
    yield "|---|---|---|---|---|---|"
    for row in card.committee.calibration:
        values = (
            row.deviation_force_mev_per_angstrom,
            row.error_force_mev_per_angstrom,
            row.force_error_over_deviation,
            row.deviations_for_95_percent,
        )
        yield f"| {row.composition} | {row.split} | {' | '.join(map(_number, values))} |"
    yield ""


def _accuracy(row: Accuracy) -> str:
    pairs = (
        (row.rmse_energy_mev_per_atom, row.max_energy_mev_per_atom),
        (row.rmse_force_mev_per_angstrom, row.max_force_mev_per_angstrom),
        (row.rmse_virial_mev_per_atom, row.max_virial_mev_per_atom),
    )
    cells = " | ".join(f"{_number(rmse)} ({_number(most)})" for rmse, most in pairs)
    return f"| {row.composition} | {row.split} | {row.n_frames} | {cells} |"


def _origin(card: ModelCard) -> Iterator[str]:
    data, training = card.data, card.training
    yield "## Where it comes from\n"
    yield f"- Trained on {data.n_train} frames of {', '.join(data.compositions)}."
    if data.held_out:
        yield f"- Never trained on, only evaluated: {', '.join(data.held_out)}."
    if data.temperature_range_k:
        lowest, highest = (f"{kelvin:.0f}" for kelvin in data.temperature_range_k)
        yield f"- Mean temperature of its runs: {lowest if lowest == highest else f'{lowest} to {highest}'} K."
    yield f"- Level of theory: {data.level_of_theory}."
    yield f"- Training set `{data.training_set_id}`, version {data.lake_version} of the lake."
    yield f"- {training.n_steps} steps on {training.hardware}; {_number(training.wall_seconds)} s."
    if training.init_from:
        yield f"- Training began from potential `{training.init_from}`."


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
