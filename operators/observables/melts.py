"""Runs of one melt put together: replicas for a viscosity, temperatures for an expansion, pure liquids for mixing.

What belongs together has one potential, or one level of theory. A run that the gate does not take for a melt has no
part in it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lake.delta import Lake
from operators.potentials.comparable import comparable_groups

Row = Mapping[str, Any]

_LIQUID_RULES = ("melt_diffuses", "melt_disordered")
_SAME_PRESSURE_GPA = 1e-6
_OF_REPLICAS = ("formula", "ensemble", "temperature_target_k", "synthetic")
_DIGITS = 6
"""Of a density: replicas have one cell."""
_AT_CONSTANT_VOLUME = ("nve", "nvt")


@dataclass(frozen=True, slots=True)
class Observed:
    """A run with its means."""

    run: Row
    """Its row of `runs`."""
    means: Row
    """Its row of `thermodynamics`."""

    @property
    def run_id(self) -> str:
        return str(self.run["run_id"])

    @property
    def elements(self) -> frozenset[str]:
        return frozenset(str(self.run["chemical_system"]).split("-"))

    @property
    def is_at_constant_pressure(self) -> bool:
        return self.run["ensemble"] == "npt" and self.run["pressure_target_gpa"] is not None


class Melts:
    """Every observed melt of the lake, with one run as it has just been observed.

    Parameters
    ----------
    lake
        Where the others are.
    run, means
        Rows of `runs` and `thermodynamics` of that run.
    """

    def __init__(self, lake: Lake, run: Row, means: Row) -> None:
        self._solid = _solid_runs(lake)
        self.own = Observed(run, means)
        rows = {row["run_id"]: row for row in lake.rows("thermodynamics").to_pylist()}
        rows[run["run_id"]] = means
        self._observed = [
            Observed(row, rows[row["run_id"]])
            for row in lake.rows("runs").to_pylist()
            if row["run_id"] in rows and rows[row["run_id"]]["n_averaged"]
        ]

    def replicas(self) -> list[Observed]:
        """Melts at constant volume that differ in nothing but chance; the own run among them if it is one."""
        same = (one for one in self._alike(self._observed) if _are_replicas(self.own, one))
        return [one for one in same if self.is_liquid(one)]

    def at_all_temperatures(self) -> list[Observed]:
        """Runs of the same composition at the same constant pressure; the own one among them."""
        same = (one for one in self._observed if one.run["composition"] == self.own.run["composition"])
        return [one for one in self._alike(same) if self._share_pressure(one) and self.is_liquid(one)]

    def pure(self, alloy: Observed) -> dict[str, Observed]:
        """Of each element of an alloy, the pure liquid at its pressure that is nearest in temperature."""
        found: dict[str, Observed] = {}
        for one in self._alike(self._observed):
            [element] = one.elements if len(one.elements) == 1 else [""]
            if element not in alloy.elements or not (self._share_pressure(one) and self.is_liquid(one)):
                continue
            if element not in found or _apart_k(alloy, one) < _apart_k(alloy, found[element]):
                found[element] = one
        return found

    def alloys(self) -> list[Observed]:
        """The own run, if it is of an alloy; of a pure liquid, alloys at its pressure that have the element."""
        if len(self.own.elements) > 1:
            return [self.own] if self.own.is_at_constant_pressure and self.own.means["n_averaged"] else []
        return [
            one for one in self._alike(self._observed) if self._share_pressure(one) and self.own.elements < one.elements
        ]

    def is_liquid(self, one: Observed) -> bool:
        """Whether the gate has nothing against it."""
        return one.run_id not in self._solid

    def _alike(self, observed: Sequence[Observed] | Iterator[Observed]) -> Iterator[Observed]:
        """Those of the own potential or level of theory."""
        own = self.own.run
        for one in observed:
            if one.run["origin"] == own["origin"] and (
                one.run["potential_id"] == own["potential_id"]
                if own["origin"] == "dnnp"
                else one.run_id == self.own.run_id or len(comparable_groups([own, one.run])) == 1
            ):
                yield one

    def _share_pressure(self, one: Observed) -> bool:
        if not (one.is_at_constant_pressure and self.own.is_at_constant_pressure):
            return False
        apart = one.run["pressure_target_gpa"] - self.own.run["pressure_target_gpa"]
        return bool(abs(apart) < _SAME_PRESSURE_GPA)


def _solid_runs(lake: Lake) -> frozenset[str]:
    """Runs that the gate does not take for melts."""
    rows = lake.rows("expectation_results", columns=["run_id", "expectation", "success"]).to_pylist()
    return frozenset(row["run_id"] for row in rows if row["expectation"] in _LIQUID_RULES and row["success"] is False)


def _are_replicas(own: Observed, one: Observed) -> bool:
    """Whether two runs are of one protocol and one cell; what differs is their start."""
    if one.run_id == own.run_id:
        return True
    alike = all(one.run[name] == own.run[name] is not None for name in _OF_REPLICAS)
    densities = [observed.means["density_g_per_cm3"] for observed in (own, one)]
    same_cell = None not in densities and round(densities[0], _DIGITS) == round(densities[1], _DIGITS)
    return alike and same_cell and own.run["ensemble"] in _AT_CONSTANT_VOLUME


def _apart_k(one: Observed, other: Observed) -> tuple[float, str]:
    temperatures = [observed.means["temperature_k"] for observed in (one, other)]
    apart = float("inf") if None in temperatures else abs(temperatures[0] - temperatures[1])
    return apart, other.run_id
