"""What a pod is made of besides its command: template by kind of node, resources by verb and recipe.

All of it is the cluster's and lies in one folder, which `[meltlake] pod_templates` names; DAGs and operators know
neither nodes nor tolerations nor how much memory a lab has.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException
from kubernetes.client import models as k8s

SECTION = "meltlake"
"""Section of Airflow's configuration with our own settings."""

_RESOURCES = "resources.yaml"
_KINDS = ("requests", "limits")


def pod_template(node: str) -> Path:
    """Path of a pod template, from `[meltlake] pod_templates` (`AIRFLOW__MELTLAKE__POD_TEMPLATES`).

    Raises
    ------
    AirflowFailException
        If the setting or the file is missing.
    """
    folder = conf.get(SECTION, "pod_templates", fallback=None)
    if folder is None or not (path := Path(folder) / f"{node}.yaml").is_file():
        raise AirflowFailException(
            f"Needed the pod template {node}.yaml in the folder AIRFLOW__MELTLAKE__POD_TEMPLATES, found {folder}. "
            "`meltlake up` sets it; on a cluster it is in deploy/values.yaml."
        )
    return path


def pod_resources(template: Path, arguments: Sequence[str]) -> k8s.V1ResourceRequirements | None:
    """Requests and limits of a command: the template's, then what `resources.yaml` says of its verb and its recipe.

    Raises
    ------
    AirflowFailException
        If `resources.yaml` cannot be read or says something else than requests and limits.
    """
    path = template.parent / _RESOURCES
    if not path.is_file():
        return None
    try:
        said = yaml.safe_load(path.read_text()) or {}
        layers = [_in_template(template), *(said[key] or {} for key in _keys(arguments) if key in said)]
        merged = {kind: _merged(layer.get(kind) or {} for layer in layers) for kind in _KINDS}
        unknown = {name for layer in layers[1:] for name in layer if name not in _KINDS}
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise AirflowFailException(f"{path} cannot be used: {' '.join(str(error).split())}. {_FORM}") from error
    if unknown:
        raise AirflowFailException(f"{path} says {', '.join(sorted(unknown))} of {arguments[0]}. {_FORM}")
    return k8s.V1ResourceRequirements(requests=merged["requests"], limits=merged["limits"])


_FORM = "Needed: verbs, or `train RECIPE`, each with `requests` and `limits` of a container."


def _keys(arguments: Sequence[str]) -> list[str]:
    """`train`, `train DP-2`: what the file may say of a command, the later one winning."""
    verb, *words = arguments
    recipes = [value for name, value in pairwise(words) if name == "--recipe"]
    return [verb, *(f"{verb} {recipe}" for recipe in recipes)]


def _in_template(template: Path) -> Mapping[str, Any]:
    pod = yaml.safe_load(template.read_text())
    container: Mapping[str, Any] = pod["spec"]["containers"][0]
    return container.get("resources") or {}


def _merged(layers: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {name: str(value) for layer in layers for name, value in layer.items()}
