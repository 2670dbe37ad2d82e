"""The part of the Kubernetes API that the pod operator and kubectl ask for, as aiohttp routes. Pods live elsewhere."""

import json
import math
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from aiohttp import web

from operators.scheduling.local_pods import LocalPods, Pod, grace_of
from operators.scheduling.pod_logs import LogQuery
from operators.scheduling.pod_manifest import Refusal

_Number = TypeVar("_Number", int, float)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_NAMESPACE = "/api/v1/namespaces/{namespace}"
_PODS = web.AppKey("pods", LocalPods)
_LARGEST_REQUEST_BYTES = 3 << 20  # as an API server


def application(pods: LocalPods, token: str) -> web.Application:
    """The web application; every request must carry the token."""
    app = web.Application(middlewares=[_refusals, _authorised(token)], client_max_size=_LARGEST_REQUEST_BYTES)
    app[_PODS] = pods
    app.router.add_get("/version", _version)
    app.router.add_get("/{root:api|apis}", _discovery)
    app.router.add_get("/api/v1", _resources)
    app.router.add_get("/api/v1/pods", _list)
    app.router.add_post(f"{_NAMESPACE}/pods", _create)
    app.router.add_get(f"{_NAMESPACE}/pods", _list)
    app.router.add_get(f"{_NAMESPACE}/pods/{{name}}", _read)
    app.router.add_patch(f"{_NAMESPACE}/pods/{{name}}", _patch)
    app.router.add_delete(f"{_NAMESPACE}/pods/{{name}}", _delete)
    app.router.add_get(f"{_NAMESPACE}/pods/{{name}}/log", _log)
    app.router.add_get(f"{_NAMESPACE}/events", _events)
    return app


def label_test(selector: str) -> Callable[[dict[str, str]], bool]:
    """A test of labels from an equality selector: `a=b`, `a==b`, `a!=b`, `a`, `!a`, joined by commas.

    Raises
    ------
    Refusal
        With 400 for a selector of sets, `a in (b, c)`: it would be read as another one.
    """
    if "(" in selector:
        raise Refusal(400, "BadRequest", f"this API takes equality selectors only, not {selector!r}")
    tests = [_requirement(part.strip()) for part in selector.split(",") if part.strip()]
    return lambda labels: all(test(labels) for test in tests)


def _requirement(part: str) -> Callable[[dict[str, str]], bool]:
    if "!=" in part:
        name, _, value = part.partition("!=")
        return lambda labels: labels.get(name.strip()) != value.strip()  # an absent label differs too
    if "=" in part:
        name, _, value = part.partition("=")
        return lambda labels: labels.get(name.strip()) == value.lstrip("=").strip()
    if part.startswith("!"):
        return lambda labels: part[1:].strip() not in labels
    return lambda labels: part in labels


def _authorised(token: str) -> Any:
    expected = f"Bearer {token}".encode()

    @web.middleware
    async def middleware(request: web.Request, handler: _Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
        if not secrets.compare_digest(given, expected):
            raise Refusal(401, "Unauthorized", "Unauthorized")
        return await handler(request)

    return middleware


@web.middleware
async def _refusals(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as refusal:
        return _status(refusal.code, refusal.reason, refusal.message)
    except web.HTTPException as error:
        return _status(error.status, error.reason.replace(" ", ""), f"{request.method} {request.path}: {error.reason}")


def _status(code: int, reason: str, message: str) -> web.Response:
    answer = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return web.json_response(answer | {"reason": reason, "message": message, "code": code}, status=code)


def _object(pod: Pod) -> dict[str, Any]:
    return {"kind": "Pod", "apiVersion": "v1"} | pod.as_json()


def _named(request: web.Request) -> Pod:
    return request.app[_PODS].find(request.match_info["namespace"], request.match_info["name"])


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        content = json.loads(await request.read() or b"{}")
    except ValueError as error:
        raise Refusal(400, "BadRequest", f"the body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise Refusal(400, "BadRequest", "the body is not a JSON object")
    return content


async def _create(request: web.Request) -> web.Response:
    pod = request.app[_PODS].create(request.match_info["namespace"], await _body(request))
    return web.json_response(_object(pod), status=201)


async def _list(request: web.Request) -> web.Response:
    if _is_true(request.query.get("watch")):
        raise Refusal(405, "MethodNotAllowed", "this API does not answer watches; ask again instead")
    wanted = label_test(request.query.get("labelSelector", ""))
    found = request.app[_PODS].listed(request.match_info.get("namespace"), wanted)
    return web.json_response(_list_of("PodList", [_object(pod) for pod in found]))


async def _read(request: web.Request) -> web.Response:
    return web.json_response(_object(_named(request)))


async def _patch(request: web.Request) -> web.Response:
    return web.json_response(_object(request.app[_PODS].patch(_named(request), await _body(request))))


async def _delete(request: web.Request) -> web.Response:
    pod = _named(request)
    # The synchronous client says the grace in the query, the trigger's in the body.
    given = request.query.get("gracePeriodSeconds") or (await _body(request)).get("gracePeriodSeconds")
    request.app[_PODS].delete(pod, grace_of(pod.manifest) if given is None else _number(given, float))
    return web.json_response(_object(pod))


async def _log(request: web.Request) -> web.StreamResponse:
    pod = _named(request)
    wanted = request.query.get("container") or pod.containers[0].name
    container = next((container for container in pod.containers if container.name == wanted), None)
    if container is None:
        raise Refusal(400, "BadRequest", f"container {wanted} is not valid for pod {pod.key[1]}")
    if not container.started:
        raise Refusal(400, "BadRequest", f'container "{wanted}" in pod "{pod.key[1]}" is waiting to start')
    since, tail = request.query.get("sinceSeconds"), request.query.get("tailLines")
    query = LogQuery(
        follow=_is_true(request.query.get("follow")),
        timestamps=_is_true(request.query.get("timestamps")),
        since_seconds=None if since is None else _number(since, float),
        tail_lines=None if tail is None else _number(tail, int),
    )
    answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
    with suppress(ConnectionResetError):  # a worker that was killed listens no more
        await answer.prepare(request)
        async for chunk in container.log.lines(query):
            await answer.write(chunk)
        await answer.write_eof()
    return answer


async def _events(request: web.Request) -> web.Response:
    del request
    return web.json_response(_list_of("EventList", []))


async def _version(request: web.Request) -> web.Response:
    del request
    return web.json_response({"major": "1", "minor": "36", "gitVersion": "v1.36.0-meltlake", "platform": "local"})


async def _discovery(request: web.Request) -> web.Response:
    if request.match_info["root"] == "api":
        return web.json_response({"kind": "APIVersions", "versions": ["v1"]})
    return web.json_response({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})


async def _resources(request: web.Request) -> web.Response:
    del request
    verbs = ["create", "delete", "get", "list", "patch"]
    pods = {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": verbs}
    log = {"name": "pods/log", "singularName": "", "namespaced": True, "kind": "Pod", "verbs": ["get"]}
    return web.json_response({"kind": "APIResourceList", "groupVersion": "v1", "resources": [pods, log]})


def _list_of(kind: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": "0"}, "items": items}


def _is_true(text: str | None) -> bool:
    return (text or "").lower() in {"true", "1"}  # the Python clients write True and False


def _number(text: object, kind: type[_Number]) -> _Number:
    try:
        number = kind(str(text))
    except ValueError:
        raise Refusal(400, "BadRequest", f"{text!r} is not a number") from None
    if not 0 <= number < math.inf:
        raise Refusal(400, "BadRequest", f"{text!r} is no number of seconds or lines")
    return number
