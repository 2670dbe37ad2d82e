"""What the tasks of a Dag run worked on, from Airflow's own tables, with the pages about it."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import select
from sqlalchemy.orm import Session

from operators.scheduling.page.commands import Target, targets

_MOST_TASKS = 500


@dataclass(frozen=True, slots=True)
class Worked:
    """A task with its command."""

    task_id: str
    map_index: int
    state: str
    command: str
    targets: list[Target]


def worked_on(
    session: Session, dag_id: str, run_id: str, *, task_id: str | None = None, map_index: int | None = None
) -> list[Worked]:
    """Tasks of a Dag run that ran a command, in the order of their starts; those of one task, or that task alone."""
    fields, tasks = RenderedTaskInstanceFields, TaskInstance
    wanted = (
        select(fields.task_id, fields.map_index, tasks.state, fields.rendered_fields)
        .join(
            tasks,
            (tasks.dag_id == fields.dag_id)
            & (tasks.run_id == fields.run_id)
            & (tasks.task_id == fields.task_id)
            & (tasks.map_index == fields.map_index),
        )
        .where(fields.dag_id == dag_id, fields.run_id == run_id)
        .order_by(tasks.start_date, fields.task_id, fields.map_index)
        .limit(_MOST_TASKS)
    )
    if task_id is not None:
        wanted = wanted.where(fields.task_id == task_id)
    if map_index is not None:
        wanted = wanted.where(fields.map_index == map_index)
    found = session.execute(wanted).all()
    told = [(name, place, state, _arguments(rendered)) for name, place, state, rendered in found]
    return [
        Worked(name, place, state or "none", " ".join(["meltlake", *arguments]), targets(arguments))
        for name, place, state, arguments in told
        if arguments
    ]


def _arguments(rendered: dict[str, Any]) -> Sequence[str]:
    """The command's words; Airflow keeps long lists as text."""
    arguments = rendered.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = ast.literal_eval(arguments)
        except (SyntaxError, ValueError):
            return []
    return [str(word) for word in arguments] if isinstance(arguments, list) else []
