"""Libraries that a process of ours does without are not in its memory, and are there for whoever uses them."""

import os
import subprocess
import sys
from pathlib import Path

READS = """
import sys
from lake.small_process import keep_small
keep_small()
from operators.ingest import ingest_in_worker
print(*{"great_expectations", "pandas", "pydantic", "scipy", "numba", "h5py"} & sys.modules.keys())
"""

JUDGES = """
import sys
import numpy as np
from lake.gate import Case, RuleGate
from schemas.gate import Rule
rule = Rule(name="small", column="energy_ev", severity="reject", reason="none", maximum=1)
verdict = RuleGate((rule,)).judge(Case(origin="aimd", frames={"energy_ev": np.array([0.0, 2.0])}))
print(verdict.rejection_reasons, *{"altair.vegalite", "scipy.stats.distributions"} & sys.modules.keys())
"""

USES_LATE = """
import sys
from lake.small_process import loaded_late
with loaded_late("wave"):
    import wave
print("Error" in object.__getattribute__(wave, "__dict__"), wave.Error.__name__)
"""

SPAWNS = """
import multiprocessing
import sys
from lake.small_process import without_main

def tell():
    pass

if __name__ == "__main__":
    with without_main():
        worker = multiprocessing.get_context("spawn").Process(target=print, args=("began",))
        worker.start()
    worker.join()
    print(worker.exitcode, sys.modules["__main__"].tell is tell)
else:
    print("the command line was imported again")
"""

GIVES_BACK = """
from lake.small_process import keep_small
keep_small()
import pyarrow as pa
print(pa.default_memory_pool().backend_name)
"""


def said_by(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1]).stdout


def test_a_worker_reads_without_what_others_need():
    assert said_by(READS).split() == []


def test_the_gate_judges_without_plots_and_statistics():
    assert said_by(JUDGES) == "[[], ['small']]\n"


def test_a_module_loaded_late_is_loaded_when_used():
    assert said_by(USES_LATE) == "False Error\n"


def test_a_spawned_process_does_not_import_the_command_line(tmp_path):
    (tmp_path / "command.py").write_text(SPAWNS)
    command = [sys.executable, str(tmp_path / "command.py")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    assert said.split() == ["began", "0", "True"]


def test_a_small_process_gives_arrows_memory_back():
    assert said_by(GIVES_BACK).split() == ["system"]
