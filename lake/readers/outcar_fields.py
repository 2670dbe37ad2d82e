"""What an OUTCAR holds of each frame, and behind which text. How it is read is in `outcar_frames`."""

from lake.readers.fields import Field

# A token that ends in a blank or a digit is found several times slower: most of the text is that.
COUNTER = b"- Iteration"
TABLE = b"POSITION                                       TOTAL-FORCE (eV/Angst)"
MACHINE_LEARNED = b" (ML)"
LATTICE = b"direct lattice vectors"
STRESS = b"  in kB  "
PRESSURE = b"external pressure ="
PULLAY_STRESS = b"Pullay stress ="
THERMOSTAT = b"EKIN_LAT="
CONSERVED_ENERGY = b"total energy   ETOTAL ="
SCF_END = b"---- aborting loop"
ITERATION_END = b"eigenvalue-minimisations  :"
ENERGY_CHANGE = b"total energy-change (2. order) :"
# The SCF lines read "free energy    TOTEN"; only the ionic one has two blanks after "free".
ENERGY = b"free  energy   TOTEN  ="
ML_ENERGY = b"free  energy ML TOTEN  ="
SIGMA0 = b"energy(sigma->0) ="
WITHOUT_ENTROPY = b"energy  without entropy="
VERSION_LINE = b" vasp."
"""How the first line of every OUTCAR begins."""
TYPES_LINE = b"ions per type ="
ENMAX = b"ENMAX  ="
FOOTER = b"General timing and accounting"


def _field(quantity: str, token: bytes, since: str = "4.6", note: str = "") -> Field:
    return Field(quantity, token.decode("latin-1").strip(), since, note)


FRAME_FIELDS: tuple[Field, ...] = (
    _field("code_version", VERSION_LINE, note="the first line"),
    _field("atomic_numbers", TYPES_LINE, note="with TITEL, VRHFIN or POTCAR; VASP 6.3.0 prints ten types at most"),
    _field("ionic_step", COUNTER, note="four, later six columns wide; a force field's steps have none"),
    _field("positions_angstrom", TABLE, note="the left half; first and last step only with NWRITE = 0"),
    _field("forces_ev_per_angstrom", TABLE, note="the right half; with vdW-DF three more columns follow"),
    _field("cell_angstrom", LATTICE, note="the last one before the table; columns may touch"),
    _field("energy_ev", ENERGY, note="before the stress and the table up to 5.2.2"),
    _field("energy_sigma0_ev", SIGMA0),
    _field("energy_without_entropy_ev", WITHOUT_ENTROPY),
    _field("virial_ev", STRESS, note="XX YY ZZ XY YZ ZX, kbar, times the volume; none with ISIF = 0 or 1"),
    _field("virial_trace_ev", STRESS, note="XX + YY + ZZ, times the volume; none with ISIF = 0"),
    _field("temperature_k", THERMOSTAT, note="in brackets on the same line; molecular dynamics only"),
    _field("conserved_energy_ev", CONSERVED_ENERGY, note="without thermostat or with Nose's; others conserve nothing"),
    _field("printed_pressure_kbar", PRESSURE, note="plus the `Pullay stress` of the line, which is PSTRESS"),
    _field(
        "enmax_ev", ENMAX, note="before `; ENMIN`, the largest; VASP prints it once per POTCAR entry, or not at all"
    ),
    _field("scf_steps", COUNTER, note="the second number, of the last line before the table"),
    _field("scf_verdict", SCF_END, note="before 6.2 it says `reached` at NELM too, where only the last change counts"),
    _field("scf_verdict", ENERGY_CHANGE, note="the last change, compared with EDIFF where the loop ended at NELM"),
    _field("label_source", MACHINE_LEARNED, "6.3", "behind the title of the table of a force field's step"),
    _field("energy_ev", ML_ENERGY, "6.3", "of a force field's step"),
    _field("complete", FOOTER, note="a run that was stopped in good order may lack it"),
)
