"""What the pod API takes and refuses: whatever is posted, the answer is a pod or a reason, never a crash."""

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.scheduling.pod_manifest import GPU, Refusal, check, n_gpus, quantity
from tests.scheduling.conftest import PODS, PodClient

FINE: dict[str, Any] = {"containers": [{"name": "base", "command": ["true"]}]}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", "2"),
        (1, "1"),
        ("500m", "0.5"),
        ("1k", "1000"),
        ("2Gi", "2147483648"),
        ("1e3", "1000"),
        ("1.5M", "1500000"),
    ],
)
def test_quantities_are_read_as_kubernetes_writes_them(text: object, number: str) -> None:
    assert quantity(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "two", "1 k", "1kk", "0x1", "1e", True, None, [1]])
def test_what_is_no_quantity_is_told(text: object) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        quantity(text)


@pytest.mark.parametrize(("text", "n"), [("1k", 1000), ("2000m", 2), (3, 3)])
def test_gpus_may_be_asked_for_in_any_spelling(text: object, n: int) -> None:
    assert n_gpus({"containers": [{"resources": {"limits": {GPU: text}}}, {}]}) == n


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"containers": [{"name": "base", "resources": {"limits": {GPU: "500m"}}}]}, "nvidia.com/gpu"),
        ({"containers": [{"name": "base", "resources": {"limits": {GPU: "some"}}}]}, "nvidia.com/gpu"),
        ({"containers": [{"name": "base", "resources": {"limits": ["1"]}}]}, "resources.limits"),
        ({"containers": [{"name": "base", "command": "true"}]}, "command"),
        ({"containers": [{"name": "base", "args": [1]}]}, "args"),
        ({"containers": [{"name": "base", "env": [{"name": "A=B", "value": ""}]}]}, "env"),
        ({"containers": [{"name": "base", "env": [{"name": "A", "valueFrom": {}}]}]}, "valueFrom"),
        ({"containers": [{"name": "../up"}]}, "name"),
        ({"containers": "base"}, "containers"),
        (FINE | {"activeDeadlineSeconds": "soon"}, "activeDeadlineSeconds"),
        (FINE | {"terminationGracePeriodSeconds": -1}, "terminationGracePeriodSeconds"),
    ],
)
def test_manifest_that_cannot_be_run_is_refused_with_the_field(client: PodClient, spec: Any, field: str) -> None:
    status, answer = client.ask("POST", PODS, {"metadata": {"name": "odd"}, "spec": spec})
    assert (status, answer["reason"]) == (422, "Invalid")
    assert field in answer["message"]


@pytest.mark.parametrize("metadata", [[], {"name": 5}, {"name": "../x"}, {"labels": {"a": 1}}, {"name": "A" * 300}])
def test_names_and_labels_that_are_none_are_refused(client: PodClient, metadata: Any) -> None:
    status, answer = client.ask("POST", PODS, {"metadata": metadata, "spec": FINE})
    assert (status, answer["reason"]) == (422, "Invalid")


def test_more_than_the_machine_has_is_refused_in_any_spelling(client: PodClient) -> None:
    container = {"name": "base", "command": ["true"], "resources": {"limits": {GPU: "1k"}}}
    status, answer = client.ask("POST", PODS, {"metadata": {"name": "big"}, "spec": {"containers": [container]}})
    assert (status, answer["reason"]) == (403, "Forbidden")
    assert "asks for 1000 GPUs" in answer["message"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
containers = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("name", "command", "args", "env", "resources"), json_values)
)


@given(
    st.fixed_dictionaries(
        {"metadata": json_values, "spec": st.fixed_dictionaries({"containers": st.lists(containers) | json_values})}
    )
)
def test_no_manifest_is_answered_with_a_crash(manifest: dict[str, Any]) -> None:
    with suppress(Refusal):
        check(manifest)
        assert n_gpus(manifest["spec"]) == 0, "no text that short asks for a GPU"


def test_only_labels_and_annotations_of_a_pod_change(client: PodClient) -> None:
    client.run("fixed", "pass")
    for change in ({"spec": {"containers": None}}, {"metadata": {"labels": {"a": 1}}}, {"metadata": "none"}):
        assert client.ask("PATCH", f"{PODS}/fixed", change)[0] == 422
    status, pod = client.ask("PATCH", f"{PODS}/fixed", {"metadata": {"name": "other", "annotations": {"a": "b"}}})
    assert (status, pod["metadata"]["name"], pod["metadata"]["annotations"]) == (200, "fixed", {"a": "b"})


@pytest.mark.parametrize("query", ["sinceSeconds=soon", "tailLines=-1", "sinceSeconds=nan", "tailLines=1.5"])
def test_log_queries_that_are_no_numbers_are_refused(client: PodClient, query: str) -> None:
    client.run(f"log-{abs(hash(query))}", "pass")
    client.wait(f"log-{abs(hash(query))}", "Succeeded")
    assert client.ask("GET", f"{PODS}/log-{abs(hash(query))}/log?{query}")[0] == 400
