"""Airflow's configuration in the embedded stack, all of it environment variables. Starting it belongs in `stack`."""

import json
import os
import pwd
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from schemas.errors import MeltlakeError
from schemas.settings import Settings

LOOPBACK = "127.0.0.1"
_ROOT = Path(__file__).resolve().parents[2]

_FIXED = {
    "CORE__EXECUTOR": "LocalExecutor",
    "CORE__PARALLELISM": "4",
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",  # no login: everything listens on the loopback address only
    "CORE__DEFAULT_TASK_RETRY_DELAY": "5",
    "CORE__MAX_TASK_RETRY_DELAY": "60",
    "CORE__MAX_MAP_LENGTH": "8192",  # 42 potentials x 16 compositions x 3 protocols are twice Airflow's 1024
    "API__HOST": LOOPBACK,  # Airflow's own choice is every address of the machine
    "API__WORKERS": "1",
    "API__INSTANCE_NAME": "meltlake",
    "DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",  # installed files do not change under us
    # After a kill -9 of everything, a task counts as lost this long after its last sign of life.
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "40",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
    # After a restart the scheduler resumes tasks before the API server answers: wait for it, and spend no try on it.
    "WORKERS__EXECUTION_API_RETRIES": "24",
    "WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "5",
    "USAGE_DATA_COLLECTION__ENABLED": "False",
    "MELTLAKE__QUIET_SECONDS": "2",
    "MELTLAKE__POLL_SECONDS": "2",
}

_YOURS = {
    "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE",
    "AIRFLOW__MELTLAKE__ALERT_URL",
    "AIRFLOW__MELTLAKE__POD_TEMPLATES",
    "AIRFLOW__MELTLAKE__RUNNER_IMAGE",
    "AIRFLOW__MELTLAKE__RUNNER_IMAGE_GPU",
    "AIRFLOW__METRICS__OTEL_ON",
    "AIRFLOW__METRICS__STATSD_HOST",
    "AIRFLOW__METRICS__STATSD_ON",
    "AIRFLOW__METRICS__STATSD_PORT",
    "AIRFLOW__OPENLINEAGE__TRANSPORT",
}
"""What may be set for the embedded stack from outside. All else in an environment is another Airflow's."""

_PRELOAD = '''"""Imported by each of Airflow's processes when it starts."""

# Forked tasks inherit the import and need not repeat it.
import airflow.providers.cncf.kubernetes.operators.pod  # noqa: F401
import airflow.utils.serve_logs


def no_log_server(port=None):
    """Airflow's log servers listen on every address. Here all parts read the same files, and nobody asks them."""


airflow.utils.serve_logs.serve_logs = no_log_server
'''


def airflow_environment(
    settings: Settings,
    home: Path,
    *,
    ports: Mapping[str, int],
    base: Mapping[str, str],
    wins: Mapping[str, str] | None = None,
    kubeconfig: Path | None = None,
) -> dict[str, str]:
    """All variables for Airflow's programs; those of another Airflow in `base` are left out.

    Parameters
    ----------
    settings
        Where the lake is.
    home
        Airflow's folder.
    ports
        Free ports for `api`, `worker_log` and `trigger_log`.
    base
        The launcher's environment.
    wins
        Settings that win over the stack's own, without the prefix: `{"DATABASE__SQL_ALCHEMY_CONN": "..."}`.
    kubeconfig
        Of the cluster that runs the pods; by default the loopback pod API's.
    """
    url = f"http://{LOOPBACK}:{ports['api']}"
    # KUBECONFIG beside a connection with a kubeconfig makes deferred pods fail.
    inherited = {k: v for k, v in base.items() if not k.startswith(("AIRFLOW", "_AIRFLOW")) and k != "KUBECONFIG"}
    own = {
        "CORE__DAGS_FOLDER": str(_ROOT / "dags"),
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "API__PORT": str(ports["api"]),
        "API__BASE_URL": url,
        "API__SECRET_KEY": kept_secret(home / "session.secret"),
        "API_AUTH__JWT_SECRET": kept_secret(home / "jwt.secret"),
        "LOGGING__WORKER_LOG_SERVER_PORT": str(ports["worker_log"]),
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(ports["trigger_log"]),
        "MELTLAKE__POD_TEMPLATES": str(deploy_folder() / "pods"),
    }
    connection = {
        "kube_config_path": str(kubeconfig or home / "kubeconfig"),
        "namespace": "meltlake",
        "in_cluster": False,
    }
    return {
        **_user_name(base),
        **inherited,
        **settings.environment,
        **{f"AIRFLOW__{name}": value for name, value in (_FIXED | own).items()},
        **{name: value for name, value in base.items() if name in _YOURS},
        **{f"AIRFLOW__{name}": value for name, value in (wins or {}).items()},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_KUBERNETES_DEFAULT": json.dumps({"conn_type": "kubernetes", "extra": connection}),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), base.get("PATH", os.defpath)]),
    }


def _user_name(base: Mapping[str, str]) -> dict[str, str]:
    """A name for a user who has none, as in a container that was started with a number: Airflow asks for one."""
    if any(base.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")):
        return {}
    try:
        return {"LOGNAME": pwd.getpwuid(os.getuid()).pw_name}
    except KeyError:
        return {"LOGNAME": str(os.getuid())}


def deploy_folder() -> Path:
    """Pod templates and pools: beside the packages in a checkout, inside this one in a wheel."""
    for folder in (_ROOT / "deploy", Path(__file__).parent / "deploy"):
        if (folder / "pools.json").exists():
            return folder
    raise MeltlakeError(
        f"Pod templates and pools were found neither in {_ROOT / 'deploy'} nor in the installed package.",
        "Install meltlake again, or start it from a checkout.",
    )


def prepare_home(home: Path) -> None:
    """Airflow's folder, readable by this user only."""
    (home / "config").mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    (home / "config" / "airflow_local_settings.py").write_text(_PRELOAD)


def kept_secret(path: Path) -> str:
    """A random secret, made once and kept in a file for this user only."""
    if not path.exists() or not path.stat().st_size:  # whoever made it may have been killed before it was written
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(secrets.token_hex(48))
    return path.read_text()
