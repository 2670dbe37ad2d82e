"""Pages about what a command works on: `observe --run ID` has the page of that run. It knows addresses, no rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

Options = dict[str, list[str]]

_MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class Target:
    """A page of ours: its name, and its address below the page's root."""

    name: str
    href: str


def targets(arguments: Sequence[str]) -> list[Target]:
    """Where the results of `meltlake <arguments>` are shown, the most telling one first."""
    verb, values, options = _parsed(arguments)
    found = _SHOWN.get(verb)
    return found(values, options) if found else []


def _ingested(sources: list[str], _: Options) -> list[Target]:
    return [Target(_last_part(source), f"runs?{urlencode({'search': source})}") for source in sources[:_MOST_NAMED]]


def _judged(run_ids: list[str], options: Options) -> list[Target]:
    named = [*run_ids, *options.get("require", [])][:_MOST_NAMED]
    pages = [(_run(run, "rejected"), Target(f"Data docs of {run}", f"docs?run={quote(run, safe='')}")) for run in named]
    return [target for pair in pages for target in pair]


def _observed(_: list[str], options: Options) -> list[Target]:
    found = [_run(run) for run in options.get("run", [])[:_MOST_NAMED]]
    for potential in options.get("potential", []):
        place = f"potentials/{quote(potential, safe='')}"
        found += [Target(f"Potential {potential}", place), Target("Learning curve", f"{place}/learning-curve")]
    return found


def _trained(training_sets: list[str], options: Options) -> list[Target]:
    columns = {"recipe": "recipe", "seed": "seed", "steps": "n_steps", "backend": "backend"}
    chosen = _chosen(columns, options) | {"open": "learning-curve"}
    return [
        Target("Learning curve", f"potentials?{urlencode({'training_set_id': one} | chosen)}") for one in training_sets
    ]


def _simulated(potentials: list[str], options: Options) -> list[Target]:
    columns = {"protocol": "protocol", "composition": "composition", "temperature-k": "temperature_target_k"}
    chosen = _chosen(columns, options) | {"open": "agreement"}
    return [Target("Simulation", f"runs?{urlencode({'potential_id': one} | chosen)}") for one in potentials]


_SHOWN: dict[str, Callable[[list[str], Options], list[Target]]] = {
    "ingest": _ingested,
    "validate": _judged,
    "observe": _observed,
    "train": _trained,
    "simulate": _simulated,
    "publish": lambda *_: [Target("Overview", "")],
    "report": lambda *_: [Target("Report", "report")],
}


def _chosen(columns: dict[str, str], options: Options) -> dict[str, str]:
    return {column: options[name][0] for name, column in columns.items() if options.get(name)}


def _run(run_id: str, tab: str = "") -> Target:
    return Target(f"Run {run_id}", f"runs/{quote(run_id, safe='')}{'/' if tab else ''}{tab}")


def _parsed(arguments: Sequence[str]) -> tuple[str, list[str], Options]:
    """Verb, values before any option, and values by option: enough for the commands that plans type."""
    verb, *words = arguments or [""]
    values: list[str] = []
    options: Options = {}
    into = values
    for word in words:
        if word.startswith("--"):
            name, _, value = word.removeprefix("--").partition("=")
            into = options.setdefault(name, [value] if value else [])
        else:
            into.append(word)
    return verb, values, options


def _last_part(source: str) -> str:
    return source.rstrip("/").rsplit("/", 1)[-1] or source
