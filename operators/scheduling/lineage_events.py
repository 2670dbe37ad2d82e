"""What a command reads and writes, told to OpenLineage by Airflow's provider, where that is installed and configured.

Inputs and outputs are addresses: tables of the lake, folders, files. Which row came from which is `meltlake lineage`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lake.raw_store import full_address
from schemas.settings import Settings

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

_OF_RUNS = (
    "rdf", "structure_factor", "short_range_order", "local_composition", "vacf", "vibrational_density", "msd",
    "stress_autocorrelation", "transport", "thermodynamics", "thermal_expansion", "mixing_enthalpy", "agreement",
)  # fmt: skip
_OF_POTENTIALS = ("rmse", "parity", "committees", "committee_frames", "coverage", "model_cards")
_RUNS = ("frames", "runs")

READ_AND_WRITTEN: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ingest": ((), (*_RUNS, "raw_files", "expectation_results", "cross_checks", "repeated_frames")),
    "validate": (_RUNS, (*_RUNS, "expectation_results")),
    "observe --run": (_RUNS, _OF_RUNS),
    "observe --potential": (("potentials", "training_sets", *_RUNS), _OF_POTENTIALS),
    "materialize": (_RUNS, ("training_sets", "training_set_frames", "training_set_runs", "training_set_requests")),
    "train": (
        ("training_sets",),
        ("potentials", "learning_curves", "model_cards", "closest_pairs", "neighbour_maxima"),
    ),
    "simulate": (
        ("potentials", *_RUNS),
        (*_RUNS, "expectation_results", "performance", "model_deviations", "pressure_tensors"),
    ),
    "publish": (("frames", "runs", "potentials", *_OF_RUNS, *_OF_POTENTIALS), ("recipes", "experiments")),
    "report": ((), ()),
}
"""The tables of the lake that each command reads, and those that it may write."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Addresses that a command reads, and those that it writes."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def flow(arguments: Sequence[str], settings: Settings) -> Flow:
    """What the command that follows `meltlake` reads and writes; nothing of a command that is not known here.

    Parameters
    ----------
    arguments
        `["train", "2272c04e3166", "--recipe", "DP-2"]`.
    settings
        Where lake, warehouse and the rest are.
    """
    verb, *words = arguments
    name = f"{verb} {words[0]}" if verb == "observe" and words else verb
    reads, writes = READ_AND_WRITTEN.get(name, ((), ()))
    inputs = [f"{settings.lake}/{table}" for table in reads]
    outputs = [f"{settings.lake}/{table}" for table in writes]
    match verb:
        case "ingest":
            inputs += _before_options(words)
        case "train":
            inputs += [str(settings.artifacts / "training_sets" / name) for name in _before_options(words)]
            outputs.append(str(settings.artifacts / "potentials"))
        case "publish":
            outputs.append(settings.warehouse)
        case "report":
            inputs.append(settings.warehouse)
            outputs.append(str(settings.home / "report"))
    return Flow(tuple(map(full_address, inputs)), tuple(map(full_address, outputs)))


def operator_lineage(told: Flow) -> "OperatorLineage[Any, Any]":
    """The same in the words of Airflow's provider, which must be installed."""
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset

    return OperatorLineage(
        inputs=[InputDataset(*_named(address)) for address in told.inputs],
        outputs=[OutputDataset(*_named(address)) for address in told.outputs],
    )


def _before_options(words: Sequence[str]) -> list[str]:
    names = list(words)
    for place, word in enumerate(names):
        if word.startswith("--"):
            return names[:place]
    return names


def _named(address: str) -> tuple[str, str]:
    """Namespace and name, as OpenLineage's naming has them: of a file `file` and its path, of an object its bucket."""
    if "://" not in address:
        return "file", address
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}", parts.path.strip("/") or "/"
