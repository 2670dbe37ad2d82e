"""What can be typed after `meltlake`: verbs, options and their help. Running them belongs in `cli`."""

import argparse
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

from operators.help import VERBS, example_text, overview
from operators.runs.part import WHOLE, Part
from schemas.recipes import RECIPES
from schemas.simulation import PROTOCOLS

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name


def parser() -> argparse.ArgumentParser:
    """The parser of `meltlake`; `name` in what it parses is the verb, one word or two."""
    whole = argparse.ArgumentParser(
        prog="meltlake",
        usage="meltlake COMMAND ...    (`meltlake --help` lists them)",
        description=overview(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"meltlake {version('meltlake')}")
    # The overview lists them, in groups, which argparse does not have.
    verbs = whole.add_subparsers(required=True, metavar="COMMAND", prog="meltlake", help=argparse.SUPPRESS)

    ingest = _verb(verbs, "ingest")
    ingest.add_argument("sources", nargs="+", metavar="SOURCE", help="a path or an s3:// address")
    ingest.add_argument("--workers", type=_count, metavar="N", help="processes that read; by default as many as pay")
    ingest.add_argument(
        "--part", type=_part, default=WHOLE, metavar="I/N", help="the I-th of N parts; other commands read the others"
    )

    validate = _verb(verbs, "validate")
    validate.add_argument("run_ids", nargs="*", metavar="RUN_ID", help="by default all runs")
    validate.add_argument(
        "--require", action="store_true", help="exit with 65 when a run fails the gate: for pipelines that must stop"
    )
    _add_override(verbs)

    _add_materialize(verbs)
    _add_train_and_simulate(verbs)

    observe = _verb(verbs, "observe")
    of = observe.add_mutually_exclusive_group(required=True)
    of.add_argument("--run", nargs="+", metavar="RUN_ID", help="AIMD or simulation: its observables")
    of.add_argument("--potential", metavar="POTENTIAL", help="its errors, committee and model card")
    observe.add_argument("--due", action="store_true", help="of these runs, only those that `status` calls due")

    _add_propose(verbs)

    _verb(verbs, "publish")

    report = _verb(verbs, "report")
    report.add_argument("--out", type=Path, metavar="DIR", help="by default `report` beside the lake")

    sql = _verb(verbs, "sql")
    sql.add_argument("query", metavar="QUERY", help="one SELECT; `-` reads it from stdin")
    sql.add_argument("--format", choices=("table", "json", "csv", "parquet"), default="table", help="default: table")
    sql.add_argument("--rows", type=_count, metavar="N", help="no more than so many; by default all")
    sql.add_argument("--seconds", type=_count, default=60, metavar="S", help="the query may take; by default 60")

    _add_export(verbs)
    _add_experiments(verbs)
    _add_raw_and_lake(verbs)
    _add_potential(verbs)

    _verb(verbs, "status")

    lineage = _verb(verbs, "lineage")
    lineage.add_argument("id", metavar="ID", help="of a run, potential or training set; or a raw file or its sha256")

    completion = _verb(verbs, "completion")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="yours: `echo $SHELL` tells")

    up = _verb(verbs, "up")
    up.add_argument(
        "--port", type=_port, metavar="PORT", help="of the Airflow UI; by default 8080 or the next free one"
    )

    demo = _verb(verbs, "demo")
    demo.add_argument("--no-airflow", action="store_true", help="type the same commands without Airflow")
    demo.add_argument("--real", type=Path, metavar="DIR", help="real VASP runs to take along (hard links, or copies)")
    demo.add_argument("--port", type=_port, metavar="PORT", help="of the Airflow UI while it runs")
    return whole


def _port(text: str) -> int:
    if not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, found {text}")
    return int(text)


def _part(text: str) -> Part:
    try:
        return Part.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"needed a part as 3/8, found {text}") from None


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"needed at least 1, found {text}")
    return int(text)


def _add_override(verbs: Verbs) -> None:
    override = _verb(verbs, "override")
    override.add_argument("run_id", metavar="RUN_ID", help="as `meltlake status` names it")
    override.add_argument("--rule", required=True, metavar="RULE", help="as `meltlake status` names it")
    override.add_argument(
        "--frames", nargs="+", type=int, action="extend", default=[], metavar="N", help="by default all of the run"
    )
    what = override.add_mutually_exclusive_group(required=True)
    what.add_argument("--because", metavar="REASON", help="kept beside the verdict")
    what.add_argument("--withdraw", action="store_true", help="take back what was said about this rule and run")


def _add_materialize(verbs: Verbs) -> None:
    materialize = _verb(verbs, "materialize")
    for option, of, help_ in (
        ("--compositions", "COMPOSITION", "to train on; by default all that are not held out"),
        ("--hold-out", "COMPOSITION", "only to test on"),
        ("--runs", "RUN_ID", "only frames of these runs"),
    ):
        materialize.add_argument(option, nargs="+", action="extend", default=[], metavar=of, help=help_)
    materialize.add_argument("--chemical-system", metavar="Al-Cu-Ni", help="only melts of these elements")
    materialize.add_argument(
        "--mix-theories", action="store_true", help="also train on energies of several levels of theory"
    )
    materialize.add_argument(
        "--split", choices=("blocks", "random"), default="blocks", help="stretches of each run (default), or any frames"
    )
    materialize.add_argument("--seed", type=int, default=1, help="of the split; by default 1")
    materialize.add_argument("--test-fraction", type=float, default=0.25, help="of each run's frames")
    materialize.add_argument(
        "--gap-fs", type=float, metavar="FS", help="between training and test frames; default: the run's memory, >= 500"
    )
    materialize.add_argument("--every-fs", type=float, metavar="FS", help="thin each run to frames so far apart")
    materialize.add_argument(
        "--relaxation",
        choices=("train", "drop"),
        default="train",
        help="frames before a run is equilibrated: trained on but never tested on (default), or left out",
    )
    materialize.add_argument(
        "--balance",
        choices=("frames", "compositions"),
        default="frames",
        help="what training draws alike: every frame (default) or every composition, however many frames it has",
    )
    materialize.add_argument("--format", choices=("npy", "hdf5"), default="npy", help="folders, or one file per split")
    materialize.add_argument("--lake-version", type=int, metavar="V", help="of the frames; by default the newest")


def _add_train_and_simulate(verbs: Verbs) -> None:
    train = _verb(verbs, "train")
    train.add_argument("training_set", metavar="TRAINING_SET", help="its id, as `materialize` gave it")
    train.add_argument(
        "--recipe", required=True, metavar="RECIPE", help=f"{', '.join(RECIPES)}, or one of campaign.toml"
    )
    train.add_argument("--seed", type=int, default=1, help="of weights and batches; by default 1")
    train.add_argument("--steps", type=int, metavar="N", help="instead of the recipe's own")
    train.add_argument("--init-from", metavar="POTENTIAL", help="begin with its weights; by default they are random")
    train.add_argument("--backend", choices=("tensorflow", "pytorch"), help="by default that of campaign.toml")

    simulate = _verb(verbs, "simulate")
    simulate.add_argument("potential", metavar="POTENTIAL", help="its id, as `train` gave it")
    simulate.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        required=True,
        help="twin: as an AIMD run; nvt, npt: properties at constant volume or pressure; nve: how well energy is "
        "conserved; performance: speed",
    )
    simulate.add_argument(
        "--composition",
        required=True,
        metavar="COMPOSITION",
        help="one without AIMD starts from the nearest that has it",
    )
    simulate.add_argument("--temperature-k", type=float, metavar="K", help="by default that of the AIMD run")
    simulate.add_argument(
        "--pressure-gpa", type=float, default=0.0, metavar="GPA", help="of the barostat of npt; by default 0"
    )
    simulate.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="after equilibration, instead of the protocol's own; a twin ends with its AIMD run at the latest",
    )
    simulate.add_argument(
        "--time-step-fs", type=float, metavar="FS", help="by default 1, of a twin that of its AIMD run or a part of it"
    )
    simulate.add_argument(
        "--sample-fs",
        type=float,
        metavar="FS",
        help="between saved frames; by default 10 (npt: 50), of a twin as in AIMD",
    )
    simulate.add_argument(
        "--equilibration-fs",
        type=float,
        metavar="FS",
        help="before the first frame, instead of the protocol's own",
    )
    simulate.add_argument("--replicate", type=int, metavar="N", help="N x N x N copies of the start frame")
    simulate.add_argument("--seed", type=int, default=1, help="of velocities and exchanged atoms; by default 1")


def _add_propose(verbs: Verbs) -> None:
    propose = _verb(verbs, "propose")
    propose.add_argument("--potential", metavar="POTENTIAL", help="by default the newest")
    propose.add_argument("--temperature-k", type=float, metavar="K", help="by default that of the nearest AIMD run")
    propose.add_argument(
        "--step", type=float, default=5.0, metavar="AT_PERCENT", help="of the grid; by default 5 at.%%"
    )
    propose.add_argument("--number", type=_count, default=5, metavar="N", help="of proposals; by default 5")
    propose.add_argument(
        "--trust",
        type=float,
        default=100.0,
        metavar="MEV_PER_ANGSTROM",
        help="committee deviation of forces below which a covered composition is done; by default 100",
    )
    propose.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to be made, with POSCAR, INCAR, KPOINTS, README"
    )
    propose.add_argument("--overwrite", action="store_true", help="replace an earlier proposal at DIR")


def _add_export(verbs: Verbs) -> None:
    export = _verb(verbs, "export")
    export.add_argument("out", metavar="OUT", help="the file (extxyz, ase) or folder (deepmd) to be made")
    export.add_argument(
        "--format",
        choices=("extxyz", "deepmd", "ase"),
        required=True,
        help="extxyz: one text file; deepmd: a folder of deepmd_systems; ase: a .traj file",
    )
    export.add_argument(
        "--where",
        default="accepted",
        metavar="SQL",
        help="condition over the columns of runs and frames, by default `accepted`; `true` takes every frame",
    )
    export.add_argument("--overwrite", action="store_true", help="replace what is at OUT")


def _add_experiments(verbs: Verbs) -> None:
    what = "`experiments list`, `experiments add`, `experiments remove`: measurements to compare with"
    experiments = _group(verbs, "experiments", what)
    _verb(experiments, "experiments list")
    add = _verb(experiments, "experiments add")
    add.add_argument("files", nargs="+", type=Path, metavar="FILE", help="CSV with a heading: docs/experiments.md")
    remove = _verb(experiments, "experiments remove")
    remove.add_argument("source_id", metavar="SOURCE_ID", help="as `meltlake experiments list` names it")


def _add_raw_and_lake(verbs: Verbs) -> None:
    raw = _group(verbs, "raw", "`raw verify`: proof that raw files are in the lake")
    verify = _verb(raw, "raw verify")
    verify.add_argument("run_id", metavar="RUN_ID", help="the run whose files are to go")

    lake = _group(verbs, "lake", "`lake describe`, `lake compact`, `lake vacuum`: what the lake holds, and its upkeep")
    _verb(lake, "lake describe")
    compact = _verb(lake, "lake compact")
    compact.add_argument("--table", metavar="TABLE", help="only this one")
    vacuum = _verb(lake, "lake vacuum")
    vacuum.add_argument("--dry-run", action="store_true", help="only say what would go")
    vacuum.add_argument(
        "--older-than-hours",
        type=_count,
        default=168,
        metavar="H",
        help="by default 168: an older version stays readable for a week; at least 1, for an ingest that is running",
    )


def _add_potential(verbs: Verbs) -> None:
    potential = _group(
        verbs, "potential", "`potential export`, `potential add`: potentials for others, and those of others"
    )
    export = _verb(potential, "potential export")
    export.add_argument("potential", metavar="POTENTIAL", help="its id")
    export.add_argument("out", metavar="OUT", help="the folder to be made")
    export.add_argument("--overwrite", action="store_true", help="replace an earlier export at OUT")
    add = _verb(potential, "potential add")
    add.add_argument("file", type=Path, metavar="FILE", help="a frozen model (.pb, .pth), or a table (.eam.alloy)")
    add.add_argument(
        "--name", required=True, dest="called", metavar="NAME", help="in tables and figures; not that of a recipe"
    )
    add.add_argument("--origin", required=True, metavar="TEXT", help="where it comes from: a citation, say")


def _group(verbs: Verbs, name: str, help_: str) -> Verbs:
    """Verbs of two words, such as `raw verify`."""
    group = verbs.add_parser(name, help=help_, description=f"{help_}.")
    return group.add_subparsers(required=True, metavar="COMMAND")


def _verb(verbs: Verbs, name: str) -> argparse.ArgumentParser:
    says = VERBS[name].says
    one = verbs.add_parser(
        name.rpartition(" ")[2],
        help=says,
        description=f"{says[0].upper()}{says[1:]}.",
        epilog=example_text(name),
        formatter_class=_HelpFormatter,
    )
    one.set_defaults(name=name)
    one.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")
    places = one.add_argument_group("places")
    places.add_argument("--lake", metavar="PATH", help="or s3://...; default: MELTLAKE_LAKE or .meltlake/lake")
    places.add_argument("--landing", metavar="PATH", help="default: MELTLAKE_LANDING or .meltlake/landing")
    places.add_argument("--warehouse", metavar="FILE", help="default: MELTLAKE_WAREHOUSE or beside the lake")
    places.add_argument(
        "--home", metavar="PATH", help="campaign.toml, reports, potentials; default: MELTLAKE_HOME or beside the lake"
    )
    return one


class _HelpFormatter(argparse.HelpFormatter):
    """The usual one, but an example keeps its lines."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("example:") else super()._fill_text(text, width, indent)
