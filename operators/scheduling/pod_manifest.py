"""What the loopback pod API takes for a manifest, and what it refuses. How pods live belongs in `local_pods`.

A cluster's API server checks every field against a schema. Here only what is used is looked at, but no manifest may
fail for another reason than that it was refused with one.
"""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

GPU = "nvidia.com/gpu"

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([eE][+-]?\d{1,2}|[KMGTPE]i|[numkMGTPE])?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = "KMGTPE"
_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LONGEST_NAME = 253


class Refusal(Exception):
    """An answer that is not a success, with Kubernetes' code and reason."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


def check(manifest: dict[str, Any]) -> None:
    """Refuse what would run differently here than it says, and what no API server would take.

    Raises
    ------
    Refusal
        With 422 and the field.
    """
    check_metadata(_of_type(manifest, "metadata", dict))
    spec = _of_type(manifest, "spec", dict)
    containers = _of_type(spec, "containers", list, within="spec.")
    if not containers or not all(isinstance(container, dict) for container in containers):
        raise _invalid("spec.containers", "needed at least one container")
    names = [container.get("name") for container in containers]
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names) or len(set(names)) != len(names):
        raise _invalid("spec.containers.name", "needed a DNS label, a different one for each container")
    if spec.get("initContainers"):
        raise _invalid("spec.initContainers", "this machine runs plain containers only")
    for container in containers:
        _check_container(container)
    for name in ("activeDeadlineSeconds", "terminationGracePeriodSeconds"):
        if (seconds := spec.get(name)) is not None and not _is_time(seconds):
            raise _invalid(f"spec.{name}", f"needed a number of seconds, found {seconds!r}")
    n_gpus(spec)


def check_metadata(metadata: dict[str, Any]) -> None:
    """Refuse names that are no names, and labels that are no text.

    Raises
    ------
    Refusal
        With 422 and the field.
    """
    for field in ("name", "generateName"):
        name = metadata.get(field)
        shown = str(name).removesuffix("-") if field == "generateName" else str(name)
        if name and not (isinstance(name, str) and _NAME.fullmatch(shown) and len(name) <= _LONGEST_NAME):
            raise _invalid(f"metadata.{field}", f"needed a lower-case DNS name, found {name!r}")
    for field in ("labels", "annotations"):
        words = _of_type(metadata, field, dict, within="metadata.")
        if not all(isinstance(word, str) for pair in words.items() for word in pair):
            raise _invalid(f"metadata.{field}", "needed names and values that are text")


def n_gpus(spec: dict[str, Any]) -> int:
    """GPUs that all containers of a pod ask for together.

    Raises
    ------
    Refusal
        With 422, if a number of GPUs is none.
    """
    limits = [
        _of_type(_of_type(container, "resources", dict), "limits", dict, within="resources.")
        for container in spec["containers"]
    ]
    return sum(_count(limit[GPU]) for limit in limits if GPU in limit)


def quantity(text: object) -> Decimal:
    """A number as Kubernetes writes it: `2`, `500m`, `1k`, `2Gi`, `1e3`.

    Raises
    ------
    ValueError
        If it is none.
    """
    match = None if isinstance(text, bool) else _QUANTITY.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"{text!r} is no quantity")
    number, suffix = Decimal(match[1]), match[2] or ""
    if suffix.endswith("i"):
        return number * Decimal(1024 ** (_BINARY.index(suffix[0]) + 1))
    if suffix in _DECIMAL:
        return number.scaleb(_DECIMAL[suffix])
    return number.scaleb(int(suffix[1:])) if suffix else number


def merged(target: Any, change: Any) -> Any:
    """JSON merge patch, RFC 7386: mappings merge, null removes, everything else replaces."""
    if not isinstance(change, dict):
        return change
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def expanded(word: str, environment: Mapping[str, str]) -> str:
    """A word of a command as the kubelet reads it: `$(NAME)` is the variable's value if there is one, `$$` is `$`."""

    def meaning(match: re.Match[str]) -> str:
        return "$" if match[1] is None else environment.get(match[1], match[0])

    return _REFERENCE.sub(meaning, word)


def _count(text: object) -> int:
    try:
        number = quantity(text)
    except ValueError as error:
        raise _invalid(f"spec.containers.resources.limits.{GPU}", str(error)) from error
    if number != number.to_integral_value() or number < 0:
        raise _invalid(f"spec.containers.resources.limits.{GPU}", f"needed a whole number, found {text!r}")
    return int(number)


def _check_container(container: dict[str, Any]) -> None:
    for field in ("command", "args"):
        words = _of_type(container, field, list, within="spec.containers.")
        if not all(isinstance(word, str) and "\0" not in word for word in words):
            raise _invalid(f"spec.containers.{field}", "needed a list of words")
    for entry in _of_type(container, "env", list, within="spec.containers."):
        if not isinstance(entry, dict) or not _is_variable(entry.get("name")):
            raise _invalid("spec.containers.env", f"needed a name and a value, found {entry!r}")
        if "valueFrom" in entry:
            raise _invalid("spec.containers.env", "this machine takes plain values only, not valueFrom")


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _is_variable(name: object) -> bool:
    return isinstance(name, str) and bool(name) and "=" not in name and "\0" not in name


def _of_type(holder: dict[str, Any], field: str, kind: type[Any], *, within: str = "") -> Any:
    """The field's value, or an empty one of its kind where it is absent."""
    value = holder.get(field)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise _invalid(f"{within}{field}", f"needed a {'list' if kind is list else 'mapping'}, found {value!r}")
    return value


def _invalid(field: str, message: str) -> Refusal:
    return Refusal(422, "Invalid", f"{field}: {message}")
