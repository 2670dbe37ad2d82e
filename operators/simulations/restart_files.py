"""Where a simulation that was killed goes on: its newest whole restart file, and what was written behind that."""

import mmap
import re
from pathlib import Path

from lake.readers.lammps import FRAME_BEGINS, TRAJECTORY
from lake.readers.lammps_tables import DEVIATION_TABLE, PRESSURE_TABLE, THERMO_TABLE
from operators.simulations.lammps_input import RESTART

TABLES = (THERMO_TABLE, PRESSURE_TABLE, DEVIATION_TABLE)

_MARK = b"LammpS RestartT"
_STEP = re.compile(rb"\s*(\d+)")


def restarts(folder: Path) -> list[tuple[int, Path]]:
    """Steps and restart files, the oldest first."""
    files = folder.glob(f"{RESTART}[0-9]*")
    return sorted((int(path.name.removeprefix(RESTART)), path) for path in files)


def latest_restart_step(folder: Path) -> int | None:
    """Step of the newest whole restart file; None without one. LAMMPS may have been killed while it wrote."""
    return max((step for step, path in restarts(folder) if _is_whole(path)), default=None)


def go_back_to(folder: Path, step: int) -> None:
    """Take away what was written behind a restart's step: it is computed again, and may go otherwise."""
    cut_trajectory(folder / TRAJECTORY, step)
    for name in TABLES:
        cut_table(folder / name, step)


def cut_trajectory(path: Path, step: int) -> None:
    """Take away the frames from `step` on, which a restart at that step writes again."""
    if not path.is_file() or path.stat().st_size == 0:
        return
    with path.open("r+b") as file:
        with mmap.mmap(file.fileno(), 0) as content:
            keep = len(content)
            while (frame := content.rfind(FRAME_BEGINS, 0, keep)) >= 0:
                header = content[frame : frame + 64].split(b"\n")
                if len(header) > 2 and int(header[1]) < step:
                    break
                keep = frame
        file.truncate(max(keep, 0))


def cut_table(path: Path, step: int) -> None:
    """Take away rows behind a step and a last line that was cut. Rows of the step itself are written again, alike."""
    if not path.is_file():
        return
    lines = path.read_bytes().split(b"\n")[:-1]
    kept = [line for line in lines if not (found := _STEP.match(line)) or int(found[1]) <= step]
    path.write_bytes(b"".join(line + b"\n" for line in kept))


def _is_whole(path: Path) -> bool:
    # LAMMPS writes the same words at the beginning and as the very last thing.
    with path.open("rb") as file:
        file.seek(max(len(_MARK), path.stat().st_size - 2 * len(_MARK)))
        return _MARK in file.read()
