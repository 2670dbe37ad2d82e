"""The command line: one verb, one function. It parses, calls and prints; work belongs in the verbs.

With `--json`, stdout is exactly one JSON object. Everything for a person is on stderr, or on stdout without `--json`.
"""

import argparse
import errno
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from pydantic import ValidationError

from operators.present import as_text
from schemas.errors import EXIT_BAD_INPUT, EXIT_TRY_AGAIN, EXIT_USAGE, MeltlakeError, StoppedBySignal
from schemas.settings import Settings

Arguments = argparse.Namespace
Verb = Callable[[Settings, Arguments], "dict[str, object] | None"]

_REMEMBERED = {"validate", "materialize", "train", "simulate", "observe", "publish", "report"}
_PASSING = {errno.ENOSPC, errno.EIO, errno.EAGAIN, errno.EDQUOT, errno.ESTALE}
"""Errors of the system that may pass by themselves."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with its documented code."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_args(words)
    signal.signal(signal.SIGTERM, _stop)
    try:
        sys.exit(_run(arguments, words))
    except (MeltlakeError, StoppedBySignal) as error:
        sys.stderr.write(f"{error.problem}\n{error.remedy}\n")
        sys.exit(error.exit_code)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())
        sys.stderr.write(f"meltlake: {said}.\nSee `meltlake COMMAND --help`.\n")
        sys.exit(EXIT_USAGE)
    except KeyboardInterrupt:
        sys.stderr.write("Stopped from the keyboard.\nRun the same command again: it goes on where it stopped.\n")
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has gone, for example `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        sys.stderr.write(f"{error.filename or 'A file'}: {error.strerror or error}.\n")
        sys.stderr.write("Check the path, its permissions and its disk, then run the same command again.\n")
        sys.exit(EXIT_TRY_AGAIN if error.errno in _PASSING else EXIT_BAD_INPUT)


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise StoppedBySignal("Stopped by SIGTERM.", "Run the same command again: it goes on where it stopped.")


def _run(arguments: Arguments, words: Sequence[str]) -> int:
    settings = Settings.from_mapping(
        os.environ, lake=arguments.lake, landing=arguments.landing, warehouse=arguments.warehouse
    )
    with _remembered(settings, arguments, words):
        verb: Verb = arguments.verb
        answer = verb(settings, arguments)
    if answer is None:
        return 0
    exit_code = int(str(answer.pop("exit_code", 0)))
    sys.stdout.write((json.dumps(answer, default=str) if arguments.json else as_text(answer)) + "\n")
    sys.stdout.flush()
    return exit_code


@contextmanager
def _remembered(settings: Settings, arguments: Arguments, words: Sequence[str]) -> Iterator[None]:
    """A command that makes something and fails is told by `status` until the same command succeeds."""
    if arguments.name not in _REMEMBERED:
        yield
        return
    from lake.delta import Lake
    from operators.failures import forget_failure, record_failure

    lake, subject = Lake(settings.lake), _without_places(words)
    try:
        yield
    except MeltlakeError as error:
        if error.exit_code == EXIT_BAD_INPUT:
            record_failure(lake, arguments.name, subject, error)
        raise
    forget_failure(lake, arguments.name, subject)


def _without_places(words: Sequence[str]) -> str:
    kept, skip = [], False
    for word in words:
        is_place = word in ("--lake", "--landing", "--warehouse")
        if not (skip or is_place or word == "--json"):
            kept.append(word)
        skip = is_place
    return " ".join(kept)


def _ingest(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.ingest import ingest

    answer = ingest(settings, arguments.sources)
    refused = [run for run in answer["runs"] if run["reason"] is not None]  # type: ignore[attr-defined]
    for run in refused:
        sys.stderr.write(f"{run['source']}: {run['reason']}\n{run['remedy']}\n")
    return {**answer, "exit_code": EXIT_BAD_INPUT if refused else 0}


def _validate(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.validate import validate

    return validate(settings, arguments.run_ids)


def _materialize(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.materialize import materialize
    from schemas.composition import canonical_composition
    from schemas.training import TrainingSetRequest

    request = TrainingSetRequest(
        compositions=tuple(map(canonical_composition, arguments.compositions)),
        hold_out=tuple(map(canonical_composition, arguments.hold_out)),
        runs=tuple(arguments.runs),
        chemical_system=arguments.chemical_system,
        split=arguments.split,
        seed=arguments.seed,
        test_fraction=arguments.test_fraction,
        lake_version=arguments.lake_version,
    )
    return materialize(settings, request)


def _train(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.train import train
    from schemas.recipes import recipe_named

    recipe = recipe_named(arguments.recipe)
    if arguments.steps is not None:
        recipe = recipe.model_copy(update={"n_steps": arguments.steps})
    return train(settings, arguments.training_set, recipe=recipe, seed=arguments.seed)


def _simulate(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.simulate import simulate
    from schemas.composition import canonical_composition
    from schemas.simulation import SimulationRequest

    request = SimulationRequest(
        protocol=arguments.protocol,
        composition=canonical_composition(arguments.composition),
        temperature_k=arguments.temperature_k,
        n_steps=arguments.steps,
        replicate=arguments.replicate,
        seed=arguments.seed,
    )
    return simulate(settings, arguments.potential, request)


def _observe(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.observe import observe_potential, observe_run

    if arguments.run:
        return observe_run(settings, arguments.run)
    return observe_potential(settings, arguments.potential)


def _publish(settings: Settings, _arguments: Arguments) -> dict[str, object]:
    from operators.publish import publish

    return publish(settings)


def _report(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.report import report

    return report(settings, out=arguments.out)


def _sql(settings: Settings, arguments: Arguments) -> None:
    from operators.sql import write_result

    write_result(settings, arguments.query, format_="json" if arguments.json else arguments.format)


def _status(settings: Settings, _arguments: Arguments) -> dict[str, object]:
    from operators.status import status

    return status(settings)


def _up(settings: Settings, arguments: Arguments) -> None:
    from operators.scheduling.stack import up

    up(settings, port=arguments.port)


def _demo(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.demo import demo

    answer = demo(settings, with_airflow=not arguments.no_airflow, landing=arguments.real, port=arguments.port)
    is_whole = answer["potentials"] and answer["simulations"] and not answer["due"]
    return {**answer, "exit_code": 0 if is_whole else EXIT_BAD_INPUT}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="meltlake", description="AIMD trajectories in; potentials, observables and SQL out."
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    ingest = _verb(verbs, "ingest", _ingest, "VASP output (files, run directories, trees) becomes frames in the lake")
    ingest.add_argument("sources", nargs="+", metavar="SOURCE")

    validate = _verb(verbs, "validate", _validate, "judge stored frames again by today's rules")
    validate.add_argument("run_ids", nargs="*", metavar="RUN_ID")

    _add_materialize(verbs)
    _add_train_and_simulate(verbs)

    observe = _verb(verbs, "observe", _observe, "observables of a run, or errors of a potential, with error bars")
    of = observe.add_mutually_exclusive_group(required=True)
    of.add_argument("--run", metavar="ID")
    of.add_argument("--potential", metavar="ID")

    _verb(verbs, "publish", _publish, "rebuild the DuckDB warehouse from the lake and swap it in")

    report = _verb(verbs, "report", _report, "a static HTML report from the lake")
    report.add_argument("--out", type=Path, metavar="DIR")

    sql = _verb(verbs, "sql", _sql, "a reading query over warehouse and lake")
    sql.add_argument("query", metavar="QUERY")
    sql.add_argument("--format", choices=("table", "json", "csv", "parquet"), default="table")

    _verb(verbs, "status", _status, "what is in the lake, what is stale and why, what failed and why")

    up = _verb(verbs, "up", _up, "the embedded Airflow and its pod API on this machine, until Ctrl-C or SIGTERM")
    up.add_argument(
        "--port", type=_port, metavar="PORT", help="of the Airflow UI; by default 8080 or the next free one"
    )

    demo = _verb(verbs, "demo", _demo, "the whole pipeline on synthetic melts and on your own runs")
    demo.add_argument("--no-airflow", action="store_true", help="type the same commands without Airflow")
    demo.add_argument("--real", type=Path, metavar="DIR", help="real VASP runs to take along (copied)")
    demo.add_argument("--port", type=_port, metavar="PORT")
    return parser


def _port(text: str) -> int:
    if not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, found {text}")
    return int(text)


def _add_materialize(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    materialize = _verb(verbs, "materialize", _materialize, "a training set in DeePMD's format")
    for option, of in (("--compositions", "COMPOSITION"), ("--hold-out", "COMPOSITION"), ("--runs", "RUN_ID")):
        materialize.add_argument(option, nargs="+", action="extend", default=[], metavar=of)
    materialize.add_argument("--chemical-system", metavar="Al-Cu-Ni")
    materialize.add_argument("--split", choices=("blocks", "random"), default="blocks")
    materialize.add_argument("--seed", type=int, default=1)
    materialize.add_argument("--test-fraction", type=float, default=0.25)
    materialize.add_argument("--lake-version", type=int, metavar="V")


def _add_train_and_simulate(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    train = _verb(verbs, "train", _train, "a potential; resumed from its checkpoint, found when it exists")
    train.add_argument("training_set", metavar="TRAINING_SET")
    train.add_argument("--recipe", required=True, help="DP-1 .. DP-14 of Table 1, or DP-small")
    train.add_argument("--seed", type=int, default=1)
    train.add_argument("--steps", type=int, metavar="N", help="instead of the recipe's own")

    simulate = _verb(verbs, "simulate", _simulate, "a LAMMPS run; its trajectory comes back as a run")
    simulate.add_argument("potential", metavar="POTENTIAL")
    simulate.add_argument("--protocol", choices=("twin", "nvt", "npt", "performance"), required=True)
    simulate.add_argument("--composition", required=True)
    simulate.add_argument("--temperature-k", type=float)
    simulate.add_argument("--steps", type=int, metavar="N", help="instead of the protocol's own")
    simulate.add_argument("--replicate", type=int, metavar="N", help="N x N x N copies of the start frame")
    simulate.add_argument("--seed", type=int, default=1)


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, verb: Verb, help_: str
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
    parser.set_defaults(verb=verb, name=name)
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on stdout")
    places = parser.add_argument_group("places")
    places.add_argument("--lake", metavar="PATH", help="default: MELTLAKE_LAKE or .meltlake/lake")
    places.add_argument("--landing", metavar="PATH", help="default: MELTLAKE_LANDING or .meltlake/landing")
    places.add_argument("--warehouse", metavar="FILE", help="default: MELTLAKE_WAREHOUSE or beside the lake")
    return parser


if __name__ == "__main__":
    main()
