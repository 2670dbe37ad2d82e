"""What DeePMD computes with, TensorFlow or PyTorch: how each is called and what its files are called.

A model is never converted from one to the other: `dp convert-backend` from PyTorch to TensorFlow gives other energies
and says nothing.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from operators.potentials.deepmd_input import CHECKPOINT
from schemas.errors import MeltlakeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One of DeePMD's backends."""

    name: str
    option: str
    """Of every `dp`."""
    package: str
    extra: str
    """Of meltlake, that installs the package."""
    model_suffix: str
    checkpoint_suffixes: tuple[str, ...]

    @property
    def frozen(self) -> str:
        return f"frozen{self.model_suffix}"

    @property
    def compressed(self) -> str:
        return f"compressed{self.model_suffix}"

    def parts(self, folder: Path, step: int) -> list[Path]:
        """Files of a checkpoint."""
        return [folder / f"{CHECKPOINT}-{step}{suffix}" for suffix in self.checkpoint_suffixes]

    def require_installed(self) -> None:
        if find_spec(self.package) is None:
            raise MeltlakeError(
                f"The backend {self.name} needs the package {self.package}, which is not installed.",
                f"Install meltlake with the extra `{self.extra}`, or train with another --backend.",
            )


TENSORFLOW = Backend(
    name="tensorflow",
    option="--tf",
    package="tensorflow",
    extra="runner",
    model_suffix=".pb",
    checkpoint_suffixes=(".index", ".data-00000-of-00001", ".meta"),
)
PYTORCH = Backend(
    name="pytorch",
    option="--pt",
    package="torch",
    extra="torch",
    model_suffix=".pth",
    checkpoint_suffixes=(".pt",),
)
BACKENDS = {backend.name: backend for backend in (TENSORFLOW, PYTORCH)}


def checkpoints(folder: Path) -> list[int]:
    """Steps of the checkpoints of which every part is there, newest first; whether they are sound is not looked at.

    A folder is one potential's, and so of one backend.
    """
    steps = {
        step
        for backend in BACKENDS.values()
        for step in map(_step, folder.glob(f"{CHECKPOINT}-*{backend.checkpoint_suffixes[0]}"))
        if all(path.exists() for path in backend.parts(folder, step))
    }
    return sorted(steps, reverse=True)


def forget_checkpoint(folder: Path, step: int) -> None:
    """Remove a checkpoint, or what is there of it."""
    for backend in BACKENDS.values():
        for path in backend.parts(folder, step):
            path.unlink(missing_ok=True)


def _step(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])
