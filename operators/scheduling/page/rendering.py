"""Pages as HTML: one Jinja environment that escapes everything, and the headers of every answer."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from operators.scheduling.page.cells import size, whole

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-src 'self'; frame-ancestors 'self'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",  # the next warehouse has the same addresses
}
TABS = (
    ("", "Overview"),
    ("compositions", "Compositions"),
    ("potentials", "Potentials"),
    ("runs", "Runs"),
    ("sql", "SQL"),
    ("report", "Report"),
    ("docs", "Data docs"),
)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["path"] = lambda text: quote(str(text), safe="")
    environment.filters["whole"] = whole
    environment.filters["size"] = size
    return environment


def shown(
    request: Request, template: str, content: Mapping[str, Any], *, tab: str = "", status: int = 200
) -> HTMLResponse:
    """A page, with the tabs above it and the warehouse that it is of.

    Parameters
    ----------
    request
        Tells below which address the page is served.
    template
        Its file, without `.html.j2`.
    content
        What it shows.
    tab
        The one that it belongs to.
    status
        Of the answer.
    """
    around = {"base": request.scope.get("root_path", ""), "tabs": TABS, "tab": tab, "template": template}
    around |= {"version": request.state.version, "published_at": request.state.published_at}
    text = _environment().get_template(f"{template}.html.j2").render(**around, **content)
    return HTMLResponse(text, status_code=status, headers=HEADERS)
