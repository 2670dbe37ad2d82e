"""The report and the gate's data docs as they were built last. Building them belongs to the verbs."""

from pathlib import Path

from fastapi import HTTPException
from fastapi.responses import FileResponse, HTMLResponse, Response

from operators.scheduling.page.reading import settings

HEADERS = {
    # One file with its own style and script, which fetches nothing.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src data:; frame-ancestors 'self'; form-action 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # the next report has the same addresses
}
_PAGE = """<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>meltlake</title>
<style>p { font: 1rem sans-serif; margin: 2rem }</style><p>{}</p>"""
_NOT_YET = {
    "report": "There is no report yet. The Dag <b>report</b> builds one as soon as frames were ingested; "
    "<code>meltlake report</code> does the same by hand.",
    "data_docs": "Nothing was judged yet. The task <b>gate</b> of the Dag <b>ingest</b> writes these pages for every "
    "run that it stores; <code>meltlake validate</code> does the same by hand.",
}


def served(folder_name: str, path: str) -> Response:
    """A file below one of the home's folders and nothing outside it; a sentence where its index is not there yet.

    Raises
    ------
    HTTPException
        If there is no such file.
    """
    folder = (settings().home / folder_name).resolve()
    wanted = _inside(folder, path or "index.html")
    if wanted is not None and wanted.is_file():
        return FileResponse(wanted, headers=HEADERS)
    if path in ("", "index.html"):
        return HTMLResponse(_PAGE.replace("{}", _NOT_YET[folder_name]), headers=HEADERS)
    raise HTTPException(404)


def has_page(folder_name: str, path: str) -> bool:
    """Whether there is such a file."""
    wanted = _inside((settings().home / folder_name).resolve(), path)
    return wanted is not None and wanted.is_file()


def _inside(folder: Path, path: str) -> Path | None:
    try:
        wanted = (folder / path).resolve()
    except (OSError, ValueError):  # a null byte, a name that is too long
        return None
    return wanted if wanted.is_relative_to(folder) else None
