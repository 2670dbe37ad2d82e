"""The command line: one verb, one function. It parses, calls and prints; work belongs in the verbs.

With `--json`, stdout is exactly one JSON object. Everything for a person is on stderr, or on stdout without `--json`.
"""

import argparse
import errno
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from types import FrameType
from typing import NoReturn

from pydantic import ValidationError

from operators.arguments import parser
from operators.completion import ASKED_BY, answer_shell, completion
from operators.present import as_text
from schemas.errors import EXIT_BAD_INPUT, EXIT_TRY_AGAIN, EXIT_USAGE, MeltlakeError, StoppedBySignal, one_code
from schemas.settings import PLACES, Settings

Arguments = argparse.Namespace
Verb = Callable[[Settings, Arguments], "dict[str, object] | None"]

_REMEMBERED = {"materialize", "train", "simulate", "observe"}
_PASSING = {errno.ENOSPC, errno.EIO, errno.EAGAIN, errno.EDQUOT, errno.EFBIG, errno.ESTALE}
"""Errors of the system that may pass by themselves."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with its documented code."""
    words = list(sys.argv[1:] if argv is None else argv)
    whole = parser()
    if ASKED_BY in os.environ:
        answer_shell(whole)
    arguments = whole.parse_args(words)
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
    except TimeoutError as error:
        sys.stderr.write(f"No answer in time: {error}.\nRun the same command again; the machine may be overloaded.\n")
        sys.exit(EXIT_TRY_AGAIN)
    except OSError as error:
        sys.stderr.write(f"{error.filename or 'A file'}: {error.strerror or error}.\n")
        sys.stderr.write("Check the path, its permissions and its disk, then run the same command again.\n")
        sys.exit(EXIT_TRY_AGAIN if error.errno in _PASSING else EXIT_BAD_INPUT)


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise StoppedBySignal("Stopped by SIGTERM.", "Run the same command again: it goes on where it stopped.")


def _run(arguments: Arguments, words: Sequence[str]) -> int:
    settings = Settings.from_mapping(os.environ, **{name: getattr(arguments, name) for name in PLACES})
    with _remembered(settings, arguments, words):
        answer = _VERBS[arguments.name](settings, arguments)
    if answer is None:
        return 0
    exit_code = int(str(answer.pop("exit_code", 0)))
    text = json.dumps(answer, default=str) if arguments.json else _as_read(arguments.name, answer)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
    return exit_code


def _remembered(settings: Settings, arguments: Arguments, words: Sequence[str]) -> AbstractContextManager[None]:
    """A command that fails at its work is told by `status` until the same command succeeds."""
    if arguments.name not in _REMEMBERED:
        return nullcontext()
    from lake.delta import Lake
    from operators.failures import remembered

    return remembered(Lake(settings.lake), arguments.name, words)


def _ingest(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.ingest import ingest

    answer = ingest(settings, arguments.sources, workers=arguments.workers, part=arguments.part)
    codes = _told(answer, "source")
    if "put_off" in answer:
        codes.append(EXIT_TRY_AGAIN)
    return {**answer, "exit_code": one_code(codes)}


def _told(answer: dict[str, object], subject: str) -> list[int]:
    """Say of each run that failed what is wrong and what to do; their exit codes, which are no part of the answer."""
    failed = [run for run in answer["runs"] if "exit_code" in run]  # type: ignore[attr-defined]
    for run in failed:
        sys.stderr.write(f"{run[subject]}: {run['reason']}\n{run['remedy']}\n")
    return [run.pop("exit_code") for run in failed]


def _validate(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.validate import validate

    answer = validate(settings, arguments.run_ids)
    codes = _told(answer, "run_id")
    failed = [run for run in answer["runs"] if run["fails_because"]] if arguments.require else []  # type: ignore[attr-defined]
    for run in failed:
        sys.stderr.write(f"Run {run['run_id']} of {run['composition']} fails the gate. {run['fails_because']}\n")
        sys.stderr.write(
            f"See {answer['data_docs']}; mend the run, change a rule in campaign.toml, or `meltlake override`.\n"
        )
    return {**answer, "exit_code": one_code([*codes, *(EXIT_BAD_INPUT for _ in failed)])}


def _override(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.override import override, withdraw

    if arguments.withdraw:
        return withdraw(settings, arguments.run_id, rule=arguments.rule)
    return override(settings, arguments.run_id, rule=arguments.rule, frames=arguments.frames, because=arguments.because)


def _materialize(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from lake.small_process import keep_small

    keep_small()
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
        gap_fs=arguments.gap_fs,
        every_fs=arguments.every_fs,
        relaxation=arguments.relaxation,
        balance=arguments.balance,
        format=arguments.format,
        mix_theories=arguments.mix_theories,
        lake_version=arguments.lake_version,
    )
    return materialize(settings, request)


def _train(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.campaign import campaign_of
    from operators.train import train
    from schemas.recipes import recipe_named

    campaign = campaign_of(settings)
    recipe = recipe_named(arguments.recipe, campaign.all_recipes)
    if arguments.steps is not None:
        recipe = recipe.model_copy(update={"n_steps": arguments.steps})
    return train(
        settings,
        arguments.training_set,
        recipe=recipe,
        seed=arguments.seed,
        backend=arguments.backend or campaign.backend,
        init_from=arguments.init_from,
    )


def _simulate(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.simulate import simulate
    from schemas.composition import canonical_composition
    from schemas.simulation import SimulationRequest

    request = SimulationRequest(
        protocol=arguments.protocol,
        composition=canonical_composition(arguments.composition),
        temperature_k=arguments.temperature_k,
        n_steps=arguments.steps,
        equilibration_fs=arguments.equilibration_fs,
        sample_fs=arguments.sample_fs,
        time_step_fs=arguments.time_step_fs,
        pressure_gpa=arguments.pressure_gpa,
        replicate=arguments.replicate,
        seed=arguments.seed,
    )
    return simulate(settings, arguments.potential, request)


def _observe(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.observe import observe_potential, observe_run, observe_runs

    if arguments.potential:
        return observe_potential(settings, arguments.potential)
    if len(arguments.run) == 1 and not arguments.due:
        return observe_run(settings, arguments.run[0])
    answer = observe_runs(settings, arguments.run, only_due=arguments.due)
    return {**answer, "exit_code": one_code(_told(answer, "run_id"))}


def _propose(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.propose import ProposalRequest, propose

    request = ProposalRequest(
        potential_id=arguments.potential,
        temperature_k=arguments.temperature_k,
        step_at_percent=arguments.step,
        n_wanted=arguments.number,
        trust_mev_per_angstrom=arguments.trust,
    )
    return propose(settings, request, out=arguments.out, overwrite=arguments.overwrite)


def _publish(settings: Settings, _arguments: Arguments) -> dict[str, object]:
    from operators.publish import publish

    return publish(settings)


def _report(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.report import report

    return report(settings, out=arguments.out)


def _sql(settings: Settings, arguments: Arguments) -> None:
    from operators.sql import write_result

    format_ = "json" if arguments.json else arguments.format
    write_result(settings, arguments.query, format_=format_, rows=arguments.rows, seconds=arguments.seconds)


def _status(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.status import status

    chosen = {f"--{name}": getattr(arguments, name) for name in PLACES}
    return status(settings, places=[word for option, place in chosen.items() if place for word in (option, place)])


def _export(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.export import export

    return export(
        settings, arguments.out, format_=arguments.format, where=arguments.where, overwrite=arguments.overwrite
    )


def _potential_export(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.potential_export import potential_export

    return potential_export(settings, arguments.potential, arguments.out, overwrite=arguments.overwrite)


def _potential_add(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.potential_add import potential_add

    return potential_add(settings, arguments.file, name=arguments.called, origin=arguments.origin)


def _experiments_list(settings: Settings, _arguments: Arguments) -> dict[str, object]:
    from operators.experiments import experiments_list

    return experiments_list(settings)


def _experiments_add(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.experiments import experiments_add

    return experiments_add(settings, arguments.files)


def _experiments_remove(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.experiments import experiments_remove

    return experiments_remove(settings, arguments.source_id)


def _raw_verify(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.raw_verify import raw_verify

    answer = raw_verify(settings, arguments.run_id)
    for problem in answer["problems"]:  # type: ignore[attr-defined]
        sys.stderr.write(f"{problem['problem']}\n{problem['remedy']}\n")
    return {**answer, "exit_code": EXIT_BAD_INPUT if answer["problems"] else 0}


def _lake_describe(settings: Settings, _arguments: Arguments) -> dict[str, object]:
    from operators.lake_describe import lake_describe

    return lake_describe(settings)


def _lake_compact(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.lake_upkeep import lake_compact

    return lake_compact(settings, table=arguments.table)


def _lake_vacuum(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.lake_upkeep import lake_vacuum

    return lake_vacuum(settings, older_than_hours=arguments.older_than_hours, dry_run=arguments.dry_run)


def _lineage(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.lineage import lineage

    return lineage(settings, arguments.id)


def _completion(_settings: Settings, arguments: Arguments) -> dict[str, object]:
    return completion(arguments.shell)


def _up(settings: Settings, arguments: Arguments) -> None:
    from operators.scheduling.stack import up

    def tell(answer: dict[str, object]) -> None:
        if arguments.json:
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()

    up(settings, port=arguments.port, tell=tell)


def _demo(settings: Settings, arguments: Arguments) -> dict[str, object]:
    from operators.demo import demo

    answer = demo(settings, with_airflow=not arguments.no_airflow, landing=arguments.real, port=arguments.port)
    is_whole = answer["potentials"] and answer["simulations"] and not answer["due"]
    return {**answer, "exit_code": 0 if is_whole else EXIT_BAD_INPUT}


def _as_read(name: str, answer: dict[str, object]) -> str:
    """What a person reads: of some verbs otherwise than as a list of names and values."""
    if name not in _AS_READ:
        return as_text(answer)
    module, function = _AS_READ[name]
    return str(getattr(import_module(f"operators.{module}"), function)(answer))


_AS_READ = {
    "ingest": ("ingest_text", "ingest_text"),
    "status": ("status_text", "status_text"),
    "propose": ("proposals.texts", "propose_text"),
    "lineage": ("lineage", "lineage_text"),
    "lake describe": ("lake_describe", "lake_describe_text"),
    "completion": ("completion", "completion_text"),
}
"""Module and function that say it."""

_VERBS: dict[str, Verb] = {
    "ingest": _ingest,
    "validate": _validate,
    "override": _override,
    "materialize": _materialize,
    "train": _train,
    "simulate": _simulate,
    "observe": _observe,
    "propose": _propose,
    "publish": _publish,
    "report": _report,
    "sql": _sql,
    "export": _export,
    "potential export": _potential_export,
    "potential add": _potential_add,
    "experiments list": _experiments_list,
    "experiments add": _experiments_add,
    "experiments remove": _experiments_remove,
    "raw verify": _raw_verify,
    "lake describe": _lake_describe,
    "lake compact": _lake_compact,
    "lake vacuum": _lake_vacuum,
    "status": _status,
    "lineage": _lineage,
    "completion": _completion,
    "up": _up,
    "demo": _demo,
}


if __name__ == "__main__":
    main()
