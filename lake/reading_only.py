"""Whether a query only reads: one SELECT, as DuckDB parses it, whose plan writes nothing. Limits belong in `sealed`."""

import re

import duckdb

from schemas.errors import MeltlakeError

LEFT_OPEN = "disabled_optimizers"
"""The setting that judging a query changes; no query can."""
_WRITING = {"COPY", "INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "ALTER", "DROP", "ATTACH", "LOAD", "SET", "EXPORT"}
"""Words in the names of operators that do more than read; since 2.0 a WITH may hold a COPY, an INSERT ..."""
_JOIN = "PIECEWISE_MERGE_JOIN"
_READING = re.compile(
    r"(read|parquet|duckdb|pragma)_\w+|((python_)?arrow|pandas|seq)_scan|range|generate_series|unnest|repeat(_row)?|"
    r"glob|sniff_csv|json_(each|tree)|summary|icu_calendar_names|pg_timezone_names|test_\w+",
    re.IGNORECASE,
)
"""Functions that a query may read from; others run what a text says, or change what DuckDB keeps."""


def reading(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The query to run, for one SELECT, or EXPLAIN of one, that reads and does nothing else.

    Raises
    ------
    MeltlakeError
        If it is anything else.
    duckdb.Error
        If DuckDB cannot make a plan of it.
    """
    asked, before = (sql, "") if _kinds(sql) != ["EXPLAIN"] else _explained(sql)
    kinds = _kinds(asked)
    if kinds != ["SELECT"]:
        raise _refusal("one SELECT", " and ".join(kinds) or "nothing")
    plan = _plan(connection, asked)
    operators = _said(plan, "name")
    for function in [*_said(plan, "Function"), *(_said(plan, "Name") if "INOUT_FUNCTION" in operators else [])]:
        if not _READING.fullmatch(function):
            raise _refusal("functions that read", function.lower())
    for operator in operators:
        if operator != _JOIN and _WRITING & set(operator.split("_")):
            raise _refusal("one SELECT that only reads", operator.replace("_", " "))
    return before + asked  # what was judged, and no other reading of the same text


def _refusal(needed: str, found: str) -> MeltlakeError:
    return MeltlakeError(
        f"A query reads: it needed {needed} and found {found}.",
        "Open a copy of the warehouse with duckdb to make tables of your own.",
    )


def _plan(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """JSON, as DuckDB would run it, but for what it would compute beforehand: nothing is computed here."""
    connection.execute(f"set {LEFT_OPEN} = 'expression_rewriter,statistics_propagation'")
    try:
        [(_, plan)] = connection.execute(f"explain (format json) {sql}").fetchall()
    finally:
        connection.execute(f"set {LEFT_OPEN} = ''")
    return str(plan)


def _said(plan: str, key: str) -> list[str]:
    """All values of a key. A plan may be deeper than `json` can read; quotes that a query brings are escaped in it."""
    return [value.strip() for value in re.findall(rf'"{key}": "([^"]*)"', plan)]


def _kinds(sql: str) -> list[str]:
    return [statement.type.name for statement in duckdb.extract_statements(sql)]


def _explained(sql: str) -> tuple[str, str]:
    """What an EXPLAIN explains, and the words before it: EXPLAIN ANALYZE runs what it explains, also a COPY."""
    text = sql.encode()  # DuckDB counts bytes
    words = [offset for offset, kind in duckdb.tokenize(sql) if kind != duckdb.token_type.comment]
    rest = [text[start:].decode() for start in words[1:3]]
    if rest and rest[0].lower().startswith(("analyze", "analyse")):
        return (rest[1] if len(rest) > 1 else ""), "explain analyze "
    return (rest[0] if rest else ""), "explain "
