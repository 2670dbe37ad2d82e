"""What a local pod sees of its launcher's environment: settings, and none of the scheduler's secrets."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

# fmt: off
_KEPT = {
    "HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV", "LD_LIBRARY_PATH",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "REQUESTS_CA_BUNDLE",
}
_KEPT_PREFIXES = (
    "MELTLAKE_", "LC_", "PYTHON", "XDG_", "SSL_", "AWS_",
    "CUDA_", "NVIDIA_", "TF_", "DP_", "OMP_", "OPENBLAS_", "MKL_", "NUMBA_", "LAMMPS_", "MPL",
)
# fmt: on


def settings_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that pods may see; commands beside this Python are found first."""
    kept = {k: v for k, v in environment.items() if k in _KEPT or k.startswith(_KEPT_PREFIXES)}
    path = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])
    return kept | {"PATH": path, "PYTHONUNBUFFERED": "1"}
