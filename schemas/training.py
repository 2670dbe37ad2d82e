"""What a person asks for when frames become a training set. Choosing the frames belongs in `operators`."""

from math import inf
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from schemas.composition import canonical_composition
from schemas.errors import MeltlakeError

SplitRule = Literal["blocks", "random"]
Relaxation = Literal["train", "drop"]
Balance = Literal["frames", "compositions"]
Format = Literal["npy", "hdf5"]


class TrainingSetRequest(BaseModel):
    """Which frames to train on, and how to set frames aside for testing.

    `compositions` empty means every composition of the lake; `hold_out` are evaluated and never trained on.
    `chemical_system` keeps runs whose elements all belong to it: `Al-Cu-Ni` keeps Al100 and Al50Ni50 too.
    `runs` narrows the choice to these run ids, where one composition was computed at two levels of theory.
    `mix_theories` trains on runs whose energies cannot be compared; whoever asks for that knows why.
    `seed` matters to the random split only: blocks follow from the time axis.
    `gap_fs` is the least time between a training and a test frame; None takes what each run's memory asks for.
    `every_fs` thins each run to frames that far apart.
    `relaxation` says what becomes of the frames before a run is equilibrated: their labels are right, so that they may
    be trained on, but errors there tell nothing of the melt, so that they are never tested on.
    `balance` says what DeePMD draws a batch by: every frame alike, or every composition alike.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    compositions: tuple[str, ...] = ()
    hold_out: tuple[str, ...] = ()
    chemical_system: str | None = None
    runs: tuple[str, ...] = ()
    mix_theories: bool = False
    split: SplitRule = "blocks"
    seed: int = 1
    test_fraction: float = 0.25
    gap_fs: float | None = None
    every_fs: float | None = None
    relaxation: Relaxation = "train"
    balance: Balance = "frames"
    format: Format = "npy"
    lake_version: int | None = None

    @field_validator("compositions", "hold_out")
    @classmethod
    def _are_canonical(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted({canonical_composition(label) for label in labels}))

    @model_validator(mode="after")
    def _held_out_is_not_trained(self) -> Self:
        if both := sorted(set(self.compositions) & set(self.hold_out)):
            raise MeltlakeError(
                f"{', '.join(both)} cannot be trained on and held out at the same time.",
                "Name each composition in one of --compositions and --hold-out.",
            )
        return self

    @model_validator(mode="after")
    def _numbers_make_sense(self) -> Self:
        if not 0 < self.test_fraction < 1:
            raise MeltlakeError(
                f"The test fraction must be between 0 and 1, found {self.test_fraction:g}.", "A quarter is usual: 0.25."
            )
        for name, value_fs in (("gap between training and test", self.gap_fs), ("time to thin by", self.every_fs)):
            if value_fs is not None and not 0 < value_fs < inf:
                raise MeltlakeError(
                    f"The {name} must be more than 0 fs, found {value_fs:g}.", "Give femtoseconds, or leave it out."
                )
        if self.seed < 0 or (self.lake_version or 0) < 0:
            raise MeltlakeError("Seeds and lake versions are not negative.", "Give 0 or more.")
        return self

    @property
    def elements(self) -> frozenset[str] | None:
        """Elements of `chemical_system`; None without one."""
        return None if self.chemical_system is None else frozenset(self.chemical_system.split("-"))

    @property
    def split_wish(self) -> dict[str, object]:
        """All that decides whether a frame is trained or tested on, whatever else is in the training set."""
        names = {"split", "test_fraction", "gap_fs", "every_fs", "relaxation"}
        seed = {"seed": self.seed} if self.split == "random" else {}
        return self.model_dump(mode="json", include=names) | seed
