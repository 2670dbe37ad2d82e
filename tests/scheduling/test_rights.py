"""What Airflow asks of a cluster's API is what the Role grants: every call is listed, none is granted for nothing."""

import asyncio
import re
import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes.client.rest
import kubernetes_asyncio.client.rest
import pytest
import yaml
from airflow.sdk.exceptions import AirflowException, TaskDeferred
from kubernetes.client.exceptions import ApiException

from tests.scheduling.conftest import ROOT, PodClient
from tests.scheduling.lives import Task, stored

_PATH = re.compile(
    r"/api/v1/namespaces/(?P<namespace>[^/]+)/(?P<kind>pods|events)(/(?P<name>[^/]+)(/(?P<part>\w+))?)?$"
)


def _right(method: str, url: str) -> tuple[str, str]:
    """Verb and resource of a request, as RBAC counts them."""
    parts = urlsplit(url)
    match = _PATH.match(parts.path)
    assert match, f"no Role can grant {method} {url}"
    assert match["namespace"] == "meltlake"
    watches = parse_qs(parts.query).get("watch") == ["True"]
    reading = "get" if match["name"] else "watch" if watches else "list"
    verb = {"GET": reading, "POST": "create", "PATCH": "patch", "DELETE": "delete"}[method]
    return verb, f"{match['kind']}/{match['part']}" if match["part"] else match["kind"]


@pytest.fixture
def rights(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Fills with the rights that both Kubernetes clients use."""
    used: set[tuple[str, str]] = set()
    for rest in (kubernetes.client.rest, kubernetes_asyncio.client.rest):
        monkeypatch.setattr(rest.RESTClientObject, "request", _noting(rest.RESTClientObject.request, used))
    return used


def _noting(request: Any, used: set[tuple[str, str]]) -> Any:
    def noted(self: object, method: str, url: str, *args: object, **settings: Any) -> Any:
        query = settings.get("query_params") or []
        used.add(_right(method, f"{url}?{'&'.join(f'{name}={value}' for name, value in query)}"))
        return request(self, method, url, *args, **settings)

    return noted


def _granted() -> set[tuple[str, str]]:
    documents = yaml.safe_load_all((ROOT / "deploy" / "rbac.yaml").read_text())
    [role] = [one for one in documents if one["kind"] == "Role" and one["metadata"]["name"] == "meltlake-launcher"]
    assert all(rule["apiGroups"] == [""] for rule in role["rules"])
    return {(verb, kind) for rule in role["rules"] for kind in rule["resources"] for verb in rule["verbs"]}


def _cancel(task: Task) -> None:
    operator, context = task.next_try()
    task.state = "failed"
    if operator.deferrable:
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(context)
        asyncio.run(stored(deferred.value.trigger).on_kill())
    else:
        threading.Timer(1.0, operator.on_kill).start()
        with pytest.raises((AirflowException, ApiException)):
            operator.execute(context)


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
def test_role_grants_what_the_operator_asks_for_and_no_more(
    connected: PodClient, rights: set[tuple[str, str]], deferrable: bool
) -> None:
    mode = "deferred" if deferrable else "sync"
    Task(connected, f"fine-{mode}", "print('done')", deferrable=deferrable).run()
    found_again = Task(connected, f"again-{mode}", "pass", deferrable=deferrable)
    found_again.begin()
    found_again.run()
    with pytest.raises(AirflowException, match="Exit 75"):
        Task(connected, f"fails-{mode}", "import sys; sys.exit(75)", deferrable=deferrable).run()
    told = "import time; print('up', flush=True); time.sleep(2.5)"
    Task(connected, f"logs-{mode}", told, deferrable=deferrable, logging_interval=1).run()
    _cancel(Task(connected, f"stop-{mode}", "import time; time.sleep(30)", deferrable=deferrable))
    assert rights == _granted()
