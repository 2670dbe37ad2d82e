"""What tests of trainings share: a recipe of a second, waiting, and the numbers in a checkpoint of TensorFlow."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from schemas.recipes import Recipe


def tiny_recipe(*, n_steps: int) -> Recipe:
    """The smallest nets that DeePMD-kit takes, with a learning rate at which a few steps show."""
    return Recipe(
        name="tiny",
        embedding_net=(4, 8),
        axis_neuron=4,
        fitting_net=(16, 16),
        r_smooth_angstrom=3.0,
        r_cut_angstrom=4.0,
        n_steps=n_steps,
        batch_size=1,
        start_learning_rate=5e-3,
        stop_learning_rate=1e-5,
    )


def wait_until(happened: Callable[[], object], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def numbers_in(checkpoint: Path) -> dict[str, np.ndarray]:
    """Every variable by name."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(checkpoint))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
