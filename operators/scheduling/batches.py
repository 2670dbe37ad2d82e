"""Work shared among tasks: small items together, a large one in parts. Which work there is belongs in `plans`.

A mapped task costs Airflow and the cluster seconds whatever it does (`docs/sizing.md`), and `meltlake` two or three
more to load its libraries. Hence a task gets five seconds of work or more, where there is as much; what has them alone
shares its pod only with what would have been left over.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

LEAST_S = 5.0
"""Of work in a task, start-up not counted."""

MOST_TASKS = 256
"""Of one plan: Airflow maps 1024 at most, and more than this many would wait for each other anyway."""

_PART_S = 60.0
_LEAST_RUNS = 4
"""Of a part, on average: runs are shared out by their names, and hardly any part is left without one."""

Item = TypeVar("Item")


class Work(NamedTuple):
    """How much there is to do."""

    n_runs: int
    seconds: float


def batches(seconds: Mapping[Item, float]) -> list[list[Item]]:
    """Items by task, the longest task first; in a task the shortest item first, since it waits for no long one.

    Parameters
    ----------
    seconds
        What each item takes, in one process.
    """
    found = _gathered(seconds, LEAST_S)
    return found if len(found) <= MOST_TASKS else _gathered(seconds, sum(seconds.values()) / MOST_TASKS)


def _gathered(seconds: Mapping[Item, float], least_s: float) -> list[list[Item]]:
    found: list[list[Item]] = [[]]
    gathered_s = 0.0
    for item in sorted(seconds, key=seconds.__getitem__):
        if gathered_s >= least_s:
            found.append([])
            gathered_s = 0.0
        found[-1].append(item)
        gathered_s += seconds[item]
    if gathered_s < least_s and len(found) > 1:
        left_over = found.pop()
        found[-1] += left_over
    return [one for one in reversed(found) if one]


def parts(work: Mapping[Item, Work]) -> dict[Item, int]:
    """In how many parts, of a minute each or more, to do an item that is many runs; 1 for nearly all."""
    found = _divided(work, _PART_S)
    n_parts = sum(number for number in found.values() if number > 1)
    return found if n_parts <= MOST_TASKS else _divided(work, sum(one.seconds for one in work.values()) / MOST_TASKS)


def _divided(work: Mapping[Item, Work], least_s: float) -> dict[Item, int]:
    return {item: max(1, min(int(one.seconds / least_s), one.n_runs // _LEAST_RUNS)) for item, one in work.items()}
