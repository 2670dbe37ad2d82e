"""What the gate must know of a run beside its frames, from its reader or from its row in the lake."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from operators.gate.position_sample import PositionSample
from operators.physics.solidity import Displacement, FirstPeak
from schemas.elements import is_metal, symbols
from schemas.frames import UNPHYSICAL, RunHeader
from schemas.gate import Origin
from schemas.rows import Row, real_or_none, text, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """One run, without its frames; None where unknown."""

    origin: Origin
    n_atoms: int
    is_metallic: bool
    """Whether every element is a metal."""
    ensemble: str
    temperature_target_k: float | None
    ismear: int | None
    encut_ev: float | None
    enmax_ev: float | None
    functional: str | None
    goes_on: bool
    """Whether another run was equilibrated before it."""
    displacement: Displacement | None
    first_peak: FirstPeak | None
    is_physical: bool = True
    """Whether no guard stopped the simulation."""

    @property
    def solidity(self) -> dict[str, object]:
        """Columns of `runs`."""
        moved, peak = self.displacement, self.first_peak
        return {
            "msd_angstrom2": None if moved is None else moved.msd_angstrom2,
            "msd_lag_fs": None if moved is None else moved.lag_fs,
            "structure_factor_peak": None if peak is None else peak.height,
            "bragg_share": None if peak is None else peak.bragg_share,
        }


def facts_of_header(header: RunHeader, sample: PositionSample, *, goes_on: bool) -> RunFacts:
    """Of a run that was just read.

    Parameters
    ----------
    header
        What its file says of it.
    sample
        Some of its frames.
    goes_on
        Whether it is known to go on from another run.
    """
    theory = header.level_of_theory
    return RunFacts(
        origin=header.origin,
        n_atoms=header.n_atoms,
        is_metallic=_is_metallic(symbols(header.atomic_numbers)),
        ensemble=header.ensemble,
        temperature_target_k=header.temperature_target_k,
        ismear=theory.ismear,
        encut_ev=theory.encut_ev,
        enmax_ev=header.enmax_ev,
        functional=theory.functional,
        goes_on=goes_on or header.origin == "dnnp",  # a simulation leaves its own equilibration out of what it stores
        displacement=sample.displacement(),
        first_peak=sample.first_peak(),
        is_physical=_is_physical(header.outcome),
    )


def facts_of_row(row: Row, sample: PositionSample | None) -> RunFacts:
    """Of a run of the lake.

    Parameters
    ----------
    row
        Its row in `runs`.
    sample
        Some of its frames, where the row does not know yet how far its atoms go; None where it does.
    """
    n_atoms = whole(row, "n_atoms")
    ismear = row["ismear"]
    return RunFacts(
        origin="dnnp" if row["origin"] == "dnnp" else "aimd",
        n_atoms=n_atoms,
        is_metallic=_is_metallic(text(row, "chemical_system").split("-")),
        ensemble=text(row, "ensemble"),
        temperature_target_k=real_or_none(row, "temperature_target_k"),
        ismear=None if ismear is None else whole(row, "ismear"),
        encut_ev=real_or_none(row, "encut_ev"),
        enmax_ev=real_or_none(row, "enmax_ev"),
        functional=None if row["functional"] is None else text(row, "functional"),
        goes_on=row["origin"] == "dnnp" or row["continues_run_id"] is not None,
        displacement=_stored_displacement(row) if sample is None else sample.displacement(),
        first_peak=_stored_peak(row, n_atoms) if sample is None else sample.first_peak(),
        is_physical=_is_physical(row.get("outcome")),
    )


def _is_physical(outcome: object) -> bool:
    return not str(outcome).startswith(UNPHYSICAL)


def _stored_displacement(row: Mapping[str, object]) -> Displacement | None:
    msd, lag = real_or_none(row, "msd_angstrom2"), real_or_none(row, "msd_lag_fs")
    return None if msd is None or lag is None else Displacement(msd, lag)


def _stored_peak(row: Mapping[str, object], n_atoms: int) -> FirstPeak | None:
    height, share = real_or_none(row, "structure_factor_peak"), real_or_none(row, "bragg_share")
    if height is None or share is None:
        return None
    return FirstPeak(height=height, q_per_angstrom=np.nan, bragg_share=share, n_atoms=n_atoms)


def _is_metallic(elements: list[str]) -> bool:
    return all(is_metal(element) for element in elements)
