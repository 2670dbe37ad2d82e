"""Demo: synthetic melts, and whatever real runs are named, through the whole pipeline; then what came of it.

With Airflow, the DAGs do everything from the landing zone on; without it, the same commands are typed here.
"""

import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from lake.raw_store import full_address
from lake.sources import run_sources
from lake.warehouse import query
from operators.demo_progress import Progress
from operators.demo_serial import run_serially
from operators.log import log
from operators.present import as_table
from operators.stale import stale
from operators.toy_melt import ToyMeltRequest, generate
from schemas.errors import MeltlakeError
from schemas.settings import Settings

TOY_COMPOSITIONS = ("Al60Cu20Ni20", "Al20Cu60Ni20", "Al20Cu20Ni60", "Al33Cu33Ni33")
HELD_OUT = "Al50Cu25Ni25"

_N_ATOMS = 120  # whole atoms at 20, 25 and 60 at.%
_N_FRAMES = 200
_CAMPAIGN = f"""\
# What to train and simulate. Written by `meltlake demo`; edit it and the next landing run follows it.
recipes = ["DP-small"]
hold_out = ["{HELD_OUT}"]
protocols = ["twin"]
"""


def demo(
    settings: Settings, *, with_airflow: bool = True, landing: Path | None = None, port: int | None = None
) -> dict[str, object]:
    """Run the whole pipeline until nothing is due any more, and tell what came of it.

    Parameters
    ----------
    settings
        Where the lake is.
    with_airflow
        Let the embedded Airflow schedule the commands; otherwise type them one after the other.
    landing
        Folder with real VASP runs to take along; the landing zone gets links to their files.
    port
        Of the Airflow UI.
    """
    started = time.monotonic()
    _write_campaign(settings)
    _land_toy_melts(settings)
    if landing is not None:
        _land_real_runs(settings, landing)
    url = None
    if with_airflow:
        url = _with_airflow(settings, port)
    else:
        run_serially(settings)
    answer = _answer(settings)
    sys.stderr.write(_summary(settings, seconds=time.monotonic() - started, url=url))
    return answer


def _write_campaign(settings: Settings) -> None:
    path = settings.home / "campaign.toml"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_CAMPAIGN)


def _land_toy_melts(settings: Settings) -> None:
    """One synthetic run per composition, with two unconverged frames in one of them for the gate to find."""
    for seed, composition in enumerate((*TOY_COMPOSITIONS, HELD_OUT), start=1):
        folder = Path(settings.landing) / f"synthetic-{composition}"
        if folder.exists():
            continue
        faults = {"unconverged": (7, 23)} if composition == TOY_COMPOSITIONS[0] else {}
        request = ToyMeltRequest.model_validate(
            {
                "composition": composition,
                "n_atoms": _N_ATOMS,
                "n_frames": _N_FRAMES,
                "seed": seed,
                "source_format": "outcar" if seed % 2 else "vasprun",
                "faults": faults,
            }
        )
        generate(folder, request)
        log.info("demo", landed=folder.name, synthetic=True, n_atoms=_N_ATOMS, n_frames=_N_FRAMES)


def _land_real_runs(settings: Settings, source: Path) -> None:
    """Every run below a folder becomes one landing entry; the files are linked, or copied from another disk."""
    if not source.is_dir():
        raise MeltlakeError(f"{source}: needed a folder with VASP runs, found none.", "Check LANDING=...")
    top = Path(full_address(source))
    for run in run_sources(source):
        if run.problem:
            raise MeltlakeError(run.problem, "Check its permissions.")
        files = [Path(file) for file in run.every_file]
        parts = files[0].parent.relative_to(top).parts
        folder = Path(settings.landing) / "-".join(parts or (top.name,))
        for file in files:
            _link(file, folder / file.name)
        log.info("demo", landed=folder.name, real=run.uri)


def _link(file: Path, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.tmp")
    unfinished.unlink(missing_ok=True)
    try:
        unfinished.hardlink_to(file)
    except OSError:  # another disk, or one without hard links
        shutil.copy2(file, unfinished)
    unfinished.replace(target)


def _with_airflow(settings: Settings, port: int | None) -> str:
    from operators.scheduling.stack import EmbeddedStack

    log.info("demo", starting="Airflow", home=str(settings.home / "airflow"))
    with EmbeddedStack(settings, port=port) as stack:
        log.info("demo", airflow=stack.url)
        Progress(stack.api, is_due=lambda: any(stale(settings))).follow()
        return stack.url


def _answer(settings: Settings) -> dict[str, object]:
    report = settings.home / "report" / "index.html"
    return {
        "compositions": _column(settings, "select distinct composition from runs order by 1"),
        "training_sets": _column(settings, "select training_set_id from training_sets order by 1"),
        "potentials": _column(settings, "select potential_id from potentials order by 1"),
        "simulations": _column(settings, "select run_id from runs where origin = 'dnnp' order by 1"),
        "due": [item.command for item in stale(settings)],
        "failed": query(settings, "select verb, subject, cause from task_failures order by 1, 2"),
        "report": str(report.absolute()),
    }


def _column(settings: Settings, sql: str) -> list[object]:
    return [value for row in query(settings, sql) for value in row.values()]


_TABLES = {
    "What was ingested": """
        select composition, origin, case when synthetic then 'synthetic' else 'real' end as kind, count(*) as runs,
               sum(n_frames) as frames, sum(n_accepted) as accepted, sum(n_rejected) as rejected
        from runs group by all order by 3, 1, 2""",
    "Errors of the potentials (meV/atom, meV/angstrom, meV/atom)": """
        select p.recipe, r.composition, r.split, r.n_frames as frames, round(rmse_energy_mev_per_atom, 2) as energy,
               round(rmse_force_mev_per_angstrom, 1) as force, round(rmse_virial_mev_per_atom, 2) as virial
        from rmse r join potentials p using (potential_id) where r.split <> 'train' order by p.potential_id, 2, 3""",
    "Thermodynamics": """
        select t.composition, r.origin, round(t.temperature_k, 1) as temperature_k,
               round(t.density_g_per_cm3, 3) as density_g_per_cm3, round(t.pressure_gpa, 3) as pressure_gpa
        from thermodynamics t join runs r using (run_id) order by 1, 2""",
    "Curves of the simulations beside AIMD's (each of them: `meltlake sql 'from curve_agreement'`)": """
        select composition, count(*) as curves, count(*) filter (verdict in ('indistinguishable', 'good')) as agree,
               count(*) filter (verdict = 'visible') as visible, count(*) filter (verdict = 'disagrees') as disagree,
               count(*) filter (verdict = 'undecided') as undecided
        from curve_agreement group by 1 order by 1""",
    "Speed": """
        select composition, protocol, n_atoms, round(ns_per_day, 3) as ns_per_day, outcome, hardware
        from performance order by 1, 2""",
}


def _summary(settings: Settings, *, seconds: float, url: str | None) -> str:
    parts = [f"\n{title}\n{as_table(rows)}\n" for title, sql in _TABLES.items() if (rows := query(settings, sql))]
    failed = query(settings, "select verb, subject, cause, remedy from task_failures order by 1, 2")
    if failed:
        parts.append(f"\nWhat failed, and what to do\n{as_table(failed)}\n")
    parts += _closing_lines(settings, seconds=seconds, url=url)
    return "".join(parts)


def _closing_lines(settings: Settings, *, seconds: float, url: str | None) -> Iterable[str]:
    yield f"\nDone in {seconds:.0f} s.\n"
    yield f"Report     {(settings.home / 'report' / 'index.html').absolute()}\n"
    yield f"Warehouse  {Path(settings.warehouse).absolute()}   (duckdb, or `meltlake sql QUERY`)\n"
    if shutil.which("meltlake") is None:
        yield f"Commands   source {Path(sys.prefix) / 'bin' / 'activate'}   makes `meltlake` a command of your shell\n"
    if url is not None:
        yield f"Airflow    ran at {url}; `meltlake up` starts it again with everything that it did\n"
