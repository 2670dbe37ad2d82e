"""What machine this is, in words: the hardware that a timing or a training is told with."""

import platform
import shutil
import subprocess
from pathlib import Path

_CPU_FACTS = Path("/proc/cpuinfo")


def hardware() -> str:
    """The first GPU when its driver answers, the processor otherwise."""
    return _gpu() or _processor()


def _gpu() -> str | None:
    if (program := shutil.which("nvidia-smi")) is None:
        return None
    query = [program, "--query-gpu=name", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, check=False, timeout=30)
    names = answer.stdout.strip().splitlines()
    return names[0] if answer.returncode == 0 and names else None


def _processor() -> str:
    facts = _CPU_FACTS.read_text() if _CPU_FACTS.exists() else ""
    names = (line.partition(":")[2].strip() for line in facts.splitlines() if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
