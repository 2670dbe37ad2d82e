"""Sections about the lake itself: its runs, the frames that the gate rejected, and what failed."""

from collections.abc import Sequence

from operators.failures import cause_beside
from operators.report.page import Ask, Cell, Grid, Row, Section, data_kind, number, path, plain, with_error

_MOST_EVENTS_SHOWN = 500


def runs_section(ask: Ask) -> Section:
    """Every run with what was stored of it."""
    sql = """select run_id, origin, composition, formula, synthetic, source_format, ensemble, protocol,
       temperature_target_k, time_step_fs, n_atoms, n_frames, n_accepted, n_rejected, complete, outcome,
       level_of_theory, source_uri
from runs
order by synthetic, chemical_system, composition, origin, run_id"""
    rows = ask(sql)
    cells: list[tuple[Cell, ...]] = [
        (
            row["run_id"],
            data_kind(row["synthetic"]),
            row["origin"].upper(),
            row["composition"],
            plain(row["source_format"]),
            f"{plain(row['ensemble'])} {row['protocol'] or ''}".strip(),
            _how_it_ended(row),
            with_error(row["temperature_target_k"], None, 0),
            number(row["time_step_fs"]),
            *(number(row[name]) for name in ("n_atoms", "n_frames", "n_accepted", "n_rejected")),
        )
        for row in rows
    ]
    head = (
        "run", "data", "origin", "composition", "format", "ensemble", "file", "T set (K)", "time step (fs)", "atoms",
        "frames", "accepted", "rejected",
    )  # fmt: skip
    return Section(
        anchor="runs",
        title="Runs",
        caption="Every run in the lake. Each frame that was read is stored; rejected ones keep their place on the time "
        "axis but are never trained on.",
        sql=sql,
        command="meltlake ingest SOURCE",
        grids=[Grid(head, cells, n_text=7)] if cells else [],
        synthetic=any(row["synthetic"] for row in rows),
    )


def _how_it_ended(row: Row) -> str:
    if str(row["outcome"]).startswith("unphysical"):
        return plain(row["outcome"])
    return "whole" if row["complete"] else "ends early"


def rejections_section(ask: Ask, *, data_docs: str) -> Section:
    """Which frames the gate rejected or flagged, and why.

    Parameters
    ----------
    ask
        Answers SQL.
    data_docs
        Address of the data docs as the report sees it; empty where it cannot tell.
    """
    sql = f"""select run_id, composition, synthetic, severity, expectation, scope, n_unexpected, n_overruled, n_frames,
       observed, expectation_results.reason, error
from expectation_results join runs using (run_id)
where success is distinct from true
order by severity desc, n_unexpected desc, composition, run_id, expectation
limit {_MOST_EVENTS_SHOWN}"""
    rows = ask(sql)
    cells: list[tuple[Cell, ...]] = [
        (
            row["run_id"],
            data_kind(row["synthetic"]),
            row["composition"],
            row["severity"],
            row["expectation"].replace("_", " "),
            plain(row["error"] or row["reason"]),
            plain(row["observed"]),
            _concerned(row),
        )
        for row in rows
    ]
    head = (
        "run",
        "data",
        "composition",
        "severity",
        "rule",
        "why",
        "worst value",
        "frames that failed",
    )
    return Section(
        anchor="rejections",
        title="Rejected and flagged frames",
        caption="Rules of the gate that frames did not meet. A rejected frame stays out of every training set; a flag "
        "only asks for a look."
        + (" Data docs show every such frame, and its run as a picture." if data_docs else "")
        + _cut(rows),
        page=data_docs,
        sql=sql,
        command="",
        when_empty="Every frame met every rule.",
        grids=[Grid(head, cells, n_text=8)] if cells else [],
        synthetic=any(row["synthetic"] for row in rows),
    )


def _concerned(row: Row) -> str:
    if row["scope"] == "run":
        return "the run, overruled" if row["n_overruled"] >= row["n_frames"] else "the run"
    overruled = f", {number(row['n_overruled'])} overruled" if row["n_overruled"] else ""
    return f"{number(row['n_unexpected'])} of {number(row['n_frames'])}{overruled}"


def _cut(rows: Sequence[Row]) -> str:
    return f" The first {_MOST_EVENTS_SHOWN} are shown." if len(rows) == _MOST_EVENTS_SHOWN else ""


def failures_section(ask: Ask) -> Section:
    """What failed when it was last tried, with the remedy."""
    sql = f"""select verb, subject, cause, remedy, failed_at
from task_failures
order by failed_at desc, key
limit {_MOST_EVENTS_SHOWN}"""
    rows = ask(sql)
    cells = [
        (
            plain(row["verb"]),
            path(row["subject"]),
            path(cause_beside(row["subject"], row["cause"])),
            plain(row["remedy"]),
            f"{row['failed_at']:%Y-%m-%d %H:%M}",
        )
        for row in rows
    ]
    return Section(
        anchor="failures",
        title="Failures",
        caption="Sources and steps that failed when they were last tried, with what to do." + _cut(rows),
        sql=sql,
        command="",
        when_empty="Nothing failed when it was last tried.",
        grids=[Grid(("step", "of", "cause", "remedy", "when (UTC)"), cells, n_text=5)] if cells else [],
    )
