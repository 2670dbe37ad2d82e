"""The races: which files, which contenders, which bars. The bars are promises to users; see the issue tracker."""

import gzip
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.measuring import ROOT, Cost, race
from tests.benchmarks.report import Line, beside
from tests.benchmarks.synthetic import (
    COMPOSITIONS,
    N_ATOMS,
    PAPER_FRAMES,
    Melt,
    paper_melts,
    write_ase_extxyz,
    write_dump,
    write_landing,
    write_many_formulas,
    write_outcar,
    write_shortest_extxyz,
    write_vaspout,
    write_vasprun,
    write_xdatcar,
)

N_READ = 1000
FEW_FRAMES, MANY_FRAMES = 400, 3000
FEW_FORMULAS, MANY_FORMULAS = 30, 300
N_WARM = 3
_GB = 1e9
_READER_MB = 80
_WORKER_MB = 200
_HEADLINE_S = 15.0
_GATE_S, _GATE_MB = 5.0, 300
_UNHASHED = " without its sha256"


def outcar(folder: Path) -> Iterator[Line]:
    for nwrite in (1, 2):
        path = _new(folder / f"nwrite{nwrite}" / "OUTCAR")
        write_outcar(path, Melt(COMPOSITIONS[0], N_READ), nwrite=nwrite)
        costs = race(["meltlake", f"meltlake{_UNHASHED}", "dpdata", "ASE", "sha256 alone"], path)
        title, bars = _title(path, N_READ, f", NWRITE = {nwrite}"), {"dpdata": 12, "ASE": 20}
        yield from _beside_unhashed(title, costs, bars)


def vasprun(folder: Path) -> Iterator[Line]:
    path = _new(folder / "xml" / "vasprun.xml")
    write_vasprun(path, Melt(COMPOSITIONS[0], N_READ))
    costs = race(["meltlake", "dpdata", "ASE", "pymatgen", "sha256 alone"], path)
    yield from beside(_title(path, N_READ), costs, {"dpdata": 25, "ASE": 25, "pymatgen": 25})


def memory(folder: Path) -> Iterator[Line]:
    for n_frames in (FEW_FRAMES, MANY_FRAMES):
        for name, write in (("OUTCAR", write_outcar), ("vasprun.xml", write_vasprun)):
            path = _new(folder / f"{n_frames}-frames" / name)
            write(path, Melt(COMPOSITIONS[0], n_frames))
            cost = race(["meltlake"], path)["meltlake"]
            met = cost.peak_mb <= _READER_MB
            yield Line(f"memory: {_title(path, n_frames)}", "meltlake", cost, bar=f"≤ {_READER_MB} MB", met=met)


def compressed(folder: Path) -> Iterator[Line]:
    plain = _new(folder / "compressed" / "OUTCAR")
    packed = plain.with_name("OUTCAR.gz")
    write_outcar(plain, Melt(COMPOSITIONS[0], N_READ))
    with plain.open("rb") as content, gzip.open(packed, "wb", compresslevel=6) as file:
        shutil.copyfileobj(content, file, 1 << 20)
    who = "meltlake, decompressing only"
    costs = race([who, f"{who},{_UNHASHED}", "gzip of Python"], packed)
    yield from _beside_unhashed(_title(packed, N_READ), costs, {"gzip of Python": 2})
    unpacked, whole = race(["meltlake"], plain)["meltlake"], race(["meltlake"], packed)["meltlake"]
    ratio = whole.cpu_s / unpacked.cpu_s
    yield Line(_title(packed, N_READ), "meltlake", whole, told=f"{ratio:.1f} times the plain file")


def vaspout(folder: Path) -> Iterator[Line]:
    path = _new(folder / "h5" / "vaspout.h5")
    write_vaspout(path, Melt(COMPOSITIONS[0], MANY_FRAMES))
    n_bytes = path.stat().st_size
    for line in beside(_title(path, MANY_FRAMES), race(["meltlake", "h5py slices"], path), {}):
        yield Line(line.what, line.who, line.cost, line.ratio, told=_rate(n_bytes, line.cost))


def xdatcar(folder: Path) -> Iterator[Line]:
    path = _new(folder / "xdatcar" / "XDATCAR")
    write_xdatcar(path, Melt(COMPOSITIONS[0], N_READ))
    yield from beside(_title(path, N_READ), race(["meltlake", "ASE"], path), {})


def extxyz(folder: Path) -> Iterator[Line]:
    for name, write in (("ase", write_ase_extxyz), ("shortest", write_shortest_extxyz)):
        path = _new(folder / "xyz" / f"{name}.extxyz")
        write(path, Melt(COMPOSITIONS[0], N_READ))
        costs = race(["meltlake", "dpdata", "ASE", "sha256 alone"], path)
        yield from beside(_title(path, N_READ), costs, {})
    for n_formulas in (FEW_FORMULAS, MANY_FORMULAS):
        path = _new(folder / "xyz" / f"{n_formulas}-formulas.extxyz")
        write_many_formulas(path, n_formulas)
        cost = race(["meltlake, every part"], path)["meltlake, every part"]
        told = _rate(path.stat().st_size, cost)
        what = f"{n_formulas} formulas in one extended XYZ, {path.stat().st_size / 1e6:.0f} MB"
        yield Line(what, "meltlake, every part", cost, told=told)


def dump(folder: Path) -> Iterator[Line]:
    for n_digits in (6, 15):
        path = _new(folder / f"{n_digits}-digits" / "melt.lammpstrj")
        write_dump(path, Melt(COMPOSITIONS[0], N_READ), n_digits=n_digits)
        costs = race(["meltlake", "dpdata", "ASE", "sha256 alone"], path)
        yield from beside(_title(path, N_READ, f", {n_digits} digits"), costs, {})


def lake(folder: Path) -> Iterator[Line]:
    path = _new(folder / COMPOSITIONS[0] / "OUTCAR")
    write_outcar(path, Melt(COMPOSITIONS[0], MANY_FRAMES))
    _ingest(path, path.parent / "lake")
    costs = race(["lake write", "lake read"], path)
    write, read = costs["lake write"], costs["lake read"]
    share = write.found["stored_bytes"] / write.found["raw_bytes"]
    for what, cost, least in (("rows to a committed lake", write, 0.3), ("lake to NumPy", read, 0.5)):
        rate = cost.found["raw_bytes"] / _GB / cost.cpu_s
        told, bar = _rate(cost.found["raw_bytes"], cost), f"≥ {least} GB per CPU s"
        yield Line(f"{what}, {MANY_FRAMES} x {N_ATOMS}", "meltlake", cost, told=told, bar=bar, met=rate >= least)
    yield Line(
        "size in the lake", "meltlake", write, told=f"{share:.3f} of raw float64", bar="≤ 0.84", met=share <= 0.84
    )


def gate(folder: Path, n_frames: int = PAPER_FRAMES) -> Iterator[Line]:
    """What judging the paper's data set costs; frames are made between the laps."""
    path = _new(folder / "gate" / "n_frames")
    path.write_text(str(n_frames))
    cost = race(["the gate"], path)["the gate"]
    laps = {name: cost.found[f"{name}_s"] for name in ("frame_checks", "frame_walk", "run_checks", "rules")}
    told = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in laps.items())
    judging = replace(cost, cpu_s=sum(laps.values()))
    # Rules cost as much for a short run as for a long one, so that nothing is promised of fewer frames.
    within = judging.cpu_s <= _GATE_S and judging.peak_mb <= _GATE_MB
    met = within if n_frames >= PAPER_FRAMES else None
    told += f"; importing Great Expectations before it {cost.found['gate_import_s']:.1f} s"
    bar = f"≤ {_GATE_S:g} CPU s, ≤ {_GATE_MB} MB"
    yield Line(f"{n_frames} x {N_ATOMS}: judged", "the gate", judging, told=told, bar=bar, met=met)


def headline(folder: Path, n_frames: int = PAPER_FRAMES) -> Iterator[Line]:
    """The paper's data set from text to lake and training set; dpdata's own way to a training set beside it."""
    write_landing(folder / "landing", paper_melts(n_frames))
    write_landing(folder / "warm", [Melt(COMPOSITIONS[0], N_WARM)])
    costs = race(["ingest, 2 processes", "ingest, 1 process", "materialize", "dpdata, no lake"], folder)
    made, peer = costs["materialize"], costs["dpdata, no lake"]
    what = f"{n_frames} x {N_ATOMS}"
    for who in ("ingest, 1 process", "ingest, 2 processes"):
        gate = f"; importing Great Expectations before it {costs[who].found['gate_import_s']:.1f} s"
        yield _of_worker(f"{what}: text to lake", who, costs[who], more=gate)
        yield _chain(f"{what}: text to lake and training set", f"{who} + materialize", costs[who], made, peer)
    yield _of_worker(f"{what}: lake to training set", "materialize", made)
    laps = ", ".join(f"{name} {peer.found[f'{name}_s']:.2f} s" for name in ("read", "split", "write"))
    yield Line(f"{what}: text to training set", "dpdata, no lake", peer, told=f"{laps}; {_wall(peer)}")
    ratio = made.cpu_s / peer.found["write_s"]
    told = f"{ratio:.2f} times dpdata's write"
    yield Line(f"{what}: lake to training set", "materialize", made, told=told, bar="≤ 2 times", met=ratio <= 2)


def _beside_unhashed(what: str, costs: dict[str, Cost], bars: dict[str, float]) -> Iterator[Line]:
    """Lines of a race. Ours without its sha256 is held against the bars, too: peers hash nothing: equal work."""
    for line in beside(what, costs, bars):
        if not line.who.endswith(_UNHASHED):
            yield line
            continue
        ratios = {peer: costs[peer].cpu_s / line.cost.cpu_s for peer in bars}
        told = ", ".join(f"{peer} {ratio:.1f}" for peer, ratio in ratios.items())
        wanted = ", ".join(f"{peer} ≥ {bar:g}" for peer, bar in bars.items())
        met = all(ratios[peer] >= bar for peer, bar in bars.items())
        yield replace(line, told=f"equal work: {told} times as much", bar=wanted, met=met)


def _chain(what: str, who: str, ingest: Cost, made: Cost, peer: Cost) -> Line:
    whole = ingest.then(made)
    allowed_s = _HEADLINE_S * peer.found["n_frames"] / PAPER_FRAMES
    with_gate_s = whole.cpu_s + ingest.found["gate_import_s"]
    told = (
        f"dpdata needs {peer.cpu_s / whole.cpu_s:.1f} times as much; {_wall(whole)}; "
        f"with the import of Great Expectations {with_gate_s:.1f} CPU s"
    )
    return Line(what, who, whole, told=told, bar=f"≤ {allowed_s:.3g} CPU s", met=whole.cpu_s <= allowed_s)


def _of_worker(what: str, who: str, cost: Cost, *, more: str = "") -> Line:
    largest = cost.worker_mb or cost.peak_mb
    told = f"largest worker {largest:.0f} MB; {_wall(cost)}{more}"
    return Line(what, who, cost, told=told, bar=f"≤ {_WORKER_MB} MB per worker", met=largest <= _WORKER_MB)


def _wall(cost: Cost) -> str:
    return f"wall {cost.wall_s:.1f} s"


def _ingest(source: Path, lake_folder: Path) -> None:
    shutil.rmtree(lake_folder, ignore_errors=True)
    command = [sys.executable, "-m", "operators.cli", "ingest", str(source), "--lake", str(lake_folder)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)


def _new(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _title(path: Path, n_frames: int, more: str = "") -> str:
    return f"{path.name}, {n_frames} x {N_ATOMS}{more}, {path.stat().st_size / 1e6:.0f} MB"


def _rate(n_bytes: float, cost: Cost) -> str:
    return f"{n_bytes / _GB / cost.cpu_s:.2f} GB per CPU s"
