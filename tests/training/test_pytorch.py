"""The other backend: the same training, other files. Skipped where PyTorch is not installed."""

from importlib.util import find_spec

import pytest

from lake.delta import Lake
from operators.materialize import materialize
from operators.observe import observe_potential
from operators.potentials.backends import PYTORCH, checkpoints, forget_checkpoint
from operators.train import train
from schemas.errors import MeltlakeError
from schemas.training import TrainingSetRequest
from tests.training.tiny import tiny_recipe

HAS_TORCH = find_spec("torch") is not None
TINY = tiny_recipe(n_steps=60)


@pytest.mark.skipif(HAS_TORCH, reason="PyTorch is installed")
def test_a_backend_that_is_not_installed_is_told(three_melts, settings) -> None:
    made = materialize(settings, TrainingSetRequest())
    with pytest.raises(MeltlakeError, match=r"backend pytorch needs the package torch.*extra `torch`"):
        train(settings, str(made["training_set_id"]), recipe=TINY, backend="pytorch")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not HAS_TORCH, reason="PyTorch is not installed")
def test_pytorch_trains_resumes_freezes_and_gives_its_weights(melts, settings, labelled_by_emt) -> None:
    melts.add("a1", {"Al": 16, "Cu": 16}, labelled_by_emt({"Al": 16, "Cu": 16}, 20))
    training_set_id = str(materialize(settings, TrainingSetRequest())["training_set_id"])
    made = train(settings, training_set_id, recipe=TINY, backend="pytorch")
    folder = settings.artifacts / "potentials" / str(made["potential_id"])
    assert str(made["path"]).endswith("compressed.pth")
    assert sorted(Lake(settings.lake).rows("learning_curves").to_pydict()["step"]) == [1, *range(2, 61, 2)]

    forget_checkpoint(folder, 60)
    (folder / PYTORCH.parts(folder, checkpoints(folder)[0])[0].name).write_bytes(b"cut short")
    (folder / PYTORCH.compressed).unlink()
    again = train(settings, training_set_id, recipe=TINY, backend="pytorch")
    assert (again["changed"], again["n_restarts"], checkpoints(folder)[0]) == (True, 1, 60)

    child = train(
        settings, training_set_id, recipe=TINY, backend="pytorch", init_from=str(made["potential_id"]), seed=2
    )
    assert child["potential_id"] != made["potential_id"]
    observe_potential(settings, str(child["potential_id"]))
    rows = {(row["potential_id"], row["split"]) for row in Lake(settings.lake).rows("rmse").to_pylist()}
    assert (child["potential_id"], "test") in rows
