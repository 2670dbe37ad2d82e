"""How much a melt gives way to pressure, from how its volume fluctuates at constant pressure.

    kappa_T = <(V - <V>)^2> / (k_B T <V>)

in the isothermal-isobaric ensemble (Allen and Tildesley, Computer Simulation of Liquids). A barostat that only drives
the volume to its mean, as Berendsen's does, samples another ensemble and fluctuates less.
"""

from dataclasses import dataclass

import numpy as np

from operators.physics.cells import volumes_angstrom3
from operators.physics.correlation import FEWEST_INDEPENDENT, n_independent
from operators.physics.thermodynamics import mean_over_run, mean_temperature_k
from schemas.frames import Trajectory
from schemas.units import BOLTZMANN_EV_PER_K, GPA_PER_EV_PER_ANGSTROM3

SHORTEST_FS = 1e4
"""Ten periods of a barostat. The volume of a run that is shorter may remember more than the run can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressibility:
    """Isothermal compressibility and its standard error; NaN where a run does not tell it."""

    compressibility_per_gpa: float
    compressibility_error_per_gpa: float


def compressibility(frames: Trajectory) -> Compressibility:
    """Of a run at constant pressure; NaN for one whose volume does not fluctuate, or whose temperature is not known.

    The volume has to be worth more than three independent values, or it is drifting; an error takes 10 ps beside that.
    """
    with np.errstate(all="ignore"):  # a rejected frame may have a cell without a volume
        volumes = volumes_angstrom3(frames.cell_angstrom)
    mean, _ = mean_over_run(frames, volumes)
    square, error = mean_over_run(frames, np.square(volumes - mean))
    n_worth = n_independent(np.where(frames.averaged, volumes, np.nan))
    if not (square > 0 and n_worth > FEWEST_INDEPENDENT):
        return Compressibility(compressibility_per_gpa=np.nan, compressibility_error_per_gpa=np.nan)
    # About their own mean, volumes scatter by less than about the true one.
    per_square = n_worth / (n_worth - 1) / (BOLTZMANN_EV_PER_K * mean_temperature_k(frames) * mean)
    per_square /= GPA_PER_EV_PER_ANGSTROM3
    return Compressibility(
        compressibility_per_gpa=square * per_square,
        compressibility_error_per_gpa=max(error, _least_error(square, n_worth)) * per_square
        if frames.averaged_fs >= SHORTEST_FS * (1 - 1e-9)
        else np.nan,
    )


def _least_error(square: float, n_independent: float) -> float:
    """Of a mean square, from how many independent values its series is worth, not from its own scatter.

    Squares forget twice as fast as the values, so that a true mean square s scatters by s / sqrt(n - 1). One that came
    out too small shows too little scatter, too: the error is that of the s which would have come out as small.
    """
    share = 1 / np.sqrt(n_independent - 1)
    return float(square * share / (1 - share))
