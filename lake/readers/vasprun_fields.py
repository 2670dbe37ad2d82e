"""What a vasprun.xml holds of each frame, and in which element. How it is read is in `vasprun_frames`."""

from lake.readers.fields import Field

CALCULATION = b"<calculation>"
CALCULATION_END = b"</calculation>"
STRUCTURE = b"<structure>"  # the first and last structure of the file carry a name and are not frames
SCF_STEP = b"<scstep>"
SCF_STEP_END = b"</scstep>"
ENERGY = b"<energy>"
ENERGY_END = b"</energy>"
BASIS, POSITIONS, FORCES, STRESS = b"basis", b"positions", b"forces", b"stress"
FREE_ENERGY, WITHOUT_ENTROPY, SIGMA0, KINETIC = "e_fr_energy", "e_wo_entrp", "e_0_energy", "kinetic"
CONSERVED_ENERGY = "total"
END = b"</modeling>"


def _field(quantity: str, tag: bytes, name: bytes | str = b"", since: str = "4.6", note: str = "") -> Field:
    label = name.decode("ascii") if isinstance(name, bytes) else name
    path = "calculation" if tag == CALCULATION else f"calculation/{tag.strip(b'</>').decode('ascii')}"
    return Field(quantity, f"{path}/{label}" if label else path, since, note)


FRAME_FIELDS: tuple[Field, ...] = (
    Field("code_version", "generator/version", note="may hold characters that XML forbids"),
    Field("atomic_numbers", "atominfo/atoms", note="the POTCAR title of the type is right where VASP wrote `r` for Zr"),
    _field("ionic_step", CALCULATION, note="counted; steps of a force field stand outside of it"),
    _field("cell_angstrom", STRUCTURE, BASIS),
    _field("positions_angstrom", STRUCTURE, POSITIONS, note="fractional in the file"),
    _field("forces_ev_per_angstrom", CALCULATION, FORCES),
    _field("virial_ev", CALCULATION, STRESS, note="kbar, times the volume; none with ISIF = 0 or 1"),
    _field("virial_trace_ev", CALCULATION, STRESS, note="the same diagonal; none with ISIF = 0"),
    _field("energy_ev", ENERGY, FREE_ENERGY, note="the last `energy` of the step; with PSTRESS it may be the enthalpy"),
    _field("energy_sigma0_ev", ENERGY, SIGMA0, "6", "VASP 4 and 5 wrote it as e_wo_entrp"),
    _field("energy_without_entropy_ev", ENERGY, WITHOUT_ENTROPY, "6", "from e_fr_energy - e_0_energy in VASP 4 and 5"),
    _field("temperature_k", ENERGY, KINETIC, note="as 2 Ekin / (n kB); molecular dynamics only"),
    _field("conserved_energy_ev", ENERGY, CONSERVED_ENERGY, note="without thermostat or with Nose's; others have none"),
    _field("scf_steps", SCF_STEP, note="counted; none means that this is no ab initio result"),
    _field("scf_verdict", SCF_STEP, ENERGY.strip(b"<>"), note="the last change, where the loop ended at NELM"),
    _field("label_source", CALCULATION, since="6.3", note="a step outside of it is a force field's"),
    Field("complete", END.strip(b"</>").decode("ascii"), note="its end; absent in the file of a killed run"),
)
