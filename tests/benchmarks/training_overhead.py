"""What `meltlake train` costs beside the `dp` that it watches: CPU seconds of both over one training of minutes.

Frames are of toy melts, the recipe is DP-small, whose steps are the cheapest of all recipes: the hardest case for who
watches. Everything of ours counts, from starting Python to the potential's row, but making the frames.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from operators.toy_melt import ToyMeltRequest
from schemas.training import TrainingSetRequest
from tests.benchmarks.measuring import ROOT, Cost
from tests.benchmarks.recipes import settings_in, training_set
from tests.benchmarks.report import Line

N_STEPS = 28_000  # ten minutes on one quiet core
LARGEST_SHARE = 0.01
_COMPOSITIONS = ("Al60Cu20Ni20", "Al20Cu20Ni60")
_N_ATOMS, _N_FRAMES = 120, 100
_COMMAND = """
import json, resource, sys
from operators.cli import main
try:
    main(sys.argv[1:])
finally:
    who = {"ours": resource.RUSAGE_SELF, "dp": resource.RUSAGE_CHILDREN}
    spent = {name: resource.getrusage(which) for name, which in who.items()}
    seconds = {name: usage.ru_utime + usage.ru_stime for name, usage in spent.items()}
    print(json.dumps(seconds | {"peak_mb": spent["ours"].ru_maxrss / 1024}))
"""


def training_overhead(folder: Path, n_steps: int = N_STEPS) -> Iterator[Line]:
    """One training from the command line; its share must stay below a hundredth."""
    settings = settings_in(folder, "training-overhead")
    melts = [
        ToyMeltRequest(composition=composition, n_atoms=_N_ATOMS, n_frames=_N_FRAMES, source_format="outcar")
        for composition in _COMPOSITIONS
    ]
    frozen = training_set(settings, melts, TrainingSetRequest())
    words = ["train", frozen, "--recipe", "DP-small", "--steps", str(n_steps), "--lake", settings.lake]
    began = time.perf_counter()
    said = subprocess.run(
        [sys.executable, "-c", _COMMAND, *words, "--json"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    ).stdout
    wall_s = time.perf_counter() - began
    answer, spent = map(json.loads, said.splitlines()[-2:])
    share = spent["ours"] / spent["dp"]
    cost = Cost(spent["ours"], wall_s, spent["peak_mb"], 0.0, 0.0, {})
    told = f"dp {spent['dp']:.0f} CPU s, {wall_s:.0f} s in all; ours {100 * share:.2f} %; changed: {answer['changed']}"
    bar = f"< {100 * LARGEST_SHARE:g} % of dp's CPU s"
    yield Line(f"DP-small, {n_steps} steps", "meltlake train", cost, told=told, bar=bar, met=share < LARGEST_SHARE)
