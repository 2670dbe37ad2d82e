"""Every table of the lake: its columns, key, partitions and meaning. One description yields schema, DDL and docs.

The unit of a column is its suffix; no suffix means dimensionless. Reading and writing tables belongs in `lake`.
"""

import hashlib

from schemas.tables.description import TEXTS, Column, Table
from schemas.tables.evaluation import CLOSEST_PAIRS, COMMITTEE_FRAMES, COMMITTEES, COVERAGE, MODEL_CARDS
from schemas.tables.experiments import EXPERIMENTAL_RDF, EXPERIMENTAL_STRUCTURE_FACTOR, EXPERIMENTS
from schemas.tables.melts import LOCAL_COMPOSITION, MIXING_ENTHALPY, STRUCTURE_FACTOR, THERMAL_EXPANSION
from schemas.tables.motion import MSD, STRESS_AUTOCORRELATION, TRANSPORT, VIBRATIONAL_DENSITY
from schemas.tables.observables import (
    AGREEMENT,
    OBSERVABLES_VERSION,
    PERFORMANCE,
    RDF,
    SHORT_RANGE_ORDER,
    THERMODYNAMICS,
    VACF,
)
from schemas.tables.runs import (
    CROSS_CHECKS,
    EXPECTATION_RESULTS,
    FRAMES,
    OVERRIDES,
    RAW_FILES,
    REPEATED_FRAMES,
    RUNS,
    TASK_FAILURES,
)
from schemas.tables.simulations import MODEL_DEVIATIONS, PRESSURE_TENSORS
from schemas.tables.training import (
    LEARNING_CURVES,
    NEIGHBOUR_MAXIMA,
    PARITY,
    POTENTIALS,
    RECIPES,
    RMSE,
    TRAINING_SET_FRAMES,
    TRAINING_SET_REQUESTS,
    TRAINING_SET_RUNS,
    TRAINING_SETS,
)

__all__ = ["FRAMES", "OBSERVABLES_VERSION", "SCHEMA_VERSION", "TABLES", "TEXTS", "Column", "Table", "fingerprint"]

SCHEMA_VERSION = 2
"""Rises with every change of a table; `docs/schema-history.md` says what changed."""

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        RUNS, FRAMES, EXPECTATION_RESULTS, OVERRIDES, TRAINING_SETS, TRAINING_SET_FRAMES, TRAINING_SET_RUNS,
        TRAINING_SET_REQUESTS, NEIGHBOUR_MAXIMA, RECIPES, POTENTIALS,
        LEARNING_CURVES, RMSE, PARITY, COMMITTEES, COMMITTEE_FRAMES, COVERAGE, CLOSEST_PAIRS, MODEL_CARDS,
        RDF, STRUCTURE_FACTOR, SHORT_RANGE_ORDER, LOCAL_COMPOSITION,
        VACF, VIBRATIONAL_DENSITY, MSD, STRESS_AUTOCORRELATION, TRANSPORT,
        THERMODYNAMICS, THERMAL_EXPANSION, MIXING_ENTHALPY, AGREEMENT, PERFORMANCE,
        MODEL_DEVIATIONS, PRESSURE_TENSORS,
        EXPERIMENTS, EXPERIMENTAL_RDF, EXPERIMENTAL_STRUCTURE_FACTOR,
        TASK_FAILURES, RAW_FILES, CROSS_CHECKS, REPEATED_FRAMES,
    )
}  # fmt: skip


def fingerprint() -> str:
    """Hash over every table's columns, types, key and partitions; a test pins it to `SCHEMA_VERSION`."""
    lines = [
        f"{table.name} {table.key} {table.partitions} {column.name} {column.type}"
        for table in TABLES.values()
        for column in table.columns
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
