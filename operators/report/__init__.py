"""The verb `report`: the paper's figures and Table 1 as one static page, drawn from the warehouse.

Nothing is computed here beyond what the views give, and nothing is published.
"""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from lake.delta import Lake
from lake.parquet import flush_to_disk
from lake.warehouse import session
from operators.data_docs import write_data_docs
from operators.log import log
from operators.report.accuracy import parity_section, transferability_section
from operators.report.choice import choice_section
from operators.report.comparisons import rdf_section, vacf_section
from operators.report.compositions import map_section
from operators.report.densities import density_section
from operators.report.experiments import experiment_section
from operators.report.leave_one_out import leave_one_out_section
from operators.report.maps import maps_section
from operators.report.measured_curves import measured_structure_figure
from operators.report.melt import melt_figure
from operators.report.melts import environments_section, motion_section, scattering_section
from operators.report.mixing import mixing_section
from operators.report.operations import failures_section, rejections_section, runs_section
from operators.report.order import order_section
from operators.report.page import Ask, Chapter, Group, Page, Section, counted, html
from operators.report.paper_curves import motion_figure, structure_figure, transfer_figure
from operators.report.potentials import performance_section, table_1_section, training_section
from operators.report.takeaways import takeaways
from schemas.errors import MeltlakeError
from schemas.settings import Settings

_PARTS: dict[str, Sequence[Callable[[Group, Ask], Section]]] = {
    "The paper's figures": (
        map_section,
        melt_figure,
        table_1_section,
        parity_section,
        motion_figure,
        structure_figure,
        measured_structure_figure,
        density_section,
        transfer_figure,
    ),
    "Potentials": (
        choice_section,
        training_section,
        transferability_section,
        leave_one_out_section,
        performance_section,
    ),
    "Melts": (
        maps_section,
        rdf_section,
        order_section,
        scattering_section,
        environments_section,
        vacf_section,
        motion_section,
        mixing_section,
        experiment_section,
    ),
}


_COUNTED = {"n_aimd": "AIMD run", "n_dnnp": "simulation", "n_frames": "frame", "n_potentials": "potential"}


def report(settings: Settings, *, out: Path | None = None) -> dict[str, object]:
    """Write the page and return where its index is.

    Parameters
    ----------
    settings
        Where the lake and its warehouse are.
    out
        Folder for the page; the lake's neighbour `report` when not given.

    Raises
    ------
    MeltlakeError
        If `out` cannot be a folder.
    """
    folder = out or settings.home / "report"
    if folder.exists() and not folder.is_dir():
        raise MeltlakeError(f"{folder} is a file; the report needed a folder.", "Choose another place with --out.")
    write_data_docs(settings)
    data_docs = "" if out else "../data_docs/index.html"  # beside it in the lake's home, and so inside Airflow
    with session(settings) as run:
        ask = cache(lambda sql: run(sql).to_pylist())
        page = _page(ask, lake_version=Lake(settings.lake).version(), data_docs=data_docs)
    index = _write(folder, page)
    log.info("report", index=str(index), lake_version=page.lake_version, chemical_systems=len(page.chapters))
    return {
        "index": str(index),
        "lake_version": page.lake_version,
        "chemical_systems": [chapter.group.chemical_system for chapter in page.chapters],
        "synthetic": page.has_synthetic,
    }


def _page(ask: Ask, *, lake_version: int, data_docs: str) -> Page:
    [totals] = ask("""select count(*) filter (origin = 'aimd') as n_aimd, count(*) filter (origin = 'dnnp') as n_dnnp,
       coalesce(sum(n_frames), 0)::bigint as n_frames, (select count(*) from potentials) as n_potentials,
       coalesce(bool_or(synthetic), false) as has_synthetic
from runs""")
    shown, ingested_only = _groups(ask)
    return Page(
        lake_version=lake_version,
        generated_at=datetime.now(UTC),
        headline=", ".join(counted(totals[name], noun) for name, noun in _COUNTED.items()) + ".",
        chapters=[
            Chapter(
                group,
                takeaways(group, ask),
                {part: [section(group, ask) for section in sections] for part, sections in _PARTS.items()},
            )
            for group in shown
        ],
        sections=[runs_section(ask), rejections_section(ask, data_docs=data_docs), failures_section(ask)],
        has_synthetic=totals["has_synthetic"],
        ingested_only=ingested_only,
    )


def _groups(ask: Ask) -> tuple[list[Group], list[Group]]:
    """Chemical systems to show: those with a potential or an observable, and those that were only ingested."""
    rows = ask("""with worked_on as (
    select run_id from rdf union select run_id from vacf union select run_id from thermodynamics
    union select run_id from training_set_frames
)
select map_system, composition_map.synthetic, sum(n_frames)::bigint as n_frames,
       coalesce(bool_or(composition in (select composition from runs join worked_on using (run_id)
                                        where runs.synthetic = composition_map.synthetic)), false) as is_worked_on
from composition_map
group by map_system, composition_map.synthetic
order by n_frames desc, map_system, composition_map.synthetic""")
    groups = [(Group(row["map_system"], row["synthetic"]), row["is_worked_on"]) for row in rows]
    worked_on = [group for group, is_worked_on in groups if is_worked_on]
    return worked_on, [group for group, is_worked_on in groups if not is_worked_on]


def _write(folder: Path, page: Page) -> Path:
    """The page, its pictures and their numbers; what an older page needed is gone afterwards."""
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    files = {f"{picture.name}.svg": picture.file for picture in page.pictures}
    files |= {f"{picture.name}.csv": picture.table for picture in page.pictures}
    for name, text in files.items():
        _replace(figures / name, text)
    index = folder / "index.html"
    _replace(index, html(page))
    for path in figures.iterdir():
        if path.name not in files:
            path.unlink()
    if not files:
        figures.rmdir()
    flush_to_disk(folder)
    return index


def _replace(target: Path, text: str) -> None:
    """The file in one piece: who reads it sees the old one or the new one."""
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_text(text, encoding="utf-8")
        flush_to_disk(unfinished)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
