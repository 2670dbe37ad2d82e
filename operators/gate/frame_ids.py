"""Names of frames by their numbers: equal numbers, equal name, whatever file or format they came from."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from schemas.frames import Floats
from schemas.ids import content_id
from schemas.rows import Row

_N_DIGITS = 32


def frame_ids(
    positions: Floats, *, cells: Floats, energies: Floats, forces: Floats, virials: Floats
) -> tuple[list[str], list[str]]:
    """`content_id` and `labels_id` of each frame.

    Parameters
    ----------
    positions
        (n_frames, n_atoms, 3), Angstrom.
    cells
        (n_frames, 3, 3), Angstrom.
    energies
        (n_frames,), eV; NaN where missing, as in the next two.
    forces
        (n_frames, n_atoms, 3), eV/Angstrom.
    virials
        (n_frames, 3, 3), eV; as good as missing where any component is.

    Returns
    -------
    tuple of list
        `content_id`, equal for equal cell, positions and energy; and `labels_id`, equal where forces and virial are
        equal too.
    """
    whole_virials = np.where(np.isnan(virials).any(axis=(1, 2), keepdims=True), np.nan, virials)
    content, labels = [], []
    for frame, energy in enumerate(energies):
        digest = hashlib.sha256()  # processors have instructions for it; blake2b takes twice the time
        for values in (positions[frame], cells[frame], energy):
            digest.update(_bytes(values))
        content.append(digest.hexdigest()[:_N_DIGITS])
        for values in (forces[frame], whole_virials[frame]):
            digest.update(_bytes(values))
        labels.append(digest.hexdigest()[:_N_DIGITS])
    return content, labels


def averaged_id(run: Row, content_ids: Iterable[str], rejection_reasons: Sequence[Sequence[str]]) -> str:
    """Name of what a run's averages are over: its frames, which of them the gate accepts, and from when on.

    Parameters
    ----------
    run
        Its row of `runs`, with the version of the reader and the time from which it is equilibrated.
    content_ids, rejection_reasons
        Of every frame.
    """
    known = [run["reader_version"], run["equilibrated_from_fs"]]
    return content_id([known, [str(name) for name in content_ids], [list(reasons) for reasons in rejection_reasons]])


def _bytes(values: Floats | np.float64) -> memoryview:
    return np.ascontiguousarray(values, dtype="<f8").data
