"""The model card of a potential: what it was made of, how, how well it does, how far it can be trusted.

One description: the JSON beside the model file, that in the warehouse and the table in `docs/potentials.md` follow from
it. Filling it in belongs in `operators.potentials.card`.
"""

import sys
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field

CARD_VERSION = 1
"""Rises when a field of the card changes its name or its meaning."""
FILE_NAME = "model_card.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


def _told(meaning: str) -> Any:
    return Field(description=meaning)


class TrainingRun(_Part):
    """A run that frames came from."""

    run_id: str = _told("name of the run in the lake")
    composition: str = _told("whole at.%")
    source_sha256: str | None = _told("checksum of the file that its frames came from")
    temperature_k: float | None = _told("mean over the frames used; null where the run has no temperature")
    n_train: int = _told("frames trained on")
    n_test: int = _told("frames set aside")
    n_held_out: int = _told("frames of a composition that is not trained on")


class TrainingData(_Part):
    """What was learnt."""

    training_set_id: str = _told("hash of its frames, labels and split")
    lake_version: int | None = _told("version of the lake's frames that it is pinned to")
    level_of_theory: str | None = _told("functional, cutoff and the rest, common to all runs")
    compositions: list[str] = _told("compositions trained on")
    held_out: list[str] = _told("compositions only evaluated")
    split_rule: str | None = _told("blocks or random")
    min_gap_fs: float | None = _told("smallest time between a training and a test frame of one run")
    temperature_range_k: tuple[float, float] | None = _told("lowest and highest mean temperature of a run trained on")
    n_train: int = _told("frames trained on")
    n_test: int = _told("frames set aside")
    n_held_out: int = _told("frames of held-out compositions")
    runs: list[TrainingRun] = _told("where the frames came from")


class ModelFile(_Part):
    """The file itself."""

    name: str = _told("its name in the potential's folder")
    sha256: str = _told("its checksum")
    backend: str = _told("which of DeePMD's backends reads it")
    compressed: bool = _told("whether it is the compressed form")
    compression_differences: dict[str, float] | None = _told(
        "largest differences on frames of the training set: of the compressed form from the checkpoint, and of the "
        "frozen form (`freezing_*`)"
    )


class Neighbours(_Part):
    """How much room the model has."""

    type_map: list[str] = _told("elements, in the order of their types")
    r_cut_angstrom: float | None = _told("cutoff radius")
    max_neighbours: list[int] = _told("largest neighbour counts in the training set, by type")
    sel: list[int] = _told("neighbour slots, by type; a simulation with more neighbours is wrong")
    sel_margin: list[float | None] = _told("slots over the largest count, by type; null where there was no neighbour")


class Training(_Part):
    """How it was learnt."""

    recipe: dict[str, Any] = _told("hyperparameters, by the names of schemas/recipes.py")
    seed: int = _told("of descriptor, fitting and training")
    n_steps: int | None = _told("training steps done")
    init_from: str | None = _told("the potential that training began from; null from scratch")
    wall_seconds: float | None = _told("time spent in training, over all restarts")
    n_restarts: int | None = _told("times it was resumed")
    hardware: str | None = _told("where it was trained")
    software: dict[str, str] = _told("versions of what trained it")
    created_at: str | None = _told("UTC")


class SafeDistance(_Part):
    """How close two atoms may come."""

    pair: str = _told("elements, such as Al-Ni; a pair that is missing never came within 5 Angstrom")
    min_distance_angstrom: float = _told("smallest distance in any frame that was trained on")
    run_id: str = _told("run of that frame")
    frame: int = _told("that frame in its run")


class Accuracy(_Part):
    """Errors on one composition and split."""

    composition: str = _told("the composition, or `all` for the pool of a split")
    split: str = _told("train, test or held_out")
    n_frames: int = _told("frames evaluated")
    rmse_energy_mev_per_atom: float | None = _told("pooled over frames")
    rmse_force_mev_per_angstrom: float | None = _told("pooled over all components")
    rmse_virial_mev_per_atom: float | None = _told("pooled over nine components; null without virials")
    bias_energy_mev_per_atom: float | None = _told("mean of potential minus DFT")
    bias_force_mev_per_angstrom: float | None = _told("mean of potential minus DFT")
    bias_virial_mev_per_atom: float | None = _told("the same of a third of the trace")
    max_energy_mev_per_atom: float | None = _told("largest difference of any frame")
    max_force_mev_per_angstrom: float | None = _told("largest difference of any component")
    max_virial_mev_per_atom: float | None = _told("largest difference of any component")


class Disagreement(_Part):
    """What the committee says on one composition and split."""

    composition: str = _told("the composition, or `all` for the pool of a split")
    split: str = _told("train, test or held_out")
    n_frames: int = _told("frames evaluated")
    deviation_force_mev_per_angstrom: float | None = _told("standard deviation over the seeds, pooled")
    error_force_mev_per_angstrom: float | None = _told("true RMSE over the seeds, pooled")
    force_error_over_deviation: float | None = _told("the second over the first")
    force_correlation: float | None = _told("of the frames' deviations and errors")
    within_2_deviations_frac: float | None = _told("share of frames whose error is at most two deviations")
    within_3_deviations_frac: float | None = _told("share of frames whose error is at most three deviations")
    deviations_for_95_percent: float | None = _told("95 % of frames have an error of at most so many deviations")


class CommitteePart(_Part):
    """The potentials that differ from this one in nothing but their seed."""

    committee_id: str = _told("hash of what they share")
    potential_ids: list[str] = _told("all of them, in the order of their seeds")
    calibration: list[Disagreement] = _told("what their disagreement is worth")


class ModelCard(_Part):
    """All that a user of a potential should know."""

    card_version: int = _told("of these fields")
    potential_id: str = _told("hash of recipe, training set, seed, steps and backend")
    synthetic: bool = _told("learnt from synthetic frames: not for science")
    model: ModelFile
    data: TrainingData
    training: Training
    neighbours: Neighbours
    safe_distances: list[SafeDistance] = _told("how close two atoms came in training")
    accuracy: list[Accuracy] = _told("errors by composition and split; empty until the potential was observed")
    committee: CommitteePart | None = _told("null without a potential of another seed")

    @property
    def observed(self) -> bool:
        """Whether its errors are known."""
        return bool(self.accuracy)


def card_fields() -> str:
    """Every field of the card with its meaning, as a Markdown table."""
    return "\n".join(["| field | type | meaning |", "|---|---|---|", *_rows(ModelCard, "")]) + "\n"


def _rows(part: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in part.model_fields.items():
        inner = _inner(field.annotation)
        is_list = "list[" in str(field.annotation)
        path = f"{prefix}{name}{'[]' if is_list and inner else ''}"
        meaning = field.description or (inner.__doc__ if inner else "")
        yield f"| `{path}` | {_type_name(field.annotation, inner)} | {meaning} |"
        if inner:
            yield from _rows(inner, f"{path}.")


def _inner(annotation: Any) -> type[BaseModel] | None:
    """The part that a field holds, itself, optional or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _inner(argument))), None)


def _type_name(annotation: Any, inner: type[BaseModel] | None) -> str:
    if inner:
        return "list of objects" if "list[" in str(annotation) else "object"
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "").replace(" | None", " or null").replace("|", "or")


if __name__ == "__main__":
    sys.stdout.write(card_fields())
