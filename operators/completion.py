"""The verb `completion`, and what a shell gets that asks: verbs and options by the parser, ids by the warehouse."""

import argparse
import os
from collections.abc import Iterator, Mapping

from schemas.errors import MeltlakeError
from schemas.settings import Settings

ASKED_BY = "_ARGCOMPLETE"
"""Set by a shell that wants to know how a line may go on."""

_RUNS = "select run_id, concat_ws(' ', origin, coalesce(protocol, ensemble), 'of', composition) from runs"
_POTENTIALS = "select potential_id, recipe || ' seed ' || seed from potentials"
_SETS = "select training_set_id, array_to_string(type_map, '-') || ', ' || n_train || ' frames' from training_sets"
_WORDS = {
    "RUN_ID": _RUNS,
    "POTENTIAL": _POTENTIALS,
    "TRAINING_SET": _SETS,
    "ID": f"{_RUNS} union all {_POTENTIALS} union all {_SETS}",
    "COMPOSITION": "select composition, count(*) || ' runs' from runs group by composition",
    "RECIPE": "select recipe, '' from recipes",
    "RULE": "select distinct expectation, reason from expectation_results",
    "SOURCE_ID": "select distinct source_id, citation from experiments where added_from is not null",
    "TABLE": "select table_name, n_rows || ' rows' from _meta where lake_version >= 0",
}
"""What an argument of that name may be, and what to say beside it."""


def completion(shell: str) -> dict[str, object]:
    """What to evaluate in that shell's start-up file."""
    from argcomplete.shell_integration import shellcode

    return {"shell": shell, "script": shellcode(["meltlake"], shell=shell)}


def completion_text(answer: Mapping[str, object]) -> str:
    """The script alone."""
    return str(answer["script"])


def answer_shell(parser: argparse.ArgumentParser) -> None:
    """Write how the line may go on to the shell that asked, and end."""
    import argcomplete

    for action in _actions(parser):
        if action.metavar in _WORDS:
            action.completer = _Ids(_WORDS[str(action.metavar)])  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to them
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for one in action.choices.values():
                yield from _actions(one)


class _Ids:
    """Ids in the published warehouse, each with what it is."""

    def __init__(self, sql: str) -> None:
        self._sql = sql

    def __call__(self, *, parsed_args: argparse.Namespace, **_: object) -> dict[str, str]:
        from lake.warehouse import published

        places = {name: getattr(parsed_args, name, None) for name in ("lake", "landing", "warehouse")}
        try:
            with published(Settings.from_mapping(os.environ, **places)) as run:
                ids, says = run(self._sql).to_pydict().values()
                return dict(zip(ids, map(str, says), strict=True))
        except MeltlakeError:  # nothing is published yet
            return {}
