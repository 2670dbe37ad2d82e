"""Faults that are put into sound files, as data: what each does, to which frames, and which rules must catch it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from schemas.frames import Floats
from tests.gate.clean_runs import N_BRIEF
from tests.gate.vasp_text import (
    Change,
    VaspText,
    energies,
    energy,
    forces,
    frame_numbers,
    number_after,
    positions,
    printed_pressure,
    stress,
    table,
    with_energies,
)

Damage = Callable[[VaspText], VaspText]

BAD = 60
"""The one bad frame, where there is one."""
STRETCH = range(40, 60)
TENTH, OPPOSITE = 0.1, -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault in one file."""

    name: str
    clean: str
    """The sound file: `clean_runs.clean_text` has its text."""
    damage: Damage
    caught_by: tuple[str, ...] = ()
    """Rules that must fail, every one of them."""
    frames: tuple[int, ...] | None = ()
    """Frames that must bear the reason, and no other is rejected; None for the whole run."""
    refused: str = ""
    """What the reader says where it refuses the whole file."""
    all_bad: bool = False
    """Whether other frames are bad as well, so that rejecting them is right."""
    named_in_issue: bool = True
    """Whether it is one of the ten kinds that the gate is asked to catch."""
    unseen: str = ""
    """Why no rule can catch it."""


def in_frames(at: Iterable[int], *changes: Change) -> Damage:
    """These changes in these frames."""
    chosen = tuple(at)

    def damage(text: VaspText) -> VaspText:
        for change in changes:
            text = text.changed(chosen, change)
        return text

    return damage


def everywhere(*changes: Change) -> Damage:
    """These changes in every frame."""
    return lambda text: in_frames(range(len(text.frames)), *changes)(text)


def times(factor: float) -> Callable[[Floats], Floats]:
    return lambda values: values * factor


def _rolled(values: Floats) -> Floats:
    """The rows of other atoms."""
    return np.roll(values, 1, axis=0)


def _swapped(values: Floats) -> Floats:
    """The first and the last atom, of different elements where there are some, change places."""
    return values[[-1, *range(1, len(values) - 1), 0]]


def _opposed_swapped(forces_of_all: Floats) -> Floats:
    """Two atoms that are pulled into opposite directions get each other's force."""
    one, other = np.unravel_index(np.argmin(forces_of_all @ forces_of_all.T), (len(forces_of_all),) * 2)
    forces_of_all[[one, other]] = forces_of_all[[other, one]]
    return forces_of_all


def _scattered(values: Floats) -> Floats:
    """Rows among all elements at random."""
    return values[np.random.default_rng(1).permutation(len(values))]


def _replaced(text: str, by: str) -> Change:
    return lambda piece: piece.replace(text, by)


def _first_force(word: str) -> Change:
    """The first number of the force table becomes that word."""

    def change(piece: str) -> str:
        if "<calculation>" in piece:
            return re.sub(r'(<varray name="forces" >\s*<v> *)\S+', rf"\g<1>{word}", piece)
        return re.sub(r"(TOTAL-FORCE \(eV/Angst\)\n -+\n(?: +\S+){3})( +\S+)", rf"\g<1>{word:>14}", piece)

    return change


def _number_becomes(pattern: str, word: str) -> Change:
    return lambda piece: re.sub(rf"({pattern} *)\S+", rf"\g<1>{word}", piece)


def _extrapolated(piece: str) -> str:
    """The energy extrapolated to zero smearing stands where the free energy should; the others stay."""
    return with_energies(piece, {"free": energies(piece)["sigma0"]})


def _only_extrapolated(piece: str) -> str:
    """The same, and the other energies are made to agree."""
    return with_energies(piece, dict.fromkeys(("free", "without", "sigma0"), energies(piece)["sigma0"]))


def _atom_frozen(at: range) -> Damage:
    """One atom stays where it was before these frames."""

    def damage(text: VaspText) -> VaspText:
        rest = table(text.frames[at.start - 1], "positions")[5]

        def freeze(values: Floats) -> Floats:
            values[5] = rest
            return values

        return in_frames(at, positions(freeze))(text)

    return damage


def _atom_beside(distance_angstrom: float) -> Change:
    """The first atom is put so near to the second one."""

    def change(values: Floats) -> Floats:
        values[0] = values[1] + distance_angstrom / np.sqrt(3)
        return values

    return positions(change)


def _one_force(factor: float) -> Change:
    def change(values: Floats) -> Floats:
        values[3] *= factor
        return values

    return forces(change)


def _one_force_is(value: float) -> Change:
    def change(values: Floats) -> Floats:
        values[3] = [value, 0, 0]
        return values

    return forces(change)


def _one_stress_component(factor: float) -> Change:
    def change(values: Floats) -> Floats:
        values.flat[1] *= factor
        return values

    return stress(change)


def _diagonal(summand: float) -> Change:
    def change(values: Floats) -> Floats:
        if values.ndim == 1:
            values[:3] += summand
            return values
        return values + summand * np.eye(3)

    return stress(change)


def _written_again(at: range) -> Damage:
    """A block of frames comes a second time, as from a restart that was appended."""
    return lambda text: replace(
        text, frames=(*text.frames[: at.stop], *text.frames[at.start : at.stop], *text.frames[at.stop :])
    )


def _left_out(at: range) -> Damage:
    return lambda text: replace(text, frames=(*text.frames[: at.start], *text.frames[at.stop :]))


def _in_head(pattern: str, by: str) -> Damage:
    return lambda text: replace(text, head=re.sub(pattern, by, text.head))


def _drifting(ev_per_frame: float) -> Damage:
    def change(frame: int, piece: str) -> str:
        label = "ETOTAL =" if "ETOTAL" in piece else '<i name="total">'
        return number_after(label, lambda value: value + frame * ev_per_frame)(piece)

    return lambda text: frame_numbers(text, change)


def _hotter(factor: float) -> Change:
    def change(piece: str) -> str:
        for label in ("(temperature", "EKIN   =", '<i name="kinetic">'):
            piece = number_after(label, lambda value: value * factor)(piece)
        return piece

    return change


def _restarted(at: range, *, overlap: int = 0, encut: int = 300) -> Damage:
    """From the beginning of these frames on, or `overlap` frames before it, another OUTCAR that was appended."""

    def damage(text: VaspText) -> VaspText:
        begins = at.start - overlap
        head = text.head.replace("ENCUT  =  300", f"ENCUT  =  {encut}").replace("ENCUT = 300", f"ENCUT = {encut}")
        later = (
            re.sub(r"(Iteration +)(\d+)", lambda found: f"Iteration {int(found[2]) - begins:6d}", frame)
            for frame in text.frames[begins : at.stop]
        )
        return replace(text, frames=text.frames[: at.start], end=text.end + head + "".join(later) + text.end)

    return damage


_WHOLE_CELL_UNSEEN = (
    "at constant volume the virial does no work, and a vasprun.xml prints no pressure beside it: nothing in the file "
    "tells its size"
)
_SAME_KIND_UNSEEN = (
    "all three energies of the file are the extrapolated one, so they agree, and the entropy changes too little with "
    "the positions to be seen in the work of the forces"
)

WRONG_VIRIAL_SIGN = (
    Fault(
        name="virial's sign in one frame, printed pressure stays",
        clean="brief melt/OUTCAR",
        damage=in_frames([BAD], stress(times(OPPOSITE))),
        caught_by=("virial_is_pressure",),
        frames=(BAD,),
    ),
    Fault(
        name="virial's sign in every frame, printed pressure stays",
        clean="brief melt/OUTCAR",
        damage=everywhere(stress(times(OPPOSITE))),
        caught_by=("virial_is_pressure", "virial_rises_with_energy"),
        frames=None,
    ),
    Fault(
        name="virial's sign in one frame, printed pressure too",
        clean="brief melt/OUTCAR",
        damage=in_frames([BAD], stress(times(OPPOSITE)), printed_pressure(OPPOSITE)),
        caught_by=("virial_fits_neighbours",),
        frames=(BAD,),
    ),
    Fault(
        name="virial's sign in one frame",
        clean="brief melt/vasprun.xml",
        damage=in_frames([BAD], stress(times(OPPOSITE))),
        caught_by=("virial_fits_neighbours",),
        frames=(BAD,),
    ),
    Fault(
        name="virial's sign in every frame, cell stays",
        clean="brief melt/vasprun.xml",
        damage=everywhere(stress(times(OPPOSITE))),
        caught_by=("virial_rises_with_energy",),
        frames=(),
    ),
    Fault(
        name="virial's sign in every frame, cell changes",
        clean="breathing melt/vasprun.xml",
        damage=everywhere(stress(times(OPPOSITE))),
        caught_by=("virial_is_gradient",),
        frames=None,
    ),
    Fault(
        name="virial's sign in every frame, printed pressure too, cell changes",
        clean="breathing melt/OUTCAR",
        damage=everywhere(stress(times(OPPOSITE)), printed_pressure(OPPOSITE)),
        caught_by=("virial_is_gradient",),
        frames=None,
    ),
    Fault(
        name="virial's sign in every frame, printed pressure stays",
        clean="lips84-npt-langevin/OUTCAR",
        damage=everywhere(stress(times(OPPOSITE))),
        caught_by=("virial_is_pressure", "virial_is_gradient"),
        frames=tuple(range(1, 10)),
        all_bad=True,
    ),
    Fault(
        name="virial's sign in one frame",
        clean="si64-liquid-2000k/vasprun.xml.gz",
        damage=in_frames([5], stress(times(OPPOSITE))),
        caught_by=("virial_fits_neighbours",),
        frames=(5,),
    ),
    Fault(
        name="virial's sign in every frame, cell stays",
        clean="ti32-aimd-nwrite0/vasprun.xml",
        damage=everywhere(stress(times(OPPOSITE))),
        frames=(),
        unseen="ten frames of a network or a short run at constant volume hold too few independent fluctuations",
    ),
)

ENERGY_KIND = (
    *(
        Fault(
            name="free energy replaced by the extrapolated one in every frame",
            clean=clean,
            damage=everywhere(_extrapolated),
            caught_by=("energy_is_free",),
            frames=None,
        )
        for clean in (
            "smeared melt/OUTCAR",
            "smeared melt/vasprun.xml",
            "ti32-aimd-nwrite0/vasprun.xml",
            "si128-nvt-v642/OUTCAR",
        )
    ),
    Fault(
        name="free energy replaced by the extrapolated one in 20 frames",
        clean="smeared melt/OUTCAR",
        damage=in_frames(STRETCH, _extrapolated),
        caught_by=("energy_is_free", "energy_of_one_kind"),
        frames=tuple(STRETCH),
    ),
    Fault(
        name="the same in one frame",
        clean="smeared melt/vasprun.xml",
        damage=in_frames([BAD], _extrapolated),
        caught_by=("energy_is_free", "energy_follows_forces"),
        frames=(BAD,),
    ),
    Fault(
        name="all energies are the extrapolated one in 20 frames",
        clean="smeared melt/OUTCAR",
        damage=in_frames(STRETCH, _only_extrapolated),
        caught_by=("energy_of_one_kind",),
        frames=tuple(STRETCH),
    ),
    Fault(
        name="all energies are the extrapolated one from the 61st frame on",
        clean="smeared melt/vasprun.xml",
        damage=in_frames(range(BAD, N_BRIEF), _only_extrapolated),
        caught_by=("energy_continuous",),
        frames=(BAD,),
    ),
    Fault(
        name="all energies are the extrapolated one in every frame",
        clean="smeared melt/vasprun.xml",
        damage=everywhere(_only_extrapolated),
        unseen=_SAME_KIND_UNSEEN,
    ),
)

UNIT = (
    Fault(
        name="forces x 0.1 in one frame",
        clean="brief melt/OUTCAR",
        damage=in_frames([BAD], forces(times(TENTH))),
        caught_by=("forces_fit_neighbours",),
        frames=(BAD,),
    ),
    *(
        Fault(
            name="forces x 0.1 in every tenth frame",
            clean=clean,
            damage=in_frames(range(5, N_BRIEF, 10), forces(times(TENTH))),
            caught_by=("forces_fit_neighbours",),
            frames=tuple(range(5, N_BRIEF, 10)),
        )
        for clean in ("brief melt/OUTCAR", "breathing melt/vasprun.xml")
    ),
    Fault(
        name="forces x 0.1 in one frame",
        clean="h2o-md10/OUTCAR",
        damage=in_frames([5], forces(times(TENTH))),
        caught_by=("energy_follows_forces",),
        frames=(5,),
    ),
    *(
        Fault(
            name="forces x 0.1 in every frame",
            clean=clean,
            damage=everywhere(forces(times(TENTH))),
            caught_by=("forces_are_gradients",),
            frames=None,
        )
        for clean in (
            "brief melt/vasprun.xml",
            "breathing melt/OUTCAR",
            "h2o-md10/vasprun.xml",
            "ti32-aimd-nwrite0/vasprun.xml",
        )
    ),
    Fault(
        name="stress x 0.1 in one frame, printed pressure stays",
        clean="brief melt/OUTCAR",
        damage=in_frames([BAD], stress(times(TENTH))),
        caught_by=("virial_is_pressure",),
        frames=(BAD,),
    ),
    Fault(
        name="stress x 0.1 in every frame, printed pressure stays",
        clean="si128-nvt-v642/OUTCAR",
        damage=everywhere(stress(times(TENTH))),
        caught_by=("virial_is_pressure",),
        frames=None,
    ),
    Fault(
        name="stress x 0.1 in one frame",
        clean="brief melt/vasprun.xml",
        damage=in_frames([BAD], stress(times(TENTH))),
        caught_by=("virial_fits_neighbours",),
        frames=(BAD,),
    ),
    Fault(
        name="stress x 0.1 in every frame, cell changes",
        clean="breathing melt/vasprun.xml",
        damage=everywhere(stress(times(TENTH))),
        caught_by=("virial_is_gradient",),
        frames=None,
    ),
    Fault(
        name="stress x 0.1 in every frame, cell stays",
        clean="brief melt/vasprun.xml",
        damage=everywhere(stress(times(TENTH))),
        unseen=_WHOLE_CELL_UNSEEN,
    ),
    Fault(
        name="energy x 0.1 in one frame",
        clean="brief melt/OUTCAR",
        damage=in_frames([BAD], energy(lambda value: value * TENTH)),
        caught_by=("energy_follows_forces",),
        frames=(BAD,),
    ),
    Fault(
        name="energy x 0.1 in every frame",
        clean="brief melt/vasprun.xml",
        damage=everywhere(*(energy(lambda value: value * TENTH, kind) for kind in ("free", "without", "sigma0"))),
        caught_by=("forces_are_gradients",),
        frames=None,
    ),
)

SIGN_OF_FORCES = (
    Fault(
        name="forces' sign in one frame",
        clean="brief melt/vasprun.xml",
        damage=in_frames([BAD], forces(times(OPPOSITE))),
        caught_by=("forces_fit_neighbours",),
        frames=(BAD,),
    ),
    *(
        Fault(
            name="forces' sign in every frame",
            clean=clean,
            damage=everywhere(forces(times(OPPOSITE))),
            caught_by=("forces_are_gradients",),
            frames=None,
        )
        for clean in ("brief melt/OUTCAR", "si64-liquid-2000k/vasprun.xml.gz")
    ),
)

SHUFFLED = (
    *(
        Fault(
            name="positions of other atoms in one frame",
            clean=clean,
            damage=in_frames([at], positions(_rolled)),
            caught_by=("atoms_move_on",),
            frames=(at,),
        )
        for clean, at in (("brief melt/OUTCAR", BAD), ("brief melt/vasprun.xml", BAD), ("h2o-md10/vasprun.xml", 5))
    ),
    Fault(
        name="two atoms of different elements change places in one frame",
        clean="brief melt/OUTCAR",
        damage=in_frames([BAD], positions(_swapped)),
        caught_by=("atoms_move_on",),
        frames=(BAD,),
    ),
    Fault(
        name="positions and forces among all elements in one frame",
        clean="brief melt/vasprun.xml",
        damage=in_frames([BAD], positions(_scattered), forces(_scattered)),
        caught_by=("atoms_move_on",),
        frames=(BAD,),
    ),
    Fault(
        name="forces of other atoms in one frame",
        clean="brief melt/OUTCAR",
        damage=in_frames([BAD], forces(_rolled)),
        caught_by=("forces_fit_neighbours",),
        frames=(BAD,),
    ),
    Fault(
        name="the two most opposite forces change places in one frame",
        clean="brief melt/OUTCAR",
        damage=in_frames([BAD], forces(_opposed_swapped)),
        caught_by=("energy_expected",),
        frames=(BAD,),
        named_in_issue=False,
    ),
    *(
        Fault(
            name="forces of other atoms in every tenth frame",
            clean=clean,
            damage=in_frames(range(5, N_BRIEF, 10), forces(_rolled)),
            caught_by=("forces_fit_neighbours",),
            frames=tuple(range(5, N_BRIEF, 10)),
        )
        for clean in ("brief melt/vasprun.xml", "breathing melt/OUTCAR")
    ),
    Fault(
        name="forces of other atoms in every frame",
        clean="brief melt/vasprun.xml",
        damage=everywhere(forces(_rolled)),
        caught_by=("forces_are_gradients",),
        frames=None,
    ),
    Fault(
        name="atoms in another order from the 61st frame on",
        clean="brief melt/OUTCAR",
        damage=in_frames(range(BAD, N_BRIEF), positions(_scattered), forces(_scattered)),
        caught_by=("no_jump",),
        frames=(BAD,),
    ),
    Fault(
        name="the elements of the file are given to other atoms",
        clean="brief melt/vasprun.xml",
        damage=everywhere(positions(_scattered), forces(_scattered)),
        named_in_issue=False,
        unseen="positions, forces and energies belong together: only a potential knows which atom is which",
    ),
)

FROZEN = (
    Fault(
        name="an atom stays in one frame",
        clean="brief melt/OUTCAR",
        damage=_atom_frozen(range(BAD, BAD + 1)),
        caught_by=("every_atom_moves",),
        frames=(BAD,),
    ),
    *(
        Fault(
            name="an atom stays in 20 frames",
            clean=clean,
            damage=_atom_frozen(STRETCH),
            caught_by=("every_atom_moves",),
            frames=tuple(STRETCH),
        )
        for clean in ("brief melt/OUTCAR", "brief melt/vasprun.xml")
    ),
    Fault(
        name="an atom stays in every frame",
        clean="si64-liquid-2000k/vasprun.xml.gz",
        damage=_atom_frozen(range(1, 10)),
        caught_by=("every_atom_moves",),
        frames=tuple(range(1, 10)),
    ),
)

REPEATED = (
    Fault(
        name="20 frames written twice",
        clean="brief melt/vasprun.xml",
        damage=_written_again(STRETCH),
        caught_by=("frame_not_repeated",),
        frames=tuple(frame + len(STRETCH) for frame in STRETCH),
    ),
    Fault(
        name="20 frames written twice, counters too",
        clean="brief melt/OUTCAR",
        damage=_written_again(STRETCH),
        refused="the ionic counter falls from 60 to 41",
    ),
    Fault(
        name="a restart, appended, that begins 20 frames before the end of the run",
        clean="brief melt/OUTCAR",
        damage=_restarted(range(BAD, N_BRIEF), overlap=20),
        caught_by=("frame_not_repeated",),
        frames=tuple(range(BAD, BAD + 20)),
    ),
    Fault(
        name="one frame written twice",
        clean="h2o-md10/vasprun.xml",
        damage=_written_again(range(5, 6)),
        caught_by=("frame_not_repeated",),
        frames=(6,),
    ),
    Fault(
        name="20 frames are missing, counters tell",
        clean="brief melt/OUTCAR",
        damage=_left_out(STRETCH),
        caught_by=("no_step_missing",),
        frames=(STRETCH.start,),
        named_in_issue=False,
    ),
    Fault(
        name="20 frames are missing, nothing counts",
        clean="brief melt/vasprun.xml",
        damage=_left_out(STRETCH),
        caught_by=("no_jump",),
        frames=(STRETCH.start,),
        named_in_issue=False,
    ),
)

HEAT = (
    Fault(
        name="a thermostat that heats without bound",
        clean="runaway/OUTCAR",
        damage=everywhere(),
        caught_by=("temperature_bounded", "equilibrated"),
        frames=(400, 450, 500),
        all_bad=True,
    ),
    *(
        Fault(
            name="velocities of 20 frames are twice as large",
            clean=clean,
            damage=in_frames(STRETCH, _hotter(4.0)),
            caught_by=("temperature_bounded",),
            frames=tuple(STRETCH),
        )
        for clean in ("brief melt/OUTCAR", "brief melt/vasprun.xml")
    ),
    Fault(
        name="a melt at 1673 K that should have had 1500 K",
        clean="melt/OUTCAR",
        damage=_in_head(r"1673\.0", "1500.0"),
        caught_by=("temperature_on_target",),
        named_in_issue=False,
    ),
    Fault(
        name="the conserved energy gains 3 meV/atom/ps",
        clean="melt/OUTCAR",
        damage=_drifting(108 * 3e-3 * 5e-3),
        caught_by=("energy_conserved",),
        named_in_issue=False,
    ),
    Fault(
        name="the conserved energy loses 3 meV/atom/ps",
        clean="melt/vasprun.xml",
        damage=_drifting(-108 * 3e-3 * 5e-3),
        caught_by=("energy_conserved",),
        named_in_issue=False,
    ),
    *(
        Fault(
            name="a melt that is a crystal of 300 K",
            clean=clean,
            damage=everywhere(),
            caught_by=("melt_diffuses", "melt_disordered"),
        )
        for clean in ("crystal/OUTCAR", "crystal/vasprun.xml")
    ),
)

NOT_A_NUMBER = (
    *(
        Fault(
            name=f"{word} among the forces",
            clean=clean,
            damage=in_frames([at], _first_force(word)),
            caught_by=("read_whole", "forces_present"),
            frames=(at,),
        )
        for word in ("NaN", "********")
        for clean, at in (("brief melt/OUTCAR", BAD), ("brief melt/vasprun.xml", BAD), ("h2o-md10/vasprun.xml", 5))
    ),
    *(
        Fault(
            name="NaN in place of the energy",
            clean=clean,
            damage=in_frames([BAD], _number_becomes(pattern, "NaN")),
            caught_by=("read_whole", "energy_present"),
            frames=(BAD,),
        )
        for clean, pattern in (
            ("brief melt/OUTCAR", r"free  energy   TOTEN  ="),
            ("brief melt/vasprun.xml", r'<i name="e_fr_energy">'),
        )
    ),
    Fault(
        name="NaN among the components of the stress",
        clean="brief melt/OUTCAR",
        damage=in_frames([BAD], _number_becomes(r"in kB +\S+", "NaN")),
        caught_by=("read_whole",),
        frames=(BAD,),
    ),
)

LEVEL_OF_THEORY = (
    Fault(
        name="an OUTCAR of ENCUT = 400 appended to one of 300",
        clean="brief melt/OUTCAR",
        damage=_restarted(range(BAD, N_BRIEF), encut=400),
        refused="ENCUT",
    ),
    Fault(
        name="ENCUT = ENMAX in a run whose cell may need more",
        clean="h2o-md10/OUTCAR",
        damage=_in_head(r"(ENCUT  = +)\d+\.\d", r"\g<1>400.0"),
        caught_by=("cutoff_above_pulay",),
        named_in_issue=False,
    ),
    Fault(
        name="the functional's name and the cutoff are lost",
        clean="brief melt/OUTCAR",
        damage=_in_head(r"(?m)^.*(ENCUT|LEXCH|GGA|energy-cutoff).*\n", ""),
        caught_by=("theory_known",),
        named_in_issue=False,
    ),
)

BROKEN_GEOMETRY = (
    Fault(
        name="two atoms 1.2 angstrom apart",
        clean="brief melt/OUTCAR",
        damage=in_frames([BAD], _atom_beside(1.2)),
        caught_by=("pairs_apart",),
        frames=(BAD,),
        named_in_issue=False,
    ),
    Fault(
        name="a force of 200 eV/angstrom",
        clean="brief melt/vasprun.xml",
        damage=in_frames([BAD], _one_force_is(200.0)),
        caught_by=("forces_bounded", "force_usual"),
        frames=(BAD,),
        named_in_issue=False,
    ),
    Fault(
        name="a force of 30 eV/angstrom",
        clean="brief melt/OUTCAR",
        damage=in_frames([BAD], _one_force_is(30.0)),
        caught_by=("forces_moderate",),
        frames=(BAD,),
        named_in_issue=False,
    ),
    Fault(
        name="a component of the stress that lost its decimal point",
        clean="brief melt/vasprun.xml",
        damage=in_frames([BAD], _one_stress_component(1e5)),
        caught_by=("virial_bounded", "virial_fits_neighbours"),
        frames=(BAD,),
        named_in_issue=False,
    ),
    Fault(
        name="a pressure of 100 GPa in one frame",
        clean="brief melt/vasprun.xml",
        damage=in_frames([BAD], _diagonal(1000.0)),
        caught_by=("pressure_usual",),
        frames=(BAD,),
        named_in_issue=False,
    ),
    Fault(
        name="forces that pull all atoms to one side",
        clean="brief melt/OUTCAR",
        damage=in_frames([BAD], forces(lambda values: values + 0.02)),
        caught_by=("net_force_small",),
        frames=(BAD,),
        named_in_issue=False,
    ),
    Fault(
        name="an electronic loop that did not converge",
        clean="brief melt/OUTCAR",
        damage=in_frames(
            [BAD],
            _replaced(
                "aborting loop because EDIFF is reached ----", "aborting loop EDIFF was not reached (unconverged)"
            ),
        ),
        caught_by=("scf_converged",),
        frames=(BAD,),
        named_in_issue=False,
    ),
    Fault(
        name="an energy that is off by 0.8 meV/atom",
        clean="breathing melt/OUTCAR",
        damage=in_frames(
            [BAD], *(energy(lambda value: value + 0.0864, kind) for kind in ("free", "without", "sigma0"))
        ),
        caught_by=("energy_expected",),
        frames=(BAD,),
        named_in_issue=False,
    ),
)

FAULTS: tuple[Fault, ...] = (
    *WRONG_VIRIAL_SIGN,
    *ENERGY_KIND,
    *UNIT,
    *SIGN_OF_FORCES,
    *SHUFFLED,
    *FROZEN,
    *REPEATED,
    *HEAT,
    *NOT_A_NUMBER,
    *LEVEL_OF_THEORY,
    *BROKEN_GEOMETRY,
)
