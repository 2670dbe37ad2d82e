"""Where Airflow asks nobody for a password: refuses what a page from elsewhere makes a browser of this machine send.

Listening on the loopback address keeps other machines out, not their pages in a browser here. Such a page may send
forms, and by a name of its own that leads to 127.0.0.1 it would count as Airflow's.
"""

import re

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from operators.scheduling.airflow_environment import LOOPBACK

_NAMES = {LOOPBACK, "localhost", "[::1]"}
_READING = {"GET", "HEAD", "OPTIONS"}


class OwnPages:
    """Passes on what was asked of this machine by its own name, and changes that no other site has sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] in {"http", "websocket"} and not _is_own(scope):
            sentence = "This Airflow answers its own pages only, as localhost or 127.0.0.1."
            await PlainTextResponse(sentence, status_code=403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_own(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    name = re.sub(r":\d+$", "", headers.get("host", "")).lower()
    is_sent_from_here = headers.get("sec-fetch-site", "none") in {"none", "same-origin"}
    return name in _NAMES and (is_sent_from_here or scope.get("method") in _READING)
