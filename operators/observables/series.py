"""Rows that take several runs of one melt: `thermal_expansion` and `mixing_enthalpy`. Which runs, `melts` says."""

import numpy as np

from operators.observables.findings import Row
from operators.observables.melts import Melts, Observed
from operators.physics.enthalpy import Enthalpy, enthalpy_of_mixing
from operators.physics.thermal_expansion import DensityPoint, thermal_expansion
from schemas.composition import formula_counts
from schemas.errors import MeltlakeError
from schemas.ids import content_id
from schemas.rows import real, real_or_none
from schemas.units import MEV_PER_EV

_OF_A_LINE = (
    *("reference_k", "density_g_per_cm3", "density_error_g_per_cm3", "slope_g_per_cm3_per_k"),
    *("slope_error_g_per_cm3_per_k", "expansion_per_k", "expansion_error_per_k", "scatter", "from_k", "until_k"),
)
"""Of a line through densities, as columns of `thermal_expansion`."""


def series_id(one: Observed) -> str:
    """Name of the series of densities that a run at constant pressure belongs to."""
    run = one.run
    source = (
        [run["potential_id"]]
        if run["origin"] == "dnnp"
        else [run["level_of_theory"], bool(run["synthetic"]), sorted(run["potcar_titles"] or ())]
    )
    return content_id([run["composition"], run["origin"], source, round(run["pressure_target_gpa"], 6)])


def thermal_expansion_row(melts: Melts) -> Row:
    """The row of the series that the own run belongs to, with a reason where runs lack."""
    own = melts.own.run
    runs = [one for one in melts.at_all_temperatures() if _tells_density(one)]
    row: Row = {
        "composition": own["composition"],
        "origin": own["origin"],
        "potential_id": own["potential_id"],
        "level_of_theory": own["level_of_theory"] if own["origin"] == "aimd" else None,
        "synthetic": own["synthetic"],
        "pressure_gpa": own["pressure_target_gpa"],
        "n_points": len(runs),
        "run_ids": sorted(one.run_id for one in runs),
    }
    points = [_density_point(one) for one in sorted(runs, key=lambda one: one.run_id)]
    try:
        line = thermal_expansion(points, reference_k=_centre_k(points))
    except MeltlakeError as reason:
        return row | {"reason": reason.problem}
    return row | {name: getattr(line, name) for name in _OF_A_LINE}


def mixing_enthalpy_row(melts: Melts, alloy: Observed) -> Row:
    """The row of an alloy, with a reason where a pure liquid lacks or cannot be compared."""
    pure = melts.pure(alloy)
    row: Row = {
        "composition": alloy.run["composition"],
        "temperature_k": alloy.means["temperature_k"],
        "pressure_gpa": alloy.run["pressure_target_gpa"],
        "pure_run_ids": [pure[element].run_id for element in sorted(pure)],
    }
    if not melts.is_liquid(alloy):
        return row | {"reason": "Enthalpy of mixing: needed a melt, found what the gate takes for a solid."}
    try:
        mixing = enthalpy_of_mixing(_enthalpy(alloy), {element: _enthalpy(one) for element, one in pure.items()})
    except MeltlakeError as reason:
        return row | {"reason": reason.problem}
    return row | {
        "mixing_enthalpy_mev_per_atom": mixing.enthalpy_ev_per_atom * MEV_PER_EV,
        "mixing_enthalpy_error_mev_per_atom": mixing.error_ev_per_atom * MEV_PER_EV,
    }


def _density_point(one: Observed) -> DensityPoint:
    return DensityPoint(
        temperature_k=real(one.means, "temperature_k"),
        density_g_per_cm3=real(one.means, "density_g_per_cm3"),
        error_g_per_cm3=real(one.means, "density_error_g_per_cm3", if_null=np.nan),
    )


def _tells_density(one: Observed) -> bool:
    return one.means["temperature_k"] is not None and one.means["density_g_per_cm3"] is not None


def _centre_k(points: list[DensityPoint]) -> float:
    """Mean temperature with the weights of the fit: there, density and slope have independent errors."""
    temperatures = np.array([point.temperature_k for point in points])
    errors = np.array([point.error_g_per_cm3 for point in points])
    if not len(points):
        return np.nan
    return float(np.average(temperatures, weights=errors**-2 if np.all(errors > 0) else None))


def _enthalpy(one: Observed) -> Enthalpy:
    """As it was stored.

    Raises
    ------
    MeltlakeError
        If the run does not tell it.
    """
    value = real_or_none(one.means, "enthalpy_ev_per_atom")
    temperature = real_or_none(one.means, "temperature_k")
    if value is None or temperature is None:
        raise MeltlakeError(
            f"Enthalpy of run {one.run_id}: needed accepted frames with energy and temperature, found none.",
            "Use a molecular dynamics run whose files tell its temperature.",
        )
    return Enthalpy(
        counts=formula_counts(str(one.run["formula"])),
        temperature_k=temperature,
        pressure_gpa=real(one.means, "enthalpy_pressure_gpa"),
        enthalpy_ev_per_atom=value,
        error_ev_per_atom=real(one.means, "enthalpy_error_ev_per_atom", if_null=np.nan),
    )
