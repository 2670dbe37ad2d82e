"""The process of one contender: `python -m tests.benchmarks.contender NAME PATH` prints what its work cost as JSON."""

import json
import resource
import sys
import time
from importlib import import_module
from pathlib import Path

from tests.benchmarks.laps import cpu_seconds

CONTENDERS = {
    "meltlake": "contenders.meltlake",
    "meltlake without its sha256": "contenders.our_reader_unhashed",
    "dpdata": "contenders.dpdata_reader",
    "ASE": "contenders.ase_reader",
    "pymatgen": "contenders.pymatgen_reader",
    "sha256 alone": "contenders.sha256",
    "h5py slices": "contenders.h5py_slices",
    "meltlake, decompressing only": "contenders.our_gunzip",
    "meltlake, decompressing only, without its sha256": "contenders.our_gunzip_unhashed",
    "gzip of Python": "contenders.gzip_reader",
    "meltlake, every part": "contenders.our_parts",
    "meltlake rdf": "observing.our_rdf",
    "freud": "observing.freud_rdf",
    "MDAnalysis": "observing.mdanalysis_rdf",
    "LAMMPS rerun": "observing.lammps_rerun",
    "meltlake vacf": "observing.our_vacf",
    "transposing copy": "observing.transposing_copy",
    "tidynamics": "observing.tidynamics_vacf",
    "meltlake observe": "observing.our_observe",
    "lake write": "chains.lake_write",
    "lake read": "chains.lake_read",
    "ingest, 1 process": "chains.our_ingest",
    "ingest, 2 processes": "chains.our_ingest_in_two",
    "the gate": "gate.our_gate",
    "materialize": "chains.our_materialize",
    "dpdata, no lake": "chains.dpdata_chain",
    "publish": "answering.our_publish",
    "publish again": "answering.our_publish_again",
    "views": "answering.our_views",
    "status": "answering.our_status",
    "table_1": "answering.our_table_1",
    "overview": "answering.our_overview",
}
"""Imported by the process that runs one: its workers import this file again, which must not make them larger."""


def peak_mb() -> float:
    """Largest resident memory so far. `ru_maxrss` would do, but it is inherited from the parent on Linux."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    module, _, function = CONTENDERS[sys.argv[1]].partition(".")
    contender = getattr(import_module(f"tests.benchmarks.{module}"), function)
    work = contender(Path(sys.argv[2]))
    imported_mb = peak_mb()
    cpu, wall = cpu_seconds(), time.perf_counter()
    found = work()
    cost = {"cpu_s": cpu_seconds() - cpu, "wall_s": time.perf_counter() - wall}
    sys.stdout.write(
        json.dumps({**cost, "peak_mb": peak_mb(), "imported_mb": imported_mb, "found": dict(found)}) + "\n"
    )


if __name__ == "__main__":
    main()
