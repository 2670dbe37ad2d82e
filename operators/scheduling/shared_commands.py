"""Commands that share runs among pods, by what each takes. Which runs there are to do belongs in `plans`."""

from collections.abc import Iterable, Mapping
from typing import Any

from operators.scheduling.batches import Work, batches, parts
from operators.scheduling.estimates import judge_s, observe_s

Commands = list[list[str]]
Rows = Iterable[Mapping[str, Any]]
"""Of the table `runs`."""


def to_ingest(work: Mapping[str, Work]) -> Commands:
    """Addresses to be ingested: many small ones by one command, a large one by several."""
    n_parts = parts(work)
    large = [
        ["ingest", address, "--part", f"{number}/{of}"]
        for address, of in n_parts.items()
        for number in range(1, of + 1)
        if of > 1
    ]
    small = batches({address: one.seconds for address, one in work.items() if n_parts[address] == 1})
    return [*large, *(["ingest", *addresses] for addresses in small)]


def to_judge(runs: Rows) -> Commands:
    """Runs whose verdict is to be shown."""
    return [["validate", "--require", *names] for names in batches({run["run_id"]: judge_s(run) for run in runs})]


def to_observe(runs: Rows, *options: str) -> Commands:
    """Runs to be observed; the options go with every command."""
    shared = batches({str(run["run_id"]): observe_s(run) for run in runs})
    return [["observe", "--run", *names, *options] for names in shared]
