"""The potential whose weights another one begins with: found, and refused where its weights have no place.

Both have the same elements in the same order, the same nets and the same backend; loss, learning rate, sampling, length
and training set may differ. Room for neighbours is the parent's: its descriptor was scaled slot by slot.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from lake.delta import Lake
from operators.potentials.backends import Backend
from operators.potentials.chosen_run import SPLITS
from operators.potentials.deepmd_input import TrainingData, nets
from operators.potentials.kept_files import read_json
from operators.potentials.named import require_trained_here
from schemas.errors import MeltlakeError
from schemas.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """A potential to begin with."""

    potential_id: str
    frozen: Path
    type_map: tuple[str, ...]
    sel: tuple[int, ...]
    nets: Mapping[str, object]

    @classmethod
    def of(cls, lake: Lake, settings: Settings, potential_id: str, *, backend: Backend) -> Self:
        """The potential of that name.

        Raises
        ------
        MeltlakeError
            If there is none, it is of another backend or was trained elsewhere, or its files are not where they were.
        """
        rows = lake.rows("potentials", key=potential_id).to_pylist()
        if not rows:
            known = ", ".join(lake.keys("potentials")) or "none"
            raise MeltlakeError(f"There is no potential {potential_id!r} to begin with.", f"Choose one of: {known}.")
        require_trained_here(rows[0], "a fine-tuned potential")
        if rows[0]["backend"] != backend.name:
            raise MeltlakeError(
                f"Potential {potential_id} is of the backend {rows[0]['backend']}, needed one of {backend.name}: a "
                "model that is converted gives other energies.",
                f"Train with --backend {rows[0]['backend']}, or begin with another potential.",
            )
        folder = settings.artifacts / "potentials" / potential_id
        frozen = (folder / backend.frozen).absolute()
        if not (frozen.is_file() and (folder / "input.json").is_file()):
            raise MeltlakeError(
                f"{folder}: needed {backend.frozen} and input.json of potential {potential_id} to begin with.",
                "Run `meltlake train` with its options again: it makes its files anew.",
            )
        written = read_json(folder / "input.json")
        return cls(
            potential_id=potential_id,
            frozen=frozen,
            type_map=tuple(rows[0]["type_map"]),
            sel=tuple(rows[0]["sel"]),
            nets=nets(written),
        )

    def beginning(self, folder: Path) -> list[str]:
        """What `dp train` is told when it begins in that folder."""
        return ["--init-frz-model", os.path.relpath(self.frozen, folder)]

    def given_room(self, data: TrainingData, most: list[int]) -> TrainingData:
        """The training data with the parent's slots for neighbours.

        Raises
        ------
        MeltlakeError
            If the elements are not the parent's, or an atom has more neighbours than the parent has slots.
        """
        if self.type_map != data.type_map:
            raise MeltlakeError(
                f"Potential {self.potential_id} knows {', '.join(self.type_map)}; needed {', '.join(data.type_map)}, "
                "the elements of the training set in their order.",
                "Begin with a potential of the same elements, or train from random weights, without --init-from.",
            )
        if any(slots < found for slots, found in zip(self.sel, most, strict=True)):
            raise MeltlakeError(
                f"Potential {self.potential_id} has slots for {_listed(self.sel)} neighbours within its cutoff "
                f"({', '.join(self.type_map)}); the training set has up to {_listed(most)}.",
                "Train from random weights, without --init-from: denser melts need more slots.",
            )
        return replace(data, sel=self.sel)

    def require_same_nets(self, written: Mapping[str, Any], recipe: str) -> None:
        """Refuse an input whose nets are not the parent's.

        Raises
        ------
        MeltlakeError
            If a weight of the parent would have no place, or another meaning.
        """
        wanted = nets(written)
        different = [
            f"{key} {self.nets[key]} there, {wanted[key]} here" for key in wanted if self.nets[key] != wanted[key]
        ]
        if different:
            raise MeltlakeError(
                f"Potential {self.potential_id} cannot give its weights to recipe {recipe}: {'; '.join(different)}.",
                "Use a recipe with the same nets and cutoff, or train from random weights, without --init-from.",
            )


def n_test_frames_known(lake: Lake, training_set_id: str, parent_id: str) -> int:
    """Frames set aside in a training set that a potential, or one that it began with, was trained on.

    A frame is known by its content, whichever copy of its run was trained on; by its place, where the content that was
    trained on is not in the training set: a mended reader, or a lake from before contents had names.
    """
    trained: list[Mapping[str, Any]] = []
    ancestor: str | None = parent_id
    while ancestor is not None:
        rows = lake.rows("potentials", key=ancestor).to_pylist()
        ancestor = None
        for row in rows:
            trained += _frames(lake, row["training_set_id"], ("train",))
            ancestor = row["init_from"]
    here = {frame["content_id"] for frame in _frames(lake, training_set_id, SPLITS)} - {None}
    contents = {frame["content_id"] for frame in trained} & here
    places = {(frame["run_id"], frame["frame"]) for frame in trained if frame["content_id"] not in here}
    to_test = _frames(lake, training_set_id, ("test", "held_out"))
    return sum(frame["content_id"] in contents or (frame["run_id"], frame["frame"]) in places for frame in to_test)


def _frames(lake: Lake, training_set_id: str, splits: tuple[str, ...]) -> list[Mapping[str, Any]]:
    rows = lake.rows("training_set_frames", key=training_set_id).to_pylist()
    return [row for row in rows if row["split"] in splits]


def _listed(numbers: list[int] | tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))
