import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.scheduling.conftest import ROOT

DEPLOY = ROOT / "deploy"
CHART = "apache-airflow/airflow"
CHART_VERSION = "1.22.0"

MANIFESTS = {
    "rbac.yaml": ["Namespace", "ServiceAccount", "Role", "RoleBinding", "Role", "RoleBinding"],
    "settings.yaml": ["ConfigMap", "ConfigMap"],
    "volume.yaml": ["PersistentVolume", "PersistentVolume", "PersistentVolumeClaim", "PersistentVolumeClaim"],
    "networkpolicy.yaml": ["NetworkPolicy"],
    "kueue.yaml": ["ResourceFlavor", "ClusterQueue", "LocalQueue"],
}
DOCKERFILES = ("Dockerfile.control", "Dockerfile.runner", "Dockerfile.runner-gpu")

# Keys of the chart's own values.yaml, versions 1.20 to 1.22. It says nothing of a key that it does not know.
# fmt: off
CHART_KEYS = {
    "airflowVersion", "allowPodLaunching", "apiSecretKeySecretName", "apiServer.networkPolicy.ingress.from",
    "cleanup.args", "cleanup.enabled", "config",
    "createUserJob.defaultUser.enabled", "dagProcessor.dagBundleConfigList", "data.metadataSecretName",
    "databaseCleanup.enabled", "databaseCleanup.retentionDays", "env", "executor", "extraEnvFrom",
    "fernetKeySecretName", "images.airflow.digest", "images.airflow.pullPolicy", "images.airflow.repository",
    "images.airflow.tag", "jwtSecretName", "migrateDatabaseJob.args", "migrateDatabaseJob.command",
    "multiNamespaceMode", "networkPolicies.enabled", "postgresql.enabled", "securityContexts.containers",
    "securityContexts.pod", "statsd.extraMappings", "triggerer.persistence.enabled", "volumeMounts", "volumes",
    "workers.celery.persistence.enabled",
}
# fmt: on


def _load(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def _values() -> dict[str, Any]:
    [values] = _load("values.yaml")
    return dict(values)


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a manifest, however deep."""
    if isinstance(tree, dict):
        yield tree
    for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(part)


def complaints(manifest: dict[str, Any]) -> list[str]:
    """What nobody should apply: rights without a limit, secrets written down, images that float, privileges."""
    found = []
    kind = manifest["kind"]
    if kind == "Secret" and (manifest.get("data") or manifest.get("stringData")):
        found.append("a secret with its content")
    if kind in ("ClusterRole", "ClusterRoleBinding"):
        found.append("rights in the whole cluster")
    for rule in manifest.get("rules", []) if kind == "Role" else []:
        found += [f"a wildcard in {key}" for key in ("verbs", "resources", "apiGroups") if "*" in rule.get(key, [])]
    for node in _nodes(manifest):
        image = node.get("image")
        if isinstance(image, str) and not re.search(r"@sha256:[0-9a-f]{64}$|:(?!latest$)[\w.-]+$", image):
            found.append(f"the floating image {image}")
        if node.get("privileged") or node.get("allowPrivilegeEscalation") or node.get("hostNetwork"):
            found.append("a privilege")
    return found


@pytest.mark.parametrize(("name", "kinds"), MANIFESTS.items())
def test_manifests_meet_the_schema_of_kubernetes(name: str, kinds: list[str]) -> None:
    manifests = _load(name)
    assert [manifest["kind"] for manifest in manifests] == kinds
    for manifest in manifests:
        if not manifest["apiVersion"].startswith("kueue."):  # Kueue brings its own schema to the cluster
            kubernetes_validate.validate(manifest, "1.37", strict=True)
        assert complaints(manifest) == []


def test_every_file_of_deploy_is_looked_at() -> None:
    seen = {*MANIFESTS, *DOCKERFILES, "values.yaml", "pools.json", "README.md"}
    assert {path.name for path in DEPLOY.iterdir() if path.is_file()} == seen


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{kind: Role, rules: [{verbs: ['*'], resources: [pods], apiGroups: ['']}]}", "a wildcard in verbs"),
        ("{kind: Secret, stringData: {key: value}}", "a secret with its content"),
        ("{kind: ClusterRole}", "rights in the whole cluster"),
        ("{kind: Pod, spec: {containers: [{image: 'a/b:latest'}]}}", "the floating image a/b:latest"),
        ("{kind: Pod, spec: {containers: [{image: 'a.b:5000/c'}]}}", "the floating image a.b:5000/c"),
        ("{kind: Pod, spec: {containers: [{securityContext: {privileged: true}}]}}", "a privilege"),
    ],
)
def test_what_must_not_be_applied_would_be_noticed(text: str, said: str) -> None:
    assert complaints(yaml.safe_load(text)) == [said]


def test_airflow_may_do_what_it_does_and_no_more() -> None:
    launcher, cleanup = [manifest for manifest in _load("rbac.yaml") if manifest["kind"] == "Role"]
    assert {resource: set(rule["verbs"]) for rule in launcher["rules"] for resource in rule["resources"]} == {
        "pods": {"create", "get", "list", "patch", "delete"},
        "pods/log": {"get"},
        "events": {"list"},
    }
    assert [(rule["resources"], rule["verbs"]) for rule in cleanup["rules"]] == [(["pods"], ["list", "delete"])]
    assert _values()["allowPodLaunching"] is False  # the chart's own role would allow exec


def _leaves(tree: Any, path: str = "") -> Iterator[str]:
    for name, value in tree.items():
        here = f"{path}.{name}".lstrip(".")
        yield from [here] if here in CHART_KEYS or not isinstance(value, dict) else _leaves(value, here)


def test_values_are_keys_of_the_chart() -> None:
    assert set(_leaves(_values())) == CHART_KEYS


def test_tasks_reach_the_api_server_through_the_network_policies_of_the_chart() -> None:
    values = _values()
    assert values["networkPolicies"]["enabled"] is True
    labels_of_the_chart = {"tier": "airflow", "release": "airflow"}  # every pod of a release `airflow` has them
    peers = values["apiServer"]["networkPolicy"]["ingress"]["from"]
    assert {"podSelector": {"matchLabels": labels_of_the_chart}} in peers


def test_values_name_secrets_and_hold_none() -> None:
    values = _values()
    named = [values[key] for key in ("fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName")]
    assert all(
        name in (ROOT / "docs" / "deploy.md").read_text() for name in [*named, "airflow-metadata", "meltlake-s3"]
    )
    written = {name for node in _nodes(values) for name in node if re.search(r"(?i)password|secretkey$|token", name)}
    assert written == set()


def test_values_and_cluster_settings_agree() -> None:
    [pods, airflow], values = _load("settings.yaml"), _values()
    assert pods["data"] == airflow["data"]
    assert set(pods["data"]) == {"MELTLAKE_LAKE", "MELTLAKE_LANDING", "MELTLAKE_WAREHOUSE", "MELTLAKE_HOME"}
    told = {entry["name"]: entry["value"] for entry in values["env"]}
    assert json.loads(told["AIRFLOW_CONN_KUBERNETES_DEFAULT"])["extra"]["namespace"] == pods["metadata"]["namespace"]
    template = yaml.safe_load((DEPLOY / "pods" / "gpu.yaml").read_text())
    [mounted] = [m["mountPath"] for m in template["spec"]["containers"][0]["volumeMounts"] if m["name"] == "meltlake"]
    assert mounted == values["volumeMounts"][0]["mountPath"] == pods["data"]["MELTLAKE_HOME"]
    [queue] = [manifest for manifest in _load("kueue.yaml") if manifest["kind"] == "LocalQueue"]
    assert f"kueue.x-k8s.io/queue-name: {queue['metadata']['name']}" in (DEPLOY / "pods" / "gpu.yaml").read_text()


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_are_pinned_staged_and_run_as_nobody(name: str) -> None:
    lines = (DEPLOY / name).read_text().splitlines()
    bases = dict(line.removeprefix("ARG ").split("=", 1) for line in lines if line.startswith("ARG "))
    stages = [line.split()[1].strip("${}") for line in lines if line.startswith("FROM ")]
    assert len(stages) == 2
    assert all(re.search(r":[\w.-]*\d+\.\d+\.\d+", bases[stage]) for stage in stages)  # a digest may take their place
    assert [line for line in lines if line.startswith("USER ")][-1].startswith("USER 50000")
    scripts = {script for line in lines for script in re.findall(r"deploy/install/\w+\.sh", line)}
    assert scripts
    assert all((ROOT / script).stat().st_mode & 0o111 for script in scripts)


def test_nothing_that_floats_or_is_secret_is_written_down() -> None:
    for path in [path for path in DEPLOY.rglob("*") if path.is_file()]:
        text = path.read_text()
        assert ":latest" not in text, path
        assert "PRIVATE KEY" not in text, path


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("helm") is None, reason="needs helm, and access to the chart")
def test_what_the_chart_makes_of_the_values(tmp_path: Path) -> None:
    line = ["helm", "template", "airflow", CHART, "--version", CHART_VERSION, "--namespace", "airflow"]
    made = subprocess.run([*line, "--values", str(DEPLOY / "values.yaml")], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    manifests = [manifest for manifest in yaml.safe_load_all(made.stdout) if manifest]
    assert len(manifests) > 20
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.37", strict=True)
        assert complaints(manifest) == [], manifest["metadata"]["name"]
    [policy] = [one for one in manifests if one["metadata"]["name"] == "airflow-api-server-policy"]
    assert policy["spec"]["ingress"]
    accounts = {manifest["metadata"]["name"] for manifest in manifests if manifest["kind"] == "ServiceAccount"}
    assert {"airflow-scheduler", "airflow-triggerer", "airflow-cleanup"} <= accounts
