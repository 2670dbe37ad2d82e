"""How often each deepmd_system is drawn from in training, where compositions and not frames are to count alike."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lake.deepmd_npy import read_deepmd_system
from schemas.composition import atomic_numbers_of, composition, element_counts


def equal_compositions(systems: Sequence[Path]) -> tuple[float, ...]:
    """Probability of each deepmd_system: each composition as often as any other, its frames among themselves alike.

    DeePMD's own `prob_uniform` would count deepmd_systems alike, and a composition of two runs twice.
    """
    read = [read_deepmd_system(system) for system in systems]
    labels = [
        composition(element_counts(atomic_numbers_of([one.type_map[kind] for kind in one.types]))) for one in read
    ]
    n_frames: Counter[str] = Counter()
    for label, one in zip(labels, read, strict=True):
        n_frames[label] += one.frames.n_frames
    return tuple(one.frames.n_frames / n_frames[label] / len(n_frames) for label, one in zip(labels, read, strict=True))
