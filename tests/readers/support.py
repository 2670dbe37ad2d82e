"""What is read of VASP's files, as text: `python -m tests.readers.support > docs/vasp-support.md`."""

import dataclasses
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from lake.readers import extxyz, lammps_dump, ml_ab, outcar, vaspout, vasprun, xdatcar
from lake.readers.detect import SourceFormat
from lake.readers.fields import Field
from lake.readers.outcar_header import SETTING_FIELDS as OUTCAR_SETTINGS
from lake.readers.vasprun_header import SETTING_FIELDS as VASPRUN_SETTINGS
from schemas.frames import FrameBatch, RunHeader
from tests.readers.reference_verdicts import Verdict, verdicts

REFERENCE = Path(__file__).parents[2] / "../shared/vasp-reference"

FIELDS: dict[SourceFormat, tuple[Field, ...]] = {
    "outcar": outcar.FIELDS,
    "vasprun": vasprun.FIELDS,
    "vaspout_h5": vaspout.FIELDS,
    "ml_ab": ml_ab.FIELDS,
    "xdatcar": xdatcar.FIELDS,
    "extxyz": extxyz.FIELDS,
    "lammps_dump": lammps_dump.FIELDS,
}
_SETTINGS = {"outcar": OUTCAR_SETTINGS, "vasprun": VASPRUN_SETTINGS}
_SETTINGS_SINCE: dict[SourceFormat, str] = {"outcar": "4.6", "vasprun": "4.6", "vaspout_h5": "6.4"}
_FROM_SETTINGS = ("level_of_theory", "ensemble", "temperature_target_k", "time_step_fs", "nelm", "ediff_ev", "isif")
# What it is, how a growing file is read on, what its frames are labelled with.
_FORMATS: dict[SourceFormat, tuple[str, str, str]] = {
    "outcar": ("OUTCAR", "from the last finished step", "DFT; VASP's force field apart"),
    "vasprun": ("vasprun.xml", "from the last finished step", "DFT; VASP's force field apart"),
    "vaspout_h5": ("vaspout.h5", "whole", "DFT; VASP's force field apart"),
    "ml_ab": ("ML_AB, ML_ABN", "whole", "DFT, once an OUTCAR or vasprun.xml tells which energy"),
    "xdatcar": ("XDATCAR", "from the last finished configuration", "none: positions only"),
    "extxyz": ("extended XYZ", "whole", "as the file says"),
    "lammps_dump": ("LAMMPS text dump", "whole", "none"),
}
_HEAD = """\
# VASP files: what is read, and how that was checked

Made by `python -m tests.readers.support`, and compared with the readers at every test.

A file is told by its content, whatever its name. It may be plain or compressed with gzip, bzip2 or xz (by its first
bytes), have line ends of Unix or Windows, end in NUL bytes, and lie in a folder or in a bucket (`s3://...`). A file
that was cut, or that VASP is still writing, gives its complete frames and is marked as not complete. OUTCAR,
vasprun.xml, XDATCAR and LAMMPS dumps are streamed: memory does not grow with the file.
"""
_RULES = """\
## Rules that the numbers follow

* **Energy.** `energy_ev` is the free energy (`free  energy   TOTEN`, `e_fr_energy`): forces and stress are its
  derivatives, also with smearing. The energy extrapolated to zero smearing and the energy without entropy are stored
  beside it and never mixed in.
* **Names in vasprun.xml.** Before VASP 6 the energies of an ionic step carry shifted names: `e_wo_entrp` is the
  extrapolated energy and `e_0_energy` is -TS. They are taken for what they are. Energies inside `<scstep>` lack the
  van der Waals correction and only serve to judge convergence and PV.
* **PSTRESS.** In an OUTCAR, TOTEN does not contain PV. In vasprun.xml and vaspout.h5 the energy of the step may: it is
  compared with the last electronic step, and where the difference is neither zero nor PV the energy is null
  and the frame is flagged `energy_ambiguous`.
* **Conserved energy.** `conserved_energy_ev` is VASP's own sum of the free energy, the kinetic energy and what the
  thermostat holds (`ETOTAL`, `total`), without PV in an OUTCAR. VASP prints the sum for every thermostat; constant it
  is without one and with Nose's at a fixed target. Under Langevin's, Andersen's and others that add or take energy, or
  with TEEND unlike TEBEG, it is null.
* **Printed pressure.** `printed_pressure_gpa` is `external pressure` plus the `Pullay stress` of its line, which is
  PSTRESS: a third of the trace of the stress, and a check on it.
* **Virial.** virial = +stress x volume, in eV, positive trace when the melt pushes outward: VASP's sign, DeePMD's
  sign, the opposite of ASE's. The kinetic part of the ions is not in it, and `PSTRESS` is not subtracted.
* **ISIF.** With ISIF = 0 there is no stress; with ISIF = 1 VASP prints six components, but only their trace is valid:
  then there is a `virial_trace_ev` and no virial (null, never zero). That is no fault of the frame, and such a frame
  is trained on without a virial. No file of the reference set has ISIF = 1: what is promised here is the VASP guide's
  word that the line `external pressure`, which is a third of the trace minus `PSTRESS`, is right.
* **Convergence.** `converged`: the electronic loop ended before NELM. `unconverged`: VASP says so (since 6.2), or the
  loop ended at NELM with a change above EDIFF, although older versions print that EDIFF was reached.
  `converged_at_nelm`: it ended at NELM with a change below EDIFF. `suspect`: it ended at NELM and the file does not
  tell the last change or EDIFF (vasprun.xml prints a small EDIFF as 0). `unknown`: the file keeps no history.
  Unconverged and suspect frames stay on the time axis and are not trained on.
* **VASP's own force field.** Its frames are kept apart (`label_source = vasp_mlff`) and never trained on. An untrained
  force field gives exactly zero: flagged `energy_and_forces_zero`. A step without electronic iterations is no DFT.
* **NaN and asterisks.** A value that is used and is no number spoils its frame, which is flagged, and no other; in
  values that are not used (cpu time, random seed, spare columns) it means nothing. Columns that touch are separated at
  the minus sign.
* **Several POTCARs of one element** (Ti O Ti) keep the order of the file; the formula adds them up. Elements come from
  TITEL, VRHFIN or the POTCAR lines, without `_pv`, `_sv`, `_d`, `_GW`.
* **ENMAX** of a run is the largest of its POTCARs, and null unless the file tells that of each. A vasprun.xml does not:
  what it calls ENMAX is the cutoff in use.
* **NWRITE = 0.** Such an OUTCAR has positions and forces in its first and last step only; the other steps are counted
  as energies without positions, and the vasprun.xml of the run has them all.
* **Runs in one file.** OUTCARs that were joined become segments of one run; where counters of two processes mix, the
  file is refused. An ML_AB or extended XYZ file whose atoms change holds one run per sequence of atoms.
"""
_UNSEEN = """\
## What no reader can see

Small sound files of 18 kinds were damaged at random 133,300 times (about 60 % one byte changed, 20 % a run of NUL
bytes, 20 % a cut; mostly in lines that a reader looks at). Every frame that came out unflagged was the undamaged one,
but for these:

| format | bytes changed | not seen | why |
|---|---|---|---|
| OUTCAR | 21,713 | 145 (0.7 %) | a digit, sign or blank of a number became another one |
| vasprun.xml | 18,876 | 321 (1.7 %) | the same |
| ML_AB | 1,714 | 46 (2.7 %) | the same |
| XDATCAR | 5,168 | 533 (10 %) | the same: the file is hardly anything but numbers |
| LAMMPS dump | 1,703 | 199 (12 %) | the same |
| extended XYZ | 3,431 | 437 (13 %) | the same, and a last digit that became blank: columns have no fixed width |
| vaspout.h5 | 150 | about 60 % | plain doubles without checksums: every pattern of bits is a number |

* **A number that became another number.** None of the formats has a checksum. Fixed columns betray a lost decimal, a
  shifted column, a letter or a NUL, but not a 3 in place of an 8. The gate's rules catch what is physically absurd. A
  compressed file does have a checksum, and damage in it is told: compress what is to be kept.
* **Text that was taken out** so that one step's counter meets the tables of a later step: the frame is whole under a
  wrong number. NUL bytes, which is what file systems leave, are seen. vasprun.xml, ML_AB and foreign extended XYZ
  number no steps, so what follows a loss moves up; the run's notes say that something was lost.
* **A cut exactly between two frames** of an XDATCAR, extended XYZ or dump: they have no end mark.
* **A name that became another name**: an element in an XDATCAR, extended XYZ or ML_AB.

`meltlake raw verify` compares a raw file with the checksum that it had when it was read, and so sees all later damage.
"""


def document(reference: Path) -> str:
    """The whole page: formats, rules, and the verdict on every file of the reference set."""
    return "\n".join([formats_text(), _RULES, _UNSEEN, *_files(verdicts(reference))]) + "\n"


def formats_text() -> str:
    """The part of the page that needs no file: which formats are read, and where each quantity stands."""
    return "\n".join([_HEAD, *_formats(), *_matrix(), *_places(), *_settings()])


def _formats() -> Iterator[str]:
    yield "## Formats\n\n| format | files | a file that has grown is read | labels |\n|---|---|---|---|"
    yield from (f"| `{name}` | {' | '.join(_FORMATS[name])} |" for name in get_args(SourceFormat))
    yield ""


def _matrix() -> Iterator[str]:
    """Quantity by format: the first version that writes it."""
    yield "## What each format gives\n"
    yield (
        "The first version of VASP that writes it, as far as files have shown; `yes` where it is no file of VASP, "
        "empty where the format has no place for it. Steps that a file does not number are counted from 1, and what "
        "its frames are labelled with is then told by the settings and the electronic steps.\n"
    )
    yield f"| quantity | {' | '.join(f'`{name}`' for name in FIELDS)} |\n|---|{'---|' * len(FIELDS)}"
    for quantity in _quantities():
        cells = (_since(name, quantity) for name in FIELDS)
        yield f"| `{quantity}` | {' | '.join(cells)} |"
    yield ""


def _quantities() -> list[str]:
    """Our names, in the order in which the formats bring them up; what follows from the settings of a run is last."""
    ours = {field.name for kind in (RunHeader, FrameBatch) for field in dataclasses.fields(kind)} | {"complete"}
    named = dict.fromkeys(field.quantity for fields in FIELDS.values() for field in fields)
    return [*(name for name in named if name in ours and name not in _FROM_SETTINGS), *_FROM_SETTINGS]


def _since(name: SourceFormat, quantity: str) -> str:
    versions = [field.since for field in FIELDS[name] if field.quantity == quantity]
    if not versions:
        return _SETTINGS_SINCE.get(name, "") if quantity in _FROM_SETTINGS else ""
    return "yes" if versions[0] == "-" else min(versions, key=lambda version: [*map(int, version.split("."))])


def _places() -> Iterator[str]:
    for name, fields in FIELDS.items():
        yield f"### `{name}`\n\n| quantity | where in the file | since | note |\n|---|---|---|---|"
        settings = {*_SETTINGS.get(name, ())}
        yield from (f"| {' | '.join(_place(field))} |" for field in fields if field not in settings)
        yield ""


def _place(field: Field) -> tuple[str, str, str, str]:
    return f"`{field.quantity}`", f"`{field.where}`", field.since, field.note


def _settings() -> Iterator[str]:
    yield "### Settings of the run\n\nvaspout.h5 has them in `input/incar`, as the user wrote them.\n"
    yield "| setting | OUTCAR | vasprun.xml |\n|---|---|---|"
    names = dict.fromkeys(field.quantity for fields in _SETTINGS.values() for field in fields)
    for name in names:
        places = (
            ", ".join(f"`{field.where}`" for field in fields if field.quantity == name) for fields in _SETTINGS.values()
        )
        yield f"| `{name}` | {' | '.join(places)} |"
    yield ""


def _files(judged: list[Verdict]) -> Iterator[str]:
    yield f"## The reference set of {len(judged)} public files\n"
    yield (
        "Real output of VASP from public repositories, and damaged copies of it. Every number that the index of the "
        "set gives (frames, energies, sums of forces, volumes, virials, elements) is compared: `ok` means that all "
        "agree. A file that is no output of VASP, or holds no frame, has to be refused for that reason.\n"
    )
    yield from _counts(judged)
    yield "| file | format | VASP | case | DFT | ML | no labels | not converged | flagged | verdict |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for verdict in judged:
        flagged = f"{verdict.n_flagged} ({', '.join(verdict.faults)})" if verdict.n_flagged else ""
        numbers = (verdict.n_dft, verdict.n_machine_learned, verdict.n_without_labels, verdict.n_unconverged)
        words = (f"`{verdict.file}`", verdict.format, verdict.code_version, verdict.case)
        yield f"| {' | '.join([*words, *(str(n or '') for n in numbers), flagged, verdict.text])} |"


def _counts(judged: list[Verdict]) -> Iterator[str]:
    yield "| format | files | ok | refused with its reason | frames |\n|---|---|---|---|---|"
    for name, n_files in Counter(verdict.format for verdict in judged).items():
        ours = [verdict for verdict in judged if verdict.format == name]
        n_ok = sum(verdict.text == "ok" for verdict in ours)
        n_refused = sum(bool(verdict.refusal) and not verdict.wrong for verdict in ours)
        n_frames = sum(verdict.n_dft + verdict.n_machine_learned + verdict.n_without_labels for verdict in ours)
        yield f"| {name} | {n_files} | {n_ok} | {n_refused} | {n_frames} |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(document(REFERENCE))
