"""Links on Airflow's tasks to the page. A worker writes them, who sees no warehouse: they know addresses, no rows."""

from typing import Any
from urllib.parse import urlsplit

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

from operators.scheduling.page.commands import targets

PREFIX = "/meltlake"
ROUTE = "meltlake-results"
"""Airflow shows the page below `/plugin/<route>`, and keeps the page's own address behind it."""


def address(href: str) -> str:
    """Address of one of our pages inside Airflow, also where Airflow is served below a path."""
    below = urlsplit(conf.get("api", "base_url", fallback="/") or "/").path.rstrip("/")
    return f"{below}/plugin/{ROUTE}{below}{PREFIX}/{href}"


class _Link(BaseOperatorLink):
    """The first page about the task's command whose address is of a kind; no link where there is none."""

    _wanted = ""
    _verbs: tuple[str, ...] = ()

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        arguments = [str(word) for word in operator.arguments or []]
        if not arguments or (self._verbs and arguments[0] not in self._verbs):
            return ""
        return next((address(target.href) for target in targets(arguments) if self._wanted in target.href), "")


class ResultLink(_Link):
    """What the command has made."""

    name = "Result"
    _verbs = ("ingest", "validate", "observe", "simulate", "publish")


class LearningCurveLink(_Link):
    """How the potential learnt."""

    name = "Learning curve"
    _wanted = "learning-curve"


class DataDocsLink(_Link):
    """What the gate said."""

    name = "Data docs"
    _wanted = "docs?"


class ReportLink(_Link):
    """The report of all figures."""

    name = "Report"
    _wanted = "report"
    _verbs = ("report",)


LINKS = (ResultLink(), LearningCurveLink(), DataDocsLink(), ReportLink())
