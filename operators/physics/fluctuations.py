"""How energy and virial of a melt fluctuate together, which tells a virial of the wrong sign where the cell stays.

Pair repulsion dominates both at constant volume: where atoms come closer, the energy rises and the melt pushes outward
(Pedersen et al., Phys. Rev. Lett. 100, 015701 (2008)). That holds for metals; networks and molecules may do otherwise.
"""

from dataclasses import dataclass

import numpy as np

from operators.physics.correlation import FEWEST_INDEPENDENT, n_independent
from schemas.frames import Floats


@dataclass(frozen=True, slots=True)
class EnergyVirialCorrelation:
    """Pearson's coefficient of energy and trace of the virial, of their changes from frame to frame."""

    value: float
    """NaN where it cannot be told."""
    n_independent: float
    """Of the products of changes."""


def energy_virial_correlation(energy_ev: Floats, virial_trace_ev: Floats) -> EnergyVirialCorrelation:
    """Correlation of the changes of energy and virial between neighbouring frames of a run at constant volume.

    Changes are compared, not values: a slow relaxation, or a total energy that is conserved, says little about signs.

    Parameters
    ----------
    energy_ev
        (n_frames,), eV, evenly in time; what is not finite does not count.
    virial_trace_ev
        (n_frames,), eV.
    """
    energy_changes = np.diff(energy_ev)
    virial_changes = np.diff(virial_trace_ev)
    products = energy_changes * virial_changes
    known = np.isfinite(products)
    squares = np.sum(energy_changes[known] ** 2) * np.sum(virial_changes[known] ** 2)
    if not squares > 0:
        return EnergyVirialCorrelation(np.nan, 0.0)
    worth = float(np.nan_to_num(n_independent(products)))
    value = float(products[known].sum() / np.sqrt(squares)) if worth > FEWEST_INDEPENDENT else np.nan
    return EnergyVirialCorrelation(value, worth)
