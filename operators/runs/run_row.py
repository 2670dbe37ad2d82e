"""The row of `runs` that a reading of its files comes to. Storing it is `storing`'s."""

from datetime import UTC, datetime

from lake.known_runs import READER_VERSION, file_facts
from operators.runs.reading import ReadRun
from schemas.columns import n_rows
from schemas.composition import chemical_system, composition, element_counts
from schemas.frames import RunHeader
from schemas.rows import Row
from schemas.units import GPA_PER_KBAR


def run_row(read: ReadRun) -> Row:
    """All of a row that its files tell; its name, verdict and place in a chain are not in it."""
    header, outcome = read.header, read.outcome
    counts = element_counts(header.atomic_numbers)
    is_simulation = header.origin == "dnnp"
    return {
        "origin": header.origin,
        "source_uri": read.uri,
        **file_facts(header.source_format, read.fingerprint),
        "composition": composition(counts),
        "formula": read.formula,
        "chemical_system": chemical_system(counts),
        "n_atoms": header.n_atoms,
        "n_frames": n_rows(read.checks),
        "ensemble": header.ensemble,
        "temperature_target_k": header.temperature_target_k,
        "pressure_target_gpa": (
            header.external_pressure_target_kbar * GPA_PER_KBAR if header.ensemble == "npt" else None
        ),
        "time_step_fs": header.time_step_fs,
        **_theory_columns(header),
        "vasp_version": None if is_simulation else header.code_version,
        "lammps_version": header.code_version if is_simulation else None,
        "n_energy_only": outcome.n_energy_only,
        "n_incomplete": outcome.n_incomplete,
        "n_stored_elsewhere": 0,
        "trajectory_id": None,
        "continues_run_id": None,
        "trajectory_start_fs": None if header.time_step_fs is None else 0.0,
        "complete": outcome.complete,
        "synthetic": header.synthetic,
        "potential_id": header.potential_id,
        "protocol": header.protocol,
        "parent_run_id": header.parent_run_id,
        "outcome": header.outcome,
        "reader_version": READER_VERSION,
        "ingested_at": datetime.now(UTC).replace(tzinfo=None),
    }


def _theory_columns(header: RunHeader) -> Row:
    theory = header.level_of_theory
    return {
        "level_of_theory": theory.label,
        "functional": theory.functional,
        "encut_ev": theory.encut_ev,
        "enmax_ev": header.enmax_ev,
        "k_points": theory.k_points,
        "ismear": theory.ismear,
        "sigma_ev": theory.sigma_ev,
        "ispin": theory.ispin,
        "vdw": theory.vdw,
        "machine_learned": theory.machine_learned,
        "potcar_titles": list(theory.potcar_titles),
    }
