import json

import kubernetes_validate  # type: ignore[import-untyped]
import yaml

from tests.scheduling.conftest import ROOT

DEPLOY = ROOT / "deploy"


def test_manifests_meet_the_schema_of_kubernetes() -> None:
    manifests = list(yaml.safe_load_all((DEPLOY / "rbac.yaml").read_text()))
    assert [manifest["kind"] for manifest in manifests] == [
        "Namespace", "ServiceAccount", "Role", "RoleBinding", "ConfigMap",
    ]  # fmt: skip
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.37", strict=True)


def test_values_and_cluster_settings_agree() -> None:
    values = yaml.safe_load((DEPLOY / "values.yaml").read_text())
    told = {entry["name"]: entry["value"] for entry in values["env"]}
    *_, settings = yaml.safe_load_all((DEPLOY / "rbac.yaml").read_text())
    assert settings["data"].items() <= told.items()
    assert json.loads(told["AIRFLOW_CONN_KUBERNETES_DEFAULT"])["extra"]["namespace"] == "meltlake"


def test_nothing_floats_and_no_secret_is_in_the_files() -> None:
    for path in [path for path in DEPLOY.rglob("*") if path.is_file()]:
        text = path.read_text()
        assert ":latest" not in text, path
        assert "PRIVATE KEY" not in text, path
    for name in ("Dockerfile", "Dockerfile.runner"):
        [base] = [line for line in (DEPLOY / name).read_text().splitlines() if line.startswith("FROM ")]
        assert ":" in base
