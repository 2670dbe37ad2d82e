"""How LAMMPS is told of a potential, and how far that potential can be trusted. Finding its files is `simulate`'s."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from lake.readers.lammps_tables import DEVIATION_TABLE


@dataclass(frozen=True, slots=True)
class PairStyle:
    """A potential as the input of LAMMPS names it. Types of atoms are numbered in the order of the type map."""

    lines: tuple[str, ...]
    type_map: tuple[str, ...]
    r_cut_angstrom: float = 0.0
    neighbour_slots: Mapping[str, int] = field(default_factory=dict)
    """Neighbours of each element that the potential has room for; empty when it takes any number."""
    safe_distances_angstrom: Mapping[str, float] = field(default_factory=dict)
    """How close atoms came in training, by pair of elements, such as Al-Ni; empty when nobody knows."""
    model: str | None = None
    """The file that DeePMD can be asked by itself; None for a table, which only LAMMPS reads."""
    precision: str = "float64"
    force_rmse_ev_per_angstrom: float | None = None
    """At the end of its training; None where nobody knows."""
    trained_on: Collection[str] = ()
    """Runs."""

    @classmethod
    def deepmd(cls, models: Sequence[str], type_map: Sequence[str], *, steps_per_deviation: int = 0) -> Self:
        """DeePMD models: the first moves the atoms, the others only say now and then how far they disagree.

        Parameters
        ----------
        models
            Names of their files.
        type_map
            Elements of LAMMPS types 1, 2, ...
        steps_per_deviation
            Steps between two looks at all of them.
        """
        told = f" out_freq {steps_per_deviation} out_file {DEVIATION_TABLE}" if len(models) > 1 else ""
        lines = (
            f"pair_style      deepmd {' '.join(models)}{told}",
            f"pair_coeff      * * {' '.join(type_map)}",
        )
        return cls(lines, tuple(type_map), model=models[0])

    @classmethod
    def eam_alloy(cls, table: str, type_map: Sequence[str]) -> Self:
        """A tabulated embedded-atom potential in LAMMPS's `setfl` format, for reference runs."""
        lines = ("pair_style      eam/alloy", f"pair_coeff      * * {table} {' '.join(type_map)}")
        return cls(lines, tuple(type_map))
