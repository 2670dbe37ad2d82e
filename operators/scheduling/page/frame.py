"""A page with what every page says: of which warehouse it is."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from operators.scheduling.page.reading import published_at, version
from operators.scheduling.page.rendering import page


def shown(request: Request, template: str, content: Mapping[str, Any], *, tab: str = "", status: int = 200) -> Response:
    """The page of a template."""
    frame = {"version": version(), "published_at": published_at()}
    return page(request, template, frame | dict(content), tab=tab, status_code=status)
