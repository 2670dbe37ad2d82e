"""What a newcomer reads: verbs in groups, each in a sentence, with an example that works. Options are `arguments`'."""

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import wrap

_WIDTH = 80
_INDENT = 22


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb of one word or two."""

    name: str
    says: str
    """What it does, as a sentence without its full stop."""
    example: str
    """What is typed after `meltlake`."""
    means: str
    """What the example does."""


GROUPS: dict[str, tuple[Verb, ...]] = {
    "Begin": (
        Verb("demo", "the whole pipeline on synthetic melts and on your own runs", "demo --no-airflow",
             "everything once, in this terminal"),
        Verb("up", "the embedded Airflow and its pod API on this machine, until Ctrl-C or SIGTERM", "up --port 8080",
             "then open the address that it prints"),
        Verb("status", "what is in the lake, what is due and why, what failed and why", "status",
             "each due thing comes with the command that does it"),
    ),
    "Frames": (
        Verb("ingest", "VASP output (files, run directories, trees) becomes frames in the lake", "ingest path/to/runs",
             "all runs below that folder; again later, only what is new"),
        Verb("validate", "judge stored frames again by today's rules", "validate",
             "all runs, after a rule was changed; the answer names a page to open"),
        Verb("override", "let frames pass that a rule of the gate rejects; they are flagged instead",
             "override 3fa2b1c4d5e6 --rule scf_converged --frames 7 23 --because 'looked at the SCF history'",
             "two frames of one run, with the reason kept"),
        Verb("export", "frames for other tools, chosen by an SQL condition",
             "export melt.extxyz --format extxyz --where \"composition = 'Al100' and accepted\"",
             "one file with the accepted frames of pure Al"),
        Verb("raw verify", "prove that every frame of a run's raw files is in the lake", "raw verify 3fa2b1c4d5e6",
             "what deleting the raw files would free"),
    ),
    "Potentials": (
        Verb("materialize", "a training set in DeePMD's format",
             "materialize --chemical-system Al-Cu-Ni --hold-out Al50Cu25Ni25",
             "all accepted frames; one composition is held out and only tested on"),
        Verb("train", "a potential; resumed where it was killed, found if it exists",
             "train 9c0d3e77a1b2 --recipe DP-2 --seed 1", "recipe DP-2 of Table 1 on that training set"),
        Verb("simulate", "a LAMMPS run; its trajectory comes back as a run",
             "simulate 4bfc21a54c7a --protocol npt --composition Al100 --temperature-k 983",
             "liquid Al at constant pressure with that potential"),
        Verb("observe", "observables of a run, or errors of a potential, with error bars",
             "observe --run 3fa2b1c4d5e6", "g(r), diffusion, viscosity, order ... of one run"),
        Verb("propose", "which composition to compute next and why, with inputs for VASP", "propose --out next",
             "a ranked list, and a folder with POSCAR, INCAR, KPOINTS"),
        Verb("potential export", "a folder with the model, its card, examples and a verifying program",
             "potential export 4bfc21a54c7a DP-2-for-you", "for people who do not have meltlake"),
        Verb("potential add", "a potential that was trained elsewhere, to be simulated and compared",
             "potential add frozen.pth --name theirs --origin 'their paper'", "simulate and observe it by its id"),
    ),
    "Answers": (
        Verb("sql", "a reading query over warehouse and lake", 'sql "from table_1"',
             "Table 1; `show tables` lists all, docs/cookbook.md has queries"),
        Verb("lineage", "what a thing was made from, back to raw files and checksums",
             "lineage 4bfc21a54c7a", "the tree behind one potential"),
        Verb("publish", "make the DuckDB warehouse show the lake as it is", "publish",
             "then `duckdb .meltlake/warehouse.duckdb` answers, too"),
        Verb("report", "a static HTML report from the lake", "report --out report", "open report/index.html"),
        Verb("experiments list", "every source of measurements: what comes with meltlake and what was added",
             "experiments list", "with citations"),
        Verb("experiments add", "measured points and digitised curves, each with its citation",
             "experiments add densities.csv", "docs/experiments.md says how the file looks"),
        Verb("experiments remove", "take out what was added of one source", "experiments remove 8a1b2c3d4e5f",
             "the source as `experiments list` names it"),
    ),
    "Upkeep": (
        Verb("lake describe", "tables, versions, sizes, compositions and pinned versions of the lake", "lake describe",
             "how large it is, and how much smaller than the raw files"),
        Verb("lake compact", "merge small files; rows and every older version stay", "lake compact --table frames",
             "one file per run instead of many"),
        Verb("lake vacuum", "delete files that neither today's nor a pinned version needs", "lake vacuum --dry-run",
             "what would go, and how much that frees"),
        Verb("completion", "what makes your shell complete verbs, options and ids", "completion bash",
             'put eval "$(meltlake completion bash)" into ~/.bashrc'),
    ),
}  # fmt: skip
"""Every verb, in the order in which one meets it."""

VERBS = {verb.name: verb for verbs in GROUPS.values() for verb in verbs}


def overview() -> str:
    """All verbs by group, for a terminal of 80 columns."""
    lines = ["AIMD trajectories in; potentials, observables and SQL out."]
    for title, verbs in GROUPS.items():
        lines += ["", title, *(line for verb in verbs for line in _listed(verb))]
    lines += ["", "`meltlake COMMAND --help` explains one, with an example. Begin with:", ""]
    lines += [f"  {line}" for line in ("meltlake ingest path/to/runs", "meltlake status", 'meltlake sql "show tables"')]
    return "\n".join(lines)


def _listed(verb: Verb) -> Iterator[str]:
    first, *rest = wrap(verb.says, _WIDTH - _INDENT)
    yield f"  {verb.name:<{_INDENT - 2}}{first}"
    yield from (" " * _INDENT + line for line in rest)


def example_text(name: str) -> str:
    """The example of a verb, as the last lines of its help."""
    verb = VERBS[name]
    return f"example:\n  meltlake {verb.example}\n      {verb.means}"
