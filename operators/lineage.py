"""The verb `lineage`: what a run, potential or training set was made from, back to raw files and their checksums.

The view `lineage` says the same row by row, for queries over many.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from shutil import get_terminal_size
from textwrap import fill
from typing import Any

from lake.delta import Lake
from schemas.errors import MeltlakeError
from schemas.settings import Settings
from schemas.tables import TABLES

Row = Mapping[str, Any]

_KEYS = {"run": "run_id", "potential": "potential_id", "training_set": "training_set_id"}
_TOLD = {
    "run": ("origin", "protocol", "ensemble", "composition", "chemical_system", "synthetic", "outcome", "n_frames",
            "source_uri", "source_sha256", "source_bytes", "complete"),
    "potential": ("recipe", "recipe_id", "seed", "n_steps", "backend", "deepmd_version", "path", "sha256"),
    "training_set": ("lake_version", "split_rule", "seed", "n_train", "n_test", "n_held_out", "level_of_theory",
                     "synthetic"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """That one thing was made from another."""

    made: str
    how: str
    kind: str
    source: str


class _Ancestry:
    """What the lake knows of where things come from."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    @cached_property
    def rows(self) -> dict[str, dict[str, Row]]:
        """Rows of each kind by id."""
        tables = {"run": "runs", "potential": "potentials", "training_set": "training_sets"}
        return {
            kind: {row[_KEYS[kind]]: row for row in self._lake.rows(table).to_pylist()}
            for kind, table in tables.items()
        }

    def found(self, name: str) -> list[tuple[str, str]]:
        """Kind and id of what has that name: an id, or a raw file's address or checksum."""
        by_id = [(kind, name) for kind, rows in self.rows.items() if name in rows]
        of_file = ("source_uri", "source_sha256", "content_sha256")
        return by_id or [
            ("run", run_id) for run_id, row in self.rows["run"].items() if name in {row[column] for column in of_file}
        ]

    def steps(self, kind: str, name: str) -> Iterator[Step]:
        """From one thing to those that it was made from."""
        row = self.rows[kind].get(name)
        if row is None:
            return
        if kind == "run":
            yield from self._steps_of_run(row)
        elif kind == "potential":
            yield Step(name, "trained on", "training_set", row["training_set_id"])
            if row["init_from"]:
                yield Step(name, "began with the weights of", "potential", row["init_from"])
        else:
            yield from self._steps_of_set(name)

    def _steps_of_run(self, row: Row) -> Iterator[Step]:
        name = row["run_id"]
        compared = self._lake.rows("agreement", key=name, columns=["aimd_run_id"])["aimd_run_id"].to_pylist()
        for how, kind, source in (
            ("driven by", "potential", row["potential_id"]),
            ("started from a frame of", "run", row["parent_run_id"]),
            ("goes on from", "run", row["continues_run_id"]),
            *(("compared with", "run", other) for other in dict.fromkeys(compared) if other != row["parent_run_id"]),
        ):
            if source:
                yield Step(name, how, kind, source)

    def _steps_of_set(self, name: str) -> Iterator[Step]:
        frames = self._lake.rows("training_set_frames", key=name, columns=["run_id", "split"])
        counted = Counter(zip(frames["run_id"].to_pylist(), frames["split"].to_pylist(), strict=True))
        splits: dict[str, list[str]] = {}
        for (run_id, split), n_frames in sorted(counted.items()):
            splits.setdefault(run_id, []).append(f"{n_frames} {split}")
        for run_id, told in splits.items():
            yield Step(name, f"frames ({', '.join(told)}) of", "run", run_id)


def lineage(settings: Settings, name: str) -> dict[str, object]:
    """What a thing was made from.

    Parameters
    ----------
    settings
        Where the lake is.
    name
        Id of a run, potential or training set; or address or checksum of a raw file.

    Returns
    -------
    dict
        `found` ids, `things` (each with its kind, id and what its row says), `steps` from one to the next, `sources`
        (raw files with their checksums), and `rows` that hang on the things found, by table.

    Raises
    ------
    MeltlakeError
        If the lake knows nothing by that name.
    """
    lake = Lake(settings.lake)
    ancestry = _Ancestry(lake)
    found = ancestry.found(name)
    if not found:
        raise MeltlakeError(
            f"{lake.root}: no run, potential, training set or raw file is called {name!r}.",
            "`meltlake sql 'select run_id, composition, source_uri from runs'` lists runs; potentials and "
            "training_sets are tables, too.",
        )
    reached, steps = _walked(ancestry, found)
    things = [_thing(ancestry, kind, one) for kind, one in reached]
    sources = [thing for thing in things if thing["kind"] == "run" and thing.get("source_uri")]
    return {
        "found": [one for _, one in found],
        "things": things,
        "steps": [{"made": s.made, "how": s.how, "kind": s.kind, "source": s.source} for s in steps],
        "sources": [_source(thing) for thing in sources],
        "rows": {table: n for kind, one in found for table, n in _rows(lake, kind, one)},
    }


def _walked(ancestry: _Ancestry, found: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[Step]]:
    """Everything behind the things found, each once, nearest first; and all steps."""
    reached, steps, position = list(found), [], 0
    while position < len(reached):
        for step in ancestry.steps(*reached[position]):
            steps.append(step)
            if (step.kind, step.source) not in reached:
                reached.append((step.kind, step.source))
        position += 1
    return reached, steps


def _thing(ancestry: _Ancestry, kind: str, name: str) -> dict[str, Any]:
    row = ancestry.rows[kind].get(name)
    told = {column: row[column] for column in _TOLD[kind]} if row else {"missing": True}
    return {"kind": kind, "id": name, **told}


def _source(thing: Row) -> dict[str, Any]:
    names = ("origin", "composition", "synthetic", "source_uri", "source_sha256", "source_bytes")
    return {"run_id": thing["id"], **{name: thing[name] for name in names}}


def _rows(lake: Lake, kind: str, name: str) -> Iterator[tuple[str, int]]:
    for table in TABLES.values():
        if table.key == _KEYS[kind] and (n_rows := lake.n_rows(table.name, name)):
            yield table.name, n_rows


def lineage_text(answer: Mapping[str, Any]) -> str:
    """The same as a tree; what was told already is not told again."""
    things = {thing["id"]: thing for thing in answer["things"]}
    steps: dict[str, list[Row]] = {}
    for step in answer["steps"]:
        steps.setdefault(step["made"], []).append(step)
    told: set[str] = set()
    lines = [line for name in answer["found"] for line in _branch(things, steps, name, told)]
    rows = ", ".join(f"{table} {n}" for table, n in answer["rows"].items())
    hung = fill(f"rows of it in the lake: {rows}", get_terminal_size().columns, subsequent_indent="  ")
    return "\n".join([*lines, *([hung] if rows else [])])


def _branch(things: Mapping[str, Row], steps: Mapping[str, list[Row]], name: str, told: set[str]) -> Iterator[str]:
    thing = things[name]
    if name in told:
        yield f"{_title(thing)}: as above"
        return
    told.add(name)
    yield _title(thing)
    if thing.get("source_uri"):
        yield f"  {thing['source_uri']}"
        yield f"  sha256 {thing['source_sha256']}"
    for step in steps.get(name, []):
        first, *rest = _branch(things, steps, step["source"], told)
        yield f"  {step['how']} {first}"
        yield from (f"  {line}" for line in rest)


def _title(thing: Row) -> str:
    kind, name = thing["kind"], thing["id"]
    if thing.get("missing"):
        return f"{kind.replace('_', ' ')} {name}, which the lake does not have any more"
    synthetic = "synthetic " if thing.get("synthetic") else ""
    if kind == "run":
        what = "simulation" if thing["origin"] == "dnnp" else "AIMD run"
        return f"{synthetic}{what} {name}, {thing['protocol'] or thing['ensemble']} of {thing['composition']}"
    if kind == "potential":
        return f"potential {name}, {thing['recipe']} seed {thing['seed']}, {thing['n_steps']} steps"
    return f"{synthetic}training set {name}, version {thing['lake_version']} of the frames"
