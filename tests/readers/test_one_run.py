"""OUTCAR, vasprun.xml, vaspout.h5, XDATCAR and ML_AB of one run give one set of frames, whatever the format."""

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from lake.readers import open_run
from schemas.errors import UnreadableFile
from tests.readers.conftest import REFERENCE

PAIRS = [
    ("h2o-md10/OUTCAR", "h2o-md10/vasprun.xml"),
    ("ti-o-ti-v6/OUTCAR", "ti-o-ti-v6/vasprun.xml"),
    ("ge8-vdw/OUTCAR", "ge8-vdw/vasprun.xml"),
    ("cu1-relax-v541/OUTCAR.gz", "cu1-relax-v541/vasprun.xml.gz"),
    ("cu1-relax-v621/OUTCAR.gz", "cu1-relax-v621/vasprun.xml.gz"),
    ("si1-unconv-v620/OUTCAR", "si1-unconv-v620/vasprun.xml"),
    ("pt111-water-isif0/OUTCAR", "pt111-water-isif0/vasprun.xml"),
    ("pt111-water-isif0/OUTCAR", "pt111-water-isif0/XDATCAR"),
    ("si2-h5-v641/OUTCAR.gz", "si2-h5-v641/vasprun.xml.gz"),
    ("si2-h5-v641/OUTCAR.gz", "si2-h5-v641/vaspout.h5.gz"),
    ("si2-h5-v641/vasprun.xml.gz", "si2-h5-v641/vaspout.h5.gz"),
    ("ti32-aimd-nwrite0/OUTCAR", "ti32-aimd-nwrite0/vasprun.xml"),
    ("ti32-aimd-nwrite0/vasprun.xml", "ti32-md-h5-derived/vaspout.h5"),
]
# Half of the last decimal of whichever file prints fewer, and the sums that follow from it.
TOLERANCES = {
    "energy_ev": 1e-7,
    "energy_sigma0_ev": 1e-7,
    "energy_without_entropy_ev": 2e-7,
    "cell_angstrom": 6e-7,
    "positions_angstrom": 6e-6,
    "forces_ev_per_angstrom": 6e-7,
    "virial_ev": 2e-4,
    "virial_trace_ev": 2e-4,
    "temperature_k": 0.01,
    "conserved_energy_ev": 6e-7,
    "scf_steps": 0,
}
KILLED = ["h2-broken-step0", "nitinb253-aborted"]


@cache
def frames_of(name: str) -> dict[str, np.ndarray]:
    if not (REFERENCE / "index.json").exists():
        pytest.skip("the reference set of VASP output is not on this machine")
    batches = list(open_run(REFERENCE / name).batches())
    names = [field.name for field in dataclasses.fields(batches[0]) if getattr(batches[0], field.name) is not None]
    return {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in names if name != "faults"}


def both(first: str, second: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The frames of two files that have the same ionic step, one beside the other."""
    one, other = frames_of(first), frames_of(second)
    at = np.isin(one["ionic_step"], other["ionic_step"]), np.isin(other["ionic_step"], one["ionic_step"])
    return {name: one[name][at[0]] for name in one}, {name: other[name][at[1]] for name in other}


def written(values: np.ndarray) -> np.ndarray:
    """Of each frame: whether the file has this quantity at all."""
    return (values >= 0) if values.dtype.kind == "i" else np.isfinite(values.reshape(len(values), -1)).all(axis=1)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_formats_of_one_run_have_the_same_ionic_steps(first, second):
    steps = [frames_of(name)["ionic_step"].tolist() for name in (first, second)]
    # With NWRITE = 0 an OUTCAR has positions in its first and last step only.
    expected = [[1, 10], list(range(1, 11))] if first == "ti32-aimd-nwrite0/OUTCAR" else [steps[1], steps[1]]
    assert steps == expected


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_formats_of_one_run_give_the_same_numbers(first, second):
    one, other = both(first, second)
    n_compared = 0
    for name, tolerance in TOLERANCES.items():
        if name not in one or name not in other:
            continue
        told = written(one[name]) & written(other[name])
        n_compared += int(told.any())
        np.testing.assert_allclose(one[name][told], other[name][told], rtol=0, atol=tolerance, err_msg=name)
    # An XDATCAR has the cell and the positions only; the others share the free energy and the forces at least.
    assert n_compared >= (2 if "XDATCAR" in second else 4)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_formats_of_one_run_agree_on_what_is_missing(first, second):
    one, other = both(first, second)
    told_by_all = ["energy_ev", "forces_ev_per_angstrom", "virial_ev"] if "XDATCAR" not in second else []
    for name in told_by_all:
        assert written(one[name]).tolist() == written(other[name]).tolist(), name
    if told_by_all:
        assert one["label_source"].tolist() == other["label_source"].tolist()


@pytest.mark.parametrize(("first", "second"), [pair for pair in PAIRS if "vasprun" in pair[1]])
def test_outcar_and_vasprun_agree_on_what_converged(first, second):
    one, other = both(first, second)
    # si1-unconv-v620 has EDIFF = 1E-9, which its XML prints as 0: then a step at NELM cannot be judged.
    judged = other["scf_verdict"] != "suspect"
    assert one["scf_verdict"][judged].tolist() == other["scf_verdict"][judged].tolist()
    assert (~judged).sum() == (2 if "si1-unconv" in first else 0)


@pytest.mark.parametrize("folder", KILLED)
def test_a_killed_run_is_refused_in_every_format(reference, folder):
    for name in ("OUTCAR", "vasprun.xml"):
        with pytest.raises(UnreadableFile, match="killed before the first"):
            list(open_run(reference / folder / name).batches())


def files_of(path: Path) -> list[Path]:
    return list(path.iterdir()) if path.is_dir() else []


def test_every_pair_of_the_set_is_compared(reference):
    read = ("OUTCAR", "vasprun", "vaspout", "XDATCAR", "ML_AB")
    folders = {
        path.name for path in reference.iterdir() if sum(file.name.startswith(read) for file in files_of(path)) > 1
    }
    assert folders == {Path(name).parts[0] for pair in PAIRS for name in pair} - {"ti32-md-h5-derived"} | set(KILLED)


def test_ml_ab_repeats_the_ab_initio_frames_of_its_outcar():
    configurations, steps = frames_of("h2-mlab/ML_AB"), frames_of("h2-mlff-istart1/OUTCAR")
    ab_initio = steps["label_source"] == "dft"
    nearest = np.abs(configurations["energy_ev"][:, None] - steps["energy_ev"][ab_initio]).argmin(axis=0)
    assert len(set(nearest)) == ab_initio.sum() == 10
    for name in ("energy_ev", "cell_angstrom", "positions_angstrom", "forces_ev_per_angstrom", "virial_ev"):
        one, other = configurations[name][nearest], steps[name][ab_initio]
        np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCES[name], err_msg=name)
