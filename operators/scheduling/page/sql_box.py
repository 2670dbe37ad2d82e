"""The SQL box: a stranger's question to the warehouse, and the tables that can be asked. The sandbox is `lake`'s."""

import csv
import io
import json
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response

from operators.scheduling.page.cells import number, whole
from operators.scheduling.page.examples import EXAMPLES
from operators.scheduling.page.questions import Run, rows_of
from operators.scheduling.page.reading import reading, settings
from operators.scheduling.page.rendering import HEADERS, shown
from schemas.errors import MeltlakeError

if TYPE_CHECKING:
    from lake.sandbox import Answer

router = APIRouter()

SHOWN_ROWS, SHOWN_SECONDS = 1000, 10.0
DOWNLOADED_ROWS, DOWNLOAD_SECONDS = 100_000, 30.0
_MOST_CHARACTERS = 100_000
_NUMBERS = ("INT", "DOUBLE", "FLOAT", "DECIMAL")
_COLUMNS = """
with described as (
    select table_name as name, comment from duckdb_tables() where not internal
    union all
    select view_name, comment from duckdb_views() where not internal
)
select name, described.comment as about, column_name, data_type, columns.comment as meaning
from duckdb_columns() columns join described on described.name = columns.table_name
where not columns.internal and not starts_with(name, '_')
order by name, column_index
"""


async def typed_query(request: Request) -> str:
    """The query that a form has sent.

    Raises
    ------
    HTTPException
        If another site sent it, or it is longer than anybody types.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise HTTPException(403, "Another site sent this form.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_CHARACTERS:
            raise HTTPException(413, "The query is too long.")
    sent = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return sent.get("query", [""])[0].strip()


Query = Annotated[str, Depends(typed_query)]


@router.get("/sql")
def show_box(request: Request, query: str = "") -> Response:
    """The box, with a query in it that a link brought; it runs when somebody says so."""
    return _box(request, query[:_MOST_CHARACTERS])


@router.post("/sql")
def show_answer(request: Request, query: Query) -> Response:
    """The box with the answer below it."""
    try:
        return _box(request, query, answer=_asked(query, rows=SHOWN_ROWS, seconds=SHOWN_SECONDS))
    except MeltlakeError as error:
        return _box(request, query, error=error)


@router.post("/sql.csv")
def download_answer(request: Request, query: Query) -> Response:
    """The answer as a file, whose name says if it is not the whole of it."""
    try:
        answer = _asked(query, rows=DOWNLOADED_ROWS, seconds=DOWNLOAD_SECONDS)
    except MeltlakeError as error:
        return _box(request, query, error=error)
    name = f"first-{DOWNLOADED_ROWS}-rows.csv" if answer.is_cut else "answer.csv"
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(as_csv(answer), media_type="text/csv; charset=utf-8", headers=HEADERS | disposition)


def _asked(query: str, *, rows: int, seconds: float) -> "Answer":
    from lake.sandbox import Limits, ask  # DuckDB is for the API server alone, and Airflow loads plugins everywhere

    return ask(settings(), query, limits=Limits(rows=rows, seconds=seconds))


def _box(
    request: Request, query: str, *, answer: "Answer | None" = None, error: MeltlakeError | None = None
) -> Response:
    with reading() as run:
        tables = schema(run)
    content: dict[str, Any] = {"query": query, "error": error, "answer": answer, "tables": tables, "examples": EXAMPLES}
    content |= {"most_rows": SHOWN_ROWS, "seconds": SHOWN_SECONDS, "most_downloaded": DOWNLOADED_ROWS}
    if answer is not None:
        numbers = [_is_number(type_) for type_ in answer.types]
        content["columns"] = list(zip(answer.columns, answer.types, numbers, strict=True))
        content["rows"] = [list(zip(map(as_text, row), numbers, strict=True)) for row in answer.rows]
    return shown(request, "sql", content, tab="sql", status=400 if error else 200)


def as_csv(answer: "Answer") -> str:
    """All rows, with lists and structs as JSON."""
    written = io.StringIO()
    out = csv.writer(written, lineterminator="\n")
    out.writerow(answer.columns)
    for row in answer.rows:
        out.writerow([json.dumps(value) if isinstance(value, list | dict) else value for value in row])
    return written.getvalue()


def schema(run: Run) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Every table and view with what it tells and its columns, as the warehouse itself says."""
    rows = groupby(rows_of(run, _COLUMNS), key=lambda row: (row["name"], row["about"] or ""))
    return [(name, about, list(columns)) for (name, about), columns in rows]


def as_text(value: object) -> str:
    """One value of an answer."""
    match value:
        case None:
            return "–"
        case bool():
            return "true" if value else "false"
        case int():
            return whole(value) if abs(value) >= 10_000 else str(value)
        case float():
            return number(value)
        case list() | dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


def _is_number(type_: str) -> bool:
    return any(name in type_ for name in _NUMBERS) and not type_.endswith("]")
