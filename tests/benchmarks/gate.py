"""The contender that judges: everything that the gate does to frames which a reader hands over, and nothing else."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from schemas.frames import FrameBatch, LevelOfTheory, RunHeader
from tests.benchmarks.contenders import Work
from tests.benchmarks.laps import Laps, cpu_seconds
from tests.benchmarks.synthetic import COMPOSITIONS, Melt, paper_melts

_FRAMES_PER_BATCH = 128
_SPRING_EV_PER_ANGSTROM2 = 2.0
_KELVIN = 1673.0


def our_gate(path: Path) -> Work:
    """Frames that are made between the laps, judged; `path` tells how many."""
    from lake.gate import RuleGate

    gate, before = RuleGate(), cpu_seconds()
    gate.load()
    imported_s = cpu_seconds() - before
    _judge(gate, Melt(COMPOSITIONS[0], 3), Laps())  # loads the rest

    def work() -> Mapping[str, float]:
        laps, melts = Laps(), paper_melts(int(path.read_text()))
        n_rejected = sum(_judge(gate, melt, laps) for melt in melts)
        if n_rejected:
            raise SystemExit(f"{n_rejected} frames were rejected")
        found = {"n_frames": sum(melt.n_frames for melt in melts), "gate_import_s": imported_s}
        return found | laps.seconds

    return work


def _judge(gate: Any, melt: Melt, laps: Laps) -> int:
    """How many frames are rejected, after the steps of an ingest between the reader and the lake."""
    from operators.gate.frame_checks import CHECKED
    from operators.gate.frame_walk import FrameWalk
    from operators.gate.run_checks import run_checks
    from operators.gate.run_facts import facts_of_header
    from operators.runs.reading import checks_of_batch
    from schemas.columns import joined

    header = _header(melt)
    walk, parts = FrameWalk(header.atomic_numbers), []
    for batch in _batches(melt, header):
        time_fs = batch.ionic_step - 1.0
        with laps.lap("frame_checks"):
            checks = checks_of_batch(header, batch, time_fs)
        with laps.lap("frame_walk"):
            checks |= walk.follow(batch, time_fs)
        parts.append(checks)
    with laps.lap("run_checks"):
        facts = facts_of_header(header, walk.sample, goes_on=False)
        case = run_checks(joined(parts, (*CHECKED, "n_faults")), facts).case
    with laps.lap("rules"):
        return gate.judge(case).n_rejected


def _header(melt: Melt) -> RunHeader:
    numbers = {"Al": 13, "Cu": 29, "Ni": 28}
    kinds = [numbers[species.symbol] for species in melt.run.species for _ in range(species.count)]
    return RunHeader(
        source_format="vasprun",
        atomic_numbers=np.array(kinds, dtype=np.int8),
        ensemble="nvt",
        time_step_fs=1.0,
        temperature_target_k=_KELVIN,
        enmax_ev=300.0,
        level_of_theory=LevelOfTheory(functional="PBE", encut_ev=400.0, ismear=1),
    )


def _batches(melt: Melt, header: RunHeader) -> Iterator[FrameBatch]:
    """The atoms of `Melt`, on springs, so that forces are the derivatives of energies."""
    rng = np.random.default_rng(1)
    for start, cell, sites, ways in melt.swings(_FRAMES_PER_BATCH):
        n_frames = len(ways)
        swings = ways - ways.mean(axis=1, keepdims=True)  # no net force
        energy_ev = 0.5 * _SPRING_EV_PER_ANGSTROM2 * (swings**2).sum(axis=(1, 2))
        virials = _SPRING_EV_PER_ANGSTROM2 * (np.swapaxes(swings, 1, 2) @ swings)
        yield FrameBatch(
            ionic_step=np.arange(start + 1, start + n_frames + 1, dtype=np.int32),
            segment=np.zeros(n_frames, dtype=np.int32),
            cell_angstrom=np.repeat(cell[None], n_frames, axis=0),
            positions_angstrom=sites + swings,
            forces_ev_per_angstrom=-_SPRING_EV_PER_ANGSTROM2 * swings,
            energy_ev=energy_ev,
            energy_sigma0_ev=energy_ev,
            energy_without_entropy_ev=energy_ev,
            virial_ev=virials,
            virial_trace_ev=np.trace(virials, axis1=1, axis2=2),
            temperature_k=rng.normal(_KELVIN, _KELVIN * np.sqrt(2 / (3 * header.n_atoms)), n_frames),
            scf_steps=np.full(n_frames, 9, dtype=np.int32),
            scf_verdict=np.full(n_frames, "converged", dtype=object),
            label_source=np.full(n_frames, "dft", dtype=object),
            faults=((),) * n_frames,
        )
