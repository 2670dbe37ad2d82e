"""VASP's inputs for a proposed composition, as texts: INCAR and KPOINTS as templates, and what to know about them.

What the lake knows of the nearest run is filled in; what it does not know is a comment, so that VASP's default is never
taken for a choice of somebody.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from operators.proposals.start import AimdStart
from schemas.composition import element_counts, formula

Row = Mapping[str, Any]

_GGA = {
    "PBE": "PE",
    "PBEsol": "PS",
    "RPBE": "RP",
    "revPBE": "RE",
    "PW91": "91",
    "LDA": "CA",
    "AM05": "AM",
}
_MESH = re.compile(r"(\d+)x(\d+)x(\d+)")
_BEFORE = (
    "Before you submit: INCAR and KPOINTS are templates; lines with `= ?` are for you. Look at the pressure of the "
    "first steps: where it is far from what you want, the volume was foretold badly, and the cell is to be changed."
)
_UNKNOWN = (
    ("EDIFF", "as in that run: the lake does not store it"),
    ("NELM", "as in that run; a frame that needs all of them is rejected"),
    ("ALGO", "as in that run"),
    ("LREAL", "as in that run"),
    ("PREC", "as in that run"),
    ("SMASS", "the thermostat's mass, as in that run; 0 lets VASP choose one"),
)


def incar(start: AimdStart, composition: str, *, temperature_k: float | None) -> str:
    """The INCAR of molecular dynamics at constant volume, with the nearest run's settings."""
    run = start.nearest.runs[0]
    lines = [
        f"SYSTEM = {composition}, proposed by meltlake",
        f"# Settings of run {run['run_id']} ({start.nearest.composition}), the nearest composition that was computed.",
        f"# Its level of theory: {run['level_of_theory'] or 'not known'}.",
        "# Energies compare only where all of it is the same. Look at each line before you submit.",
        "",
        "# Electrons",
        _functional(run),
        _tag("ENCUT", run["encut_ev"], "eV"),
        _tag("ISMEAR", run["ismear"]),
        _tag("SIGMA", run["sigma_ev"], "eV"),
        _tag("ISPIN", run["ispin"]),
        *([f"# van der Waals correction of that run: {run['vdw']}"] if run["vdw"] else []),
        "",
        "# Ions",
        "IBRION = 0        # molecular dynamics",
        "ISIF = 2          # constant volume, and the stress that virials are made of",
        _tag("POTIM", run["time_step_fs"], "fs"),
        f"NSW = {run['n_frames']}        # as many steps as that run has",
        _tag("TEBEG", temperature_k, "K; it must be above the liquidus, which the lake does not know"),
        _tag("TEEND", temperature_k, "K"),
        f"# MDALGO = ?      # that run: {run['ensemble'] or 'ensemble not known'}",
        "",
        "# Not known to the lake",
        *(f"# {name} = ?{' ' * (8 - len(name))}# {why}" for name, why in _UNKNOWN),
    ]
    return "\n".join(lines) + "\n"


def kpoints(start: AimdStart) -> str:
    """The KPOINTS file: the nearest run's mesh where its label tells it, else the zone's centre, which is said."""
    run = start.nearest.runs[0]
    label = run["k_points"]
    mesh = _MESH.fullmatch(label or "")
    divisions = " ".join(mesh.groups()) if mesh else "1 1 1"
    told = (
        f"mesh of run {run['run_id']}; whether it was shifted is not known"
        if mesh
        else f"run {run['run_id']}: {label or 'not known'}; the centre of the zone is a placeholder"
    )
    return f"{told}\n0\nGamma\n{divisions}\n0 0 0\n"


def readme(start: AimdStart, composition: str, *, reason: str, scf_steps: float | None, synthetic: bool) -> str:
    """What is in the folder, why, what it will cost, and what to do with it."""
    run, counts = start.nearest.runs[0], element_counts(start.atomic_numbers)
    n_atoms = len(start.atomic_numbers)
    parts = [
        f"# AIMD of {composition}, proposed by meltlake",
        *(["Proposed from synthetic melts: it shows how proposals are made, and is nothing to compute."] * synthetic),
        f"Why: {reason}",
        _origin(start, composition),
        _cost(run, n_atoms, scf_steps),
        "POTCAR: " + _potcar(start, sorted(counts)) + " The order of elements is that of the POSCAR.",
        _BEFORE,
        "Afterwards: `meltlake ingest` of the run's folder; what is due then, `meltlake status` says.",
    ]
    return "\n\n".join(parts) + "\n"


def _origin(start: AimdStart, composition: str) -> str:
    n_atoms, counts = len(start.atomic_numbers), formula(element_counts(start.atomic_numbers))
    return (
        f"The start: frame {start.frame} of run {start.run_id}, {start.n_exchanged} of {n_atoms} atoms exchanged for "
        f"other elements ({counts}), the cell scaled to {start.volume_per_atom_angstrom3:.2f} angstrom^3 per atom, "
        f"{_volume_is(start)}. The closest pair is {start.min_distance_angstrom:.2f} angstrom apart, "
        f"{start.min_distance_over_limit:.2f} times what the gate accepts at least. Exchanged atoms are not in "
        "equilibrium; `ingest` tells when they are, and averages begin there. To start from an equilibrated "
        f"melt, simulate it with a potential first, `meltlake simulate POTENTIAL --protocol nvt --composition "
        f"{composition}`, and propose again: a finished simulation of the composition is taken by itself."
    )


def _volume_is(start: AimdStart) -> str:
    if start.volume_is_guessed:
        return (
            "which is a guess: no mixture of the computed melts has this composition, so the crystals of its elements "
            "were asked how volumes differ. Look at the pressure of the first steps, and change the cell"
        )
    return "as computed melts foretell"


def _tag(name: str, value: float | None, unit: str = "") -> str:
    comment = f"        # {unit}" if unit else ""
    return f"# {name} = ?{comment}" if value is None else f"{name} = {value:g}{comment}"


def _functional(run: Row) -> str:
    name = run["functional"]
    if name in _GGA:
        return f"GGA = {_GGA[name]}        # {name}"
    return f"# GGA = ?        # functional of that run: {name or 'not known'}"


def _potcar(start: AimdStart, elements: Sequence[str]) -> str:
    titles = {
        word.split("_")[0]: title
        for run in start.nearest.runs
        for title in run["potcar_titles"] or ()
        for word in title.split()[1:2]
    }
    told = [f"{element}: {titles.get(element, 'not known, take that of the other runs')}" for element in elements]
    return "; ".join(told) + "."


def _cost(run: Row, n_atoms: int, scf_steps: float | None) -> str:
    told = f"Expected cost: {run['n_frames']} ionic steps of {n_atoms} atoms (run {run['run_id']} has {run['n_atoms']})"
    if scf_steps is None:
        return f"{told}. How many electronic steps each takes, that run does not tell."
    total = round(run["n_frames"] * scf_steps)
    return (
        f"{told}, about {scf_steps:.0f} electronic steps each as there: {total:,} in all. The lake does not store wall "
        "times; at equal hardware it takes as long as that run for each electronic step."
    )
