"""Views of the warehouse that answer the paper's questions, as DuckDB SQL with what each one tells.

A view may use the ones above it. Every view is valid over empty tables. Synthetic and real rows never meet in one row.
"""

from schemas.views.attribution import ATTRIBUTION
from schemas.views.beside_aimd import AIMD_PARTNERS, DENSITIES_BESIDE_AIMD, MOTION_BESIDE_AIMD
from schemas.views.comparisons import CURVE_AGREEMENT, RDF_COMPARISON, RUN_PAIRS, VACF_COMPARISON
from schemas.views.compositions import (
    COMPOSITION_DISTANCES,
    COMPOSITION_ELEMENTS,
    COMPOSITION_MAP,
    COMPOSITION_PLACES,
    TRAINING_SET_PLACES,
)
from schemas.views.description import View
from schemas.views.experiments import DENSITY_VS_EXPERIMENT, EXPERIMENTAL_RDF_AT_RUNS, RDF_VS_EXPERIMENT
from schemas.views.leakage import LEAKAGE
from schemas.views.lineage import LINEAGE
from schemas.views.maps import MAP_POINTS
from schemas.views.measurements import AMBIENT_RUNS, EXPERIMENT_LINES, EXPERIMENTS_AT_RUNS, MEASUREMENTS_AT_RUNS
from schemas.views.potentials import (
    ERROR_AGAINST_DEVIATION,
    PARITY_PLOT,
    TABLE_1,
    TRAINED_POTENTIALS,
    VIRIALS_WORTH,
)
from schemas.views.quarantine import QUARANTINE
from schemas.views.selection import POTENTIAL_CHOICE, RECIPE_COMPARISON, RECIPE_ERRORS
from schemas.views.transferability import LEAVE_ONE_OUT, LEAVE_ONE_OUT_SETS, TRANSFERABILITY, UNTRAINED_FRAMES

__all__ = ["VIEWS", "View"]

VIEWS: tuple[View, ...] = (
    QUARANTINE,
    TRAINED_POTENTIALS,
    COMPOSITION_ELEMENTS,
    COMPOSITION_DISTANCES,
    COMPOSITION_PLACES,
    TRAINING_SET_PLACES,
    LEAVE_ONE_OUT_SETS,
    COMPOSITION_MAP,
    TABLE_1,
    VIRIALS_WORTH,
    PARITY_PLOT,
    RUN_PAIRS,
    CURVE_AGREEMENT,
    MEASUREMENTS_AT_RUNS,
    AMBIENT_RUNS,
    EXPERIMENTS_AT_RUNS,
    EXPERIMENT_LINES,
    EXPERIMENTAL_RDF_AT_RUNS,
    RDF_VS_EXPERIMENT,
    RDF_COMPARISON,
    VACF_COMPARISON,
    DENSITY_VS_EXPERIMENT,
    AIMD_PARTNERS,
    DENSITIES_BESIDE_AIMD,
    MOTION_BESIDE_AIMD,
    ATTRIBUTION,
    TRANSFERABILITY,
    LEAVE_ONE_OUT,
    MAP_POINTS,
    LEAKAGE,
    ERROR_AGAINST_DEVIATION,
    UNTRAINED_FRAMES,
    RECIPE_ERRORS,
    RECIPE_COMPARISON,
    POTENTIAL_CHOICE,
    LINEAGE,
)
"""In the order in which they can be created."""
