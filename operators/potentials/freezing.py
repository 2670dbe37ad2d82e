"""From DeePMD's last checkpoint to a compressed model that says the same. Run as a program in a potential's folder.

One process for all of it, because importing TensorFlow takes ten times longer than freezing, and a program of its own,
because TensorFlow keeps its memory and reads its thread settings only once.
"""

import json
import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lake.deep_potential import DeepPotential
from lake.deepmd_npy import LabelledFrames, read_deepmd_system
from lake.parquet import flush_to_disk
from operators.potentials.backends import BACKENDS, TENSORFLOW
from operators.potentials.deepmd_input import CHECKPOINT, INPUT
from schemas.composition import atomic_numbers_of

DIFFERENCES = "compression.json"
"""What `main` leaves besides the two models; it is written last."""

LARGEST_DIFFERENCES = {"energy_ev_per_atom": 1e-4, "force_ev_per_angstrom": 1e-3, "virial_ev_per_atom": 1e-4}
"""Between a checkpoint and its compressed model, which tabulates the embedding: a tenth of a meV per atom and one meV/A
are far below the error of any recipe."""
LARGEST_BY_FREEZING = 1e-5
"""Between a checkpoint and its frozen model, in the same units: only the order of sums may differ, on a GPU."""
FREEZING = "freezing_"
"""Before the names of differences between checkpoint and frozen model."""
NAMES = frozenset(LARGEST_DIFFERENCES) | {FREEZING + name for name in LARGEST_DIFFERENCES}

_FRAMES_PER_SYSTEM, _MOST_FRAMES = 3, 60
_COMPRESSION_FOLDER = "model-compression"

Differences = Mapping[str, float]


def is_equal(differences: Differences) -> bool:
    """Whether the differences are small enough to use the compressed model."""
    return all(differences[name] < largest for name, largest in LARGEST_DIFFERENCES.items())


def is_frozen_rightly(differences: Differences) -> bool:
    """Whether the frozen model is its checkpoint."""
    return all(differences[FREEZING + name] < LARGEST_BY_FREEZING for name in LARGEST_DIFFERENCES)


def largest_differences(models: Sequence[DeepPotential], folders: Sequence[Path]) -> list[dict[str, float]]:
    """Largest difference of energy, of any force component and of any virial component, of each model from the first.

    Parameters
    ----------
    models
        Two or more.
    folders
        The deepmd_systems to compare on: three frames of each, spread over its time, or less where there are many.
    """
    found = [dict.fromkeys(LARGEST_DIFFERENCES, 0.0) for _ in models[1:]]
    per_system = max(1, min(_FRAMES_PER_SYSTEM, _MOST_FRAMES // max(1, len(folders))))
    for folder in folders:
        atomic_numbers, frames = _sample(folder, per_system)
        first, *others = (
            model.predict(atomic_numbers, frames.positions_angstrom, cells=frames.cell_angstrom) for model in models
        )
        n_atoms = len(atomic_numbers)
        for largest, labels in zip(found, others, strict=True):
            for name, one, other, per in zip(largest, first, labels, (n_atoms, 1, n_atoms), strict=True):
                # A NaN compares as neither larger nor smaller, so it must not go through max().
                largest[name] = float(np.maximum(largest[name], np.max(np.abs(other - one)) / per))
    return found


def _sample(folder: Path, n_frames: int) -> tuple[NDArray[np.int8], LabelledFrames]:
    read = read_deepmd_system(folder)
    chosen = np.zeros(read.frames.n_frames, dtype=np.bool_)
    chosen[np.linspace(0, len(chosen) - 1, n_frames).astype(int)] = True
    return atomic_numbers_of([read.type_map[kind] for kind in read.types]), read.frames.chosen(chosen)


def unfrozen(checkpoint: str, frozen: Path) -> DeepPotential:
    """The potential of TensorFlow's checkpoint, computed by the graph that was trained, without any conversion."""
    from deepmd.tf.env import default_tf_session_config, tf
    from deepmd.tf.infer.deep_eval import DeepEval

    class Unfrozen(DeepEval):  # type: ignore[misc]
        """DeePMD's evaluation, with graph and numbers of the checkpoint in place of those of a model file."""

        def _load_graph(self, _model: object, *, prefix: str = "load", **_named: object) -> Any:
            graph = tf.Graph()
            with graph.as_default():
                self._saver = tf.train.import_meta_graph(f"{checkpoint}.meta", import_scope=prefix, clear_devices=True)
            return graph

        @cached_property
        def sess(self) -> Any:
            session = tf.Session(graph=self.graph, config=default_tf_session_config)
            self._saver.restore(session, checkpoint)
            return session

    potential = DeepPotential(frozen)
    model = potential._model  # noqa: SLF001
    model.deep_eval = Unfrozen(checkpoint, model.deep_eval.output_def)
    return potential


def _can_be_compressed() -> bool:
    """DeePMD's tables hold no residual steps of the embedding net whose lengths were learnt."""
    return not json.loads(Path(INPUT).read_text())["model"]["descriptor"]["resnet_dt"]


def main(name: str, step: str, *folders: str) -> None:
    """Freeze and compress a checkpoint of the working folder; compare on these deepmd_systems."""
    from deepmd.main import main as dp

    backend, checkpoint = BACKENDS[name], f"{CHECKPOINT}-{step}"
    # `dp freeze` takes the checkpoint that this file names; after a kill it may name an older one.
    named = f'model_checkpoint_path: "{checkpoint}"\n' if backend is TENSORFLOW else f"{checkpoint}.pt"
    Path("checkpoint").write_text(named)
    frozen, compressed = (Path(f"unfinished-{name}") for name in (backend.frozen, backend.compressed))
    dp([backend.option, "freeze", "-o", str(frozen)])
    trained = unfrozen(checkpoint, frozen) if backend is TENSORFLOW else DeepPotential(f"{checkpoint}.pt")
    models = [trained, DeepPotential(frozen)]
    if _can_be_compressed():
        dp([backend.option, "compress", "-i", str(frozen), "-o", str(compressed)])
        models.append(DeepPotential(compressed))
    by_freezing, *rest = largest_differences(models, [Path(folder) for folder in folders])
    by_compression = rest[0] if rest else dict.fromkeys(LARGEST_DIFFERENCES, math.inf)
    differences = by_compression | {FREEZING + name: value for name, value in by_freezing.items()}
    answer = Path(f"unfinished-{DIFFERENCES}")
    answer.write_text(json.dumps(differences))
    made = {frozen: backend.frozen, **({compressed: backend.compressed} if rest else {}), answer: DIFFERENCES}
    flush_to_disk(*made)
    for path, final in made.items():
        path.replace(final)
    shutil.rmtree(_COMPRESSION_FOLDER, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
