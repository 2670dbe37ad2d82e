"""A VASP run's header in our terms, and whether two runs may be read as one. Files do not belong here."""

import numpy as np
from numpy.typing import NDArray

from lake.readers.vasp_settings import VaspSettings, ensemble_of, temperature_ramp, temperature_target_k
from lake.readers.vasp_theory import level_of_theory
from schemas.frames import Ensemble, RunHeader


def run_header(settings: VaspSettings, source_format: str, atomic_numbers: NDArray[np.int8]) -> RunHeader:
    """The run's header in our terms.

    Parameters
    ----------
    source_format
        `outcar` or `vasprun`.
    atomic_numbers
        (n_atoms,), dimensionless.
    """
    ensemble = ensemble_of(settings)
    return RunHeader(
        source_format=source_format,
        atomic_numbers=atomic_numbers,
        ensemble=ensemble,
        code_version=settings.version,
        time_step_fs=settings.potim if settings.is_molecular_dynamics else None,
        temperature_target_k=temperature_target_k(settings, ensemble),
        external_pressure_target_kbar=settings.pstress or 0.0,
        enmax_ev=settings.enmax,
        nelm=settings.nelm,
        ediff_ev=settings.ediff,
        isif=settings.isif,
        level_of_theory=level_of_theory(settings),
        synthetic=settings.synthetic or settings.system.strip().lower().split(" ")[0] == "synthetic",
    )


def settings_notes(settings: VaspSettings, ensemble: Ensemble) -> list[str]:
    """Sentences about the settings that a person should know."""
    notes = []
    if settings.isif == 1:
        notes.append("Of the stress only the trace is valid (ISIF = 1): frames have a virial_trace_ev and no virial.")
    ramp = temperature_ramp(settings, ensemble)
    if ramp is not None:
        notes.append(
            f"The temperature goes from {ramp[0]:g} to {ramp[1]:g} K (TEBEG, TEEND), so the run has no single target."
        )
    return notes


def differing_settings(one: VaspSettings, other: VaspSettings) -> list[str]:
    """What keeps two runs from being one: each setting with its two values."""
    facts, other_facts = _settings_of_one_run(one), _settings_of_one_run(other)
    values = ((key, facts[key], other_facts[key]) for key in facts)
    return [f"{key} {_shown(first)} and {_shown(second)}" for key, first, second in values if first != second]


def _shown(value: object) -> str:
    return "default" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _settings_of_one_run(settings: VaspSettings) -> dict[str, object]:
    theory = level_of_theory(settings)
    return {
        **theory.parts,
        "POTCAR titles": ", ".join(theory.potcar_titles),
        "POTIM": settings.potim,
        "TEBEG": settings.tebeg,
        "TEEND": settings.teend,
        "PSTRESS": settings.pstress,
        "ISIF": settings.isif,
        "ensemble": ensemble_of(settings),
    }
