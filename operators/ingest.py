"""Ingest: raw files become frames in the lake. Parsing is the readers', judging the gate's, committing the lake's.

Every run is read, staged, judged and committed by itself; then runs that go on from each other are linked. A kill at
any moment leaves nothing half-done that the next ingest does not find and finish.
"""

import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lake.delta import Lake
from lake.gate import Gate, RuleGate
from lake.known_runs import (
    file_facts,
    raw_files_of,
    remember_file,
    resumption_of,
    run_name,
    run_named_otherwise,
    run_told_before,
    unchanged_runs,
)
from lake.raw_store import full_address, is_file, is_folder, size_bytes
from lake.readers import parts_of
from lake.sources import RunSource, first_of, found_below
from operators.failures import forget_failure, has_failed, record_failure
from operators.log import log
from operators.runs.chains import link_runs
from operators.runs.cross_check import begins_otherwise, cross_check, is_within
from operators.runs.ingest_progress import IngestProgress
from operators.runs.ingest_workers import in_processes
from operators.runs.overwritten import overwritten
from operators.runs.part import WHOLE, Part
from operators.runs.reading import (
    Progress,
    ReadRun,
    Testimony,
    beginning_of,
    read_run,
    refused_by_system,
    richest,
    testimony_of,
    unreadable,
)
from operators.runs.storing import Stored, known_run, rewrite_run, store_run
from operators.several import unexpected
from schemas.errors import MeltlakeError, TryAgainLater, UnreadableFile
from schemas.ids import content_id
from schemas.rows import Row, text

if TYPE_CHECKING:
    from schemas.settings import Settings

VERB = "ingest"

_MOST_IGNORED_NAMED = 20

_WORTH_A_PROCESS_BYTES = 256 * 1024 * 1024
"""Raw bytes that take longer to read than a process takes to start."""

_MOST_WORKERS = 8
"""Each takes 0.2 GB: on a large node as many as there are cores would need more than a pod may have."""

Entry = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where runs go, and who is asked and told on the way."""

    lake: Lake
    gate: Gate
    progress: Progress


def ingest(
    settings: "Settings", sources: Iterable[str], *, workers: int | None = None, part: Part = WHOLE
) -> dict[str, object]:
    """Bring every run below the sources into the lake; a bad one is listed with its reason and the rest goes on.

    Parameters
    ----------
    settings
        Where the lake is.
    sources
        Files, run directories, trees of them; paths or `s3://` addresses.
    workers
        Processes that read runs at the same time; by default as many as the machine has cores and the work is worth.
    part
        Which of the runs to read; other processes read the others.

    Returns
    -------
    dict
        `runs`: one entry per run found, as the contract says; `reason` is null for a run that is stored as its file
        tells it. `ignored` is there when files of other names were left alone, `put_off` when everything was stored and
        another process kept us from linking restarts.
    """
    from operators.campaign import gate_of  # with pydantic, which workers need not load

    lake, gate = Lake(settings.lake), gate_of(settings)
    entries: list[Entry] = []
    found: list[RunSource] = []
    listed: list[str] = []
    ignored: list[str] = []
    for source in sources:
        address = full_address(source)
        try:
            below = found_below(source)
        except MeltlakeError as error:
            entries.append(_holds_no_run(settings, address, error))
        except OSError as error:
            entries.append(_refused(lake, address, error))
        else:
            found += below.runs
            ignored += below.ignored
            listed.append(address)
    _forget_listed(lake, listed, {run.uri for run in found})
    found = [run for run in found if part.has(run.uri)]
    sizes = [sum(map(_size, run.every_file)) for run in found]
    n_workers = min(workers or _worthwhile_workers(sizes), len(found))
    with IngestProgress(sum(sizes)) as progress:
        if n_workers > 1:
            entries += _ingest_in_processes(
                settings.lake, gate, found, sizes=sizes, n_workers=n_workers, progress=progress.advance
            )
        else:
            desk = _Desk(lake, gate, progress.advance)
            entries += [entry for run in found for entry in _ingest_or_refuse(desk, run)]
    answer: dict[str, object] = {"runs": entries}
    if ignored:
        log.warning("ingest ignored files of other names or links to folders", n=len(ignored), first=first_of(ignored))
        answer["ignored"] = {"n_files": len(ignored), "first": ignored[:_MOST_IGNORED_NAMED]}
    try:
        link_runs(lake, gate, [str(entry["run_id"]) for entry in entries if entry["changed"]])
    except TryAgainLater as error:
        log.warning("linking put off", reason=error.problem)
        answer["put_off"] = error.problem
    return answer


def _holds_no_run(settings: "Settings", address: str, error: MeltlakeError) -> Entry:
    """An address with nothing to read: remembered if it landed, otherwise whoever named it reads that here."""
    lake = Lake(settings.lake)
    is_landed = address.startswith(f"{full_address(settings.landing)}/") and (is_file(address) or is_folder(address))
    if is_landed:
        return _refused(lake, address, error)
    forget_failure(lake, VERB, address)
    log.warning("ingest found nothing", source=address, reason=_without(address, error.problem))
    return _not_stored(address, error)


def _forget_listed(lake: Lake, sources: Collection[str], found: Collection[str]) -> None:
    """These sources could be listed, and so could the folders below them that are not among what was found."""
    below = tuple(f"{source}/" for source in sources)
    for row in lake.rows("task_failures").to_pylist():
        subject = text(row, "subject")
        if row["verb"] != VERB or (subject not in sources and (subject in found or not subject.startswith(below))):
            continue
        with suppress(OSError):  # it lies in a folder that cannot be listed now
            if subject in sources or is_folder(subject):
                forget_failure(lake, VERB, subject)


def _worthwhile_workers(sizes: Sequence[int]) -> int:
    n_cores = len(os.sched_getaffinity(0))
    return max(1, min(n_cores, _MOST_WORKERS, len(sizes), sum(sizes) // _WORTH_A_PROCESS_BYTES))


def _ingest_in_processes(
    lake: str, gate: RuleGate, found: Sequence[RunSource], *, sizes: Sequence[int], n_workers: int, progress: Progress
) -> list[Entry]:
    """The same by workers. Large runs come first, so that none is left to be read alone at the end."""
    order = sorted(range(len(found)), key=lambda number: -sizes[number])
    work = partial(ingest_in_worker, lake)
    answers = in_processes(work, [found[number] for number in order], gate, n_workers=n_workers, progress=progress)
    entries = dict(zip(order, answers, strict=True))
    return [entry for number in range(len(found)) for entry in entries[number]]


def ingest_in_worker(lake: str, run: RunSource, gate: Gate, progress: Progress) -> list[Entry]:
    """Bring one run into the lake; somebody else judges it."""
    return _ingest_or_refuse(_Desk(Lake(lake), gate, progress), run)


def _ingest_or_refuse(desk: _Desk, source: RunSource) -> list[Entry]:
    """A run, then the files beside it that turned out to be runs of their own."""
    try:
        entries, apart = _ingest_source(desk, source)
    except TryAgainLater as error:
        log.warning("ingest put off", source=source.uri, reason=error.problem)
        return [_not_stored(source.uri, error)]
    except (MeltlakeError, OSError) as error:
        return [_refused(desk.lake, source.uri, error)]
    except Exception as error:  # noqa: BLE001 - a bug of ours that one file meets must not keep a thousand others out
        return [_not_stored(source.uri, unexpected(error))]
    for uri in source.every_file:
        if uri not in apart:
            forget_failure(desk.lake, VERB, uri)
    for entry in entries:
        told = ("run_id", "source", "composition", "n_frames", "n_new", "n_rejected")
        log.info("ingest", **{name: entry[name] for name in told})
        if entry["reason"] is not None:
            log.warning("ingest keeps what it had", source=entry["source"], reason=entry["reason"])
    return [*entries, *(entry for uri in apart for entry in _ingest_or_refuse(desk, RunSource((uri,))))]


def _refused(lake: Lake, source: str, found: MeltlakeError | OSError) -> Entry:
    error = found if isinstance(found, MeltlakeError) else refused_by_system(source, found)
    if held := [text(row, "run_id") for row in raw_files_of(lake, source)]:
        error = UnreadableFile(f"{error.problem} What it told of before stays: run {', '.join(held)}.", error.remedy)
    record_failure(lake, VERB, source, error)
    log.warning("ingest refused", source=source, reason=_without(source, error.problem))
    return _not_stored(source, error)


def _without(source: str, sentence: str) -> str:
    """A sentence for beside the file that it is about."""
    return sentence.removeprefix(f"{source}: ")


def _not_stored(source: str, error: MeltlakeError) -> Entry:
    """An entry for a run that is not in the lake; its exit code tells whether trying again may help."""
    nothing: Entry = dict.fromkeys(("run_id", "composition"))
    counts = dict.fromkeys(("n_frames", "n_new", "n_accepted", "n_rejected"), 0)
    why = error.entry | {"reason": _without(source, error.problem)}
    return {**nothing, **counts, "source": source, "changed": False, **why}


def _ingest_source(desk: _Desk, source: RunSource) -> tuple[list[Entry], list[str]]:
    """Entries of a run, and the files beside it that are runs of their own."""
    if source.problem:
        raise UnreadableFile(source.problem, source.remedy)
    refused = [uri for uri in source.backups if has_failed(desk.lake, VERB, uri)]  # or all would be read again for it
    known = unchanged_runs(desk.lake, [uri for uri in source.every_file if uri not in refused])
    if known is not None:
        return [_entry(_judged_today(desk, row), text(row, "source_uri")) for row in known], refused
    if len(source.every_file) == 1:
        return _ingest_file(desk, source.uri), []
    return _ingest_directory(desk, source)


def _judged_today(desk: _Desk, row: Row) -> Stored:
    """A run whose files are known: where the rules have changed since, its frames are judged again as they are."""
    if row["rules_id"] == desk.gate.rules_id:
        return Stored(row, n_new=0, changed=False)
    run_id = text(row, "run_id")
    with desk.lake.writing(run_id, doing=f"storing run {run_id}"):
        judged = rewrite_run(desk.lake, known_run(desk.lake, run_id), desk.gate)
    return Stored(judged.row, n_new=0, changed=judged.changed)


def _ingest_file(desk: _Desk, uri: str) -> list[Entry]:
    """One file, which may hold several runs."""
    parts = ("",) if is_folder(uri) else parts_of(uri)
    before = raw_files_of(desk.lake, uri)
    stored = []
    for part in parts:
        resumption = resumption_of(desk.lake, uri) if part == "" else None
        with read_run(desk.lake, uri, part=part, resumption=resumption, progress=desk.progress) as read:
            stored.append((_store(desk, read, told_by=[uri] if part == "" else []), read))
    if not is_folder(uri):
        _remember(desk.lake, stored, uri)
    why = overwritten(before, stored)
    return [_entry(one, uri, reason=why) for one, _ in stored]


def _remember(lake: Lake, stored: Sequence[tuple[Stored, ReadRun]], uri: str) -> None:
    read = stored[-1][1]
    about = file_facts(read.header.source_format, read.fingerprint)
    # A file that the lake did not take its frames from may be another calculation: it must be read whole again.
    is_its_source = all(one.row["content_sha256"] == read.fingerprint.content_sha256 for one, _ in stored)
    bookmark = read.bookmark if len(stored) == 1 and is_its_source else None
    remember_file(lake, uri, runs=[str(one.row["run_id"]) for one, _ in stored], about=about, bookmark=bookmark)


def _ingest_directory(desk: _Desk, source: RunSource) -> tuple[list[Entry], list[str]]:
    """The files of one run: the richest is stored, the others are compared with it, or are runs of their own."""
    lake = desk.lake
    with ExitStack() as stack:
        read, told, apart = _richest_read(desk, source, stack)
        kept, before = read.testimony, raw_files_of(lake, read.uri)
        checks = {other.uri: cross_check(kept, other) for other in told if other.uri != read.uri}
        told_alone = [one.uri for one in told if one.uri in source.backups and not is_within(one.frames, kept.frames)]
        apart += [uri for uri, check in checks.items() if check.is_another_run or uri in told_alone]
        beside = {uri: check for uri, check in checks.items() if uri not in apart}
        notes = [check.note for check in beside.values() if check.note is not None]
        same_run = _run_of_positions(
            lake, [uri for uri, check in beside.items() if check.row["verdict"] != "disagrees"]
        )
        stored = _store(desk, read, told_by=[read.uri, *beside], same_run=same_run, notes=notes)
        _remember(lake, [(stored, read)], read.uri)
    run_id = str(stored.row["run_id"])
    rows = [{"run_id": run_id, **check.row} for check in beside.values()]
    if lake.rows("cross_checks", key=run_id).to_pylist() != rows:
        lake.replace("cross_checks", run_id, rows)
    for other in told:
        if other.uri in beside:
            remember_file(lake, other.uri, runs=[run_id], about=other.facts)
    why = overwritten(before, [(stored, read)])
    return [_entry(stored, read.uri, reason=why)], apart


def _run_of_positions(lake: Lake, files: Iterable[str]) -> str:
    """The run that one of these files made when it came alone and had no labels; empty if there is none."""
    for uri in files:
        for known in raw_files_of(lake, uri):
            row = known_run(lake, str(known["run_id"]))
            if row.get("source_uri") == uri and row["source_format"] == "xdatcar":
                return text(row, "run_id")
    return ""


def _richest_read(desk: _Desk, source: RunSource, stack: ExitStack) -> tuple[ReadRun, list[Testimony], list[str]]:
    """The file that tells most, read and staged; what each file says; backups that are another calculation's."""
    lake, progress = desk.lake, desk.progress
    told: list[Testimony] = []
    apart: list[str] = []
    first: ReadRun | None = None
    for uri in source.every_file:
        if first is not None:
            if uri in source.backups and begins_otherwise(first.testimony, beginning_of(uri)):
                apart.append(uri)
                continue
            one = testimony_of(uri, progress=progress)
            frames = one.frames, first.testimony.frames
            if uri not in source.backups or is_within(*frames) or is_within(*reversed(frames)):
                told.append(one)
            else:
                apart.append(uri)
            continue
        try:
            resumption = resumption_of(lake, uri)
            first = stack.enter_context(read_run(lake, uri, resumption=resumption, progress=progress))
            told.append(first.testimony)
        except UnreadableFile as error:
            told.append(unreadable(uri, error))
        except OSError as error:
            told.append(unreadable(uri, refused_by_system(uri, error)))
    if first is None:
        problems = [one.problem for one in told if one.problem is not None]
        text = "; ".join(error.problem.rstrip(".") for error in problems)
        raise UnreadableFile(f"{text}.", problems[0].remedy)
    best = richest(told)
    if best.uri == first.uri:
        return first, told, apart
    return stack.enter_context(read_run(lake, best.uri, resumption=resumption_of(lake, best.uri))), told, apart


def _store(
    desk: _Desk, read: ReadRun, *, told_by: Sequence[str], same_run: str = "", notes: Sequence[str] = ()
) -> Stored:
    """Name a run and store it.

    Parameters
    ----------
    told_by
        The files that tell of it.
    same_run
        The run that an earlier ingest made of a file beside this one, known to be the same; empty if there is none.
    """
    lake, content_ids = desk.lake, read.checks["content_id"].tolist()
    # Runs that begin alike are told apart by what the lake has, so only one of them may get its name at a time.
    beginning = content_id([read.head_sha256, content_ids[0]])
    with lake.writing(f"named-{beginning}", doing="storing a run that begins like this one"):
        run_id = read.header.run_id or (None if read.resumed is None else read.resumed.run_id)
        told = [read.checks[name] for name in ("ionic_step", "energy_ev")]
        run_id = run_id or run_told_before(lake, told_by, *told) or same_run
        if not run_id:
            run_id = run_name(lake, content_ids, head_sha256=read.head_sha256)
            if not lake.n_rows("runs", run_id):
                facts = file_facts(read.header.source_format, read.fingerprint)
                known = {"formula": read.formula, **{name: facts[name] for name in ("source_format", "content_sha256")}}
                run_id = run_named_otherwise(lake, known, *told) or run_id
        seen = lake.files("frames", key=run_id)
        return store_run(lake, read, desk.gate, run_id=run_id, seen=seen, notes=notes)


def _size(uri: str) -> int:
    try:
        return 0 if is_folder(uri) else size_bytes(uri)
    except OSError:
        return 0  # it is told when the file is opened


def _entry(stored: Stored, source: str, *, reason: str | None = None) -> Entry:
    names = ("run_id", "composition", "n_frames", "n_accepted", "n_rejected", "complete", "notes")
    row = {name: stored.row[name] for name in names}
    return {**row, "source": source, "n_new": stored.n_new, "changed": stored.changed, "reason": reason}
