"""Go on from a checkpoint as if the training had never stopped. Run as a program in a potential's folder.

`dp train --restart` alone restores the weights and the optimiser, but draws its batches from the beginning again: the
more often a training is killed, the more often it sees the same few frames. Here the random numbers that an unbroken
training has drawn so far are drawn again first, so that the training goes on with its next batch. (PyTorch's backend
draws from its beginning again.)
"""

import json
import pickle
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from operators.potentials.backends import BACKENDS, TENSORFLOW, forget_checkpoint
from operators.potentials.deepmd_input import CHECKPOINT

SAYS = "meltlake: "
"""Begins the lines that this program prints for who started it."""
GOES_ON = "goes on from step "

Batch = dict[str, Any]


def main(name: str, steps: str, *beginning: str) -> None:
    """Train `input.json` from the first of these steps whose checkpoint is whole, or from the beginning.

    Parameters
    ----------
    name
        Of the backend.
    steps
        Of the checkpoints, newest first, with commas between.
    beginning
        Arguments that the training was begun with, such as `--init-model` and another potential's checkpoint.
    """
    from deepmd.main import main as dp

    backend = BACKENDS[name]
    what_is_broken = what_is_broken_of_tensorflow if backend is TENSORFLOW else what_is_broken_of_pytorch
    command = [backend.option, "train", "input.json"]
    for step in map(int, steps.split(",")):
        if (reason := what_is_broken(f"{CHECKPOINT}-{step}", step)) is None:
            if step >= json.loads(Path("input.json").read_text())["training"]["numb_steps"]:
                _say(f"checkpoint {step} is the last and sound")
                return
            _say(f"{GOES_ON}{step}")
            if backend is TENSORFLOW:
                # Only weights that begin at random come with statistics of the data, for which frames are drawn.
                _draw_as_if_unbroken(step, with_statistics=not beginning)
            dp([*command, "--restart", f"{CHECKPOINT}-{step}"])
            return
        _say(f"checkpoint {step} is damaged and not used: {reason}")
        forget_checkpoint(Path(), step)
    _say("no checkpoint is sound: starts over")
    dp([*command, *beginning])


def what_is_broken_of_tensorflow(checkpoint: str, step: int) -> str | None:
    """Why a checkpoint cannot be used; None when every number in it has its checksum and its step is right."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        graph = tf.compat.v1.MetaGraphDef.FromString(Path(f"{checkpoint}.meta").read_bytes()).graph_def
        reader = tf.train.load_checkpoint(checkpoint)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
        found = int(reader.get_tensor("global_step"))
    except (DecodeError, LookupError, OSError, RuntimeError, ValueError, tf.errors.OpError) as error:
        return str(error).partition("\n")[0]
    if not graph.node:
        return "its graph is empty"
    return None if found == step else f"it is of step {found}"


def what_is_broken_of_pytorch(checkpoint: str, step: int) -> str | None:
    """The same for PyTorch, whose checkpoint is one zip file with checksums."""
    import torch

    try:
        with zipfile.ZipFile(f"{checkpoint}.pt") as archive:
            if (damaged := archive.testzip()) is not None:
                return f"{damaged} is damaged"
        content = torch.load(f"{checkpoint}.pt", map_location="cpu", weights_only=True)
        found = int(content["model"]["_extra_state"]["train_infos"]["step"])
    except (KeyError, OSError, RuntimeError, ValueError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        return str(error).partition("\n")[0]
    # Counted from 0 in checkpoints on the way, and from 1 in the last.
    return None if found in (step - 1, step) else f"it is of step {found}"


def _draw_as_if_unbroken(step: int, *, with_statistics: bool) -> None:
    """Let DeePMD's trainer draw what it drew from its beginning to this step, before it trains."""
    from deepmd.tf.train.trainer import DPTrainer

    build, train = DPTrainer.build, DPTrainer.train

    def build_after_statistics(trainer: Any, data: Any, *args: Any, **named: Any) -> None:
        if with_statistics:  # the checkpoint's replace them
            trainer.model.data_stat(data, stat_file_path=named.get("stat_file_path"))
        build(trainer, data, *args, **named)

    def train_after_draws(trainer: Any, training: Any, validation: Any) -> None:
        looked_at = training.get_batch()  # DeePMD looks at one batch to learn the names of the arrays
        for done in range(step):
            training.get_batch()
            if validation is not None and done % trainer.disp_freq == 0:
                for _ in range(trainer.valid_numb_batch):
                    validation.get_batch()
        training.get_batch = _first(looked_at, training.get_batch)
        train(trainer, training, validation)

    DPTrainer.build, DPTrainer.train = build_after_statistics, train_after_draws


def _first(batch: Batch, draw: Callable[[], Batch]) -> Callable[[], Batch]:
    """`draw`, but for the first call, which gives that batch."""

    def batches() -> Iterator[Batch]:
        yield batch
        while True:
            yield draw()

    return batches().__next__


def _say(sentence: str) -> None:
    sys.stdout.write(f"{SAYS}{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
