"""The demo without Airflow: the same commands in the same order, typed one after the other."""

import os
import subprocess
import sys
from collections.abc import Callable

from operators.log import log
from operators.processes import program
from operators.scheduling import plans
from operators.scheduling.shared_commands import Commands
from schemas.settings import Settings

_ORDER: tuple[Callable[[], Commands], ...] = (
    plans.ingest_commands,
    lambda: [command for name in plans.changed_compositions(None) for command in plans.observe_commands(name)],
    plans.materialize_commands,
    plans.train_commands,
    plans.score_commands,
    plans.simulate_commands,
    plans.observe_simulations_commands,
    lambda: [["publish"], ["report"]],
)


def run_serially(settings: Settings) -> None:
    """Type every command that the plans give; one that fails has said why, and the next ones are typed all the same."""
    os.environ.update(settings.environment)  # the plans and the commands are told where things are as a pod is
    for commands_of in _ORDER:
        for command in commands_of():
            log.info("demo", typing=" ".join(["meltlake", *command]))
            subprocess.run([program("meltlake"), *command], check=False, stdout=sys.stderr)
