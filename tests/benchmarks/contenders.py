"""One contender of one benchmark, in a fresh process: prints CPU seconds of the work alone and peak memory as JSON."""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

Work = Callable[[], object]


def ours(path: Path) -> Work:
    from lake.readers import open_run

    def read() -> int:
        with open_run(path) as reader:
            n_frames = sum(batch.n_frames for batch in reader.batches())
            reader.fingerprint()
        return n_frames

    return read


def dpdata_reader(path: Path) -> Work:
    import dpdata

    form = "vasp/outcar" if path.name == "OUTCAR" else "vasp/xml"
    dpdata.LabeledSystem()
    return lambda: dpdata.LabeledSystem(str(path), fmt=form).get_nframes()


def ase_reader(path: Path) -> Work:
    import ase.io.vasp

    read = ase.io.vasp.read_vasp_out if path.name == "OUTCAR" else ase.io.vasp.read_vasp_xml
    return lambda: len(list(read(str(path), index=slice(None))))


def ours_rdf(path: Path) -> Work:
    from operators.physics.rdf import partial_rdf

    numbers, positions, cells = _melt(path)

    def work() -> object:
        return partial_rdf(numbers, positions, cells=cells, r_max_angstrom=9.0, n_bins=180)

    work()  # compiles
    return work


def freud_rdf(path: Path) -> Work:
    import freud
    import numpy as np

    freud.parallel.set_num_threads(1)
    numbers, positions, cells = _melt(path)
    kinds = np.unique(numbers)

    def work() -> object:
        curves = []
        for a in kinds:
            for b in kinds[kinds >= a]:
                mode = "finite_size" if a == b else "exact"
                rdf = freud.density.RDF(bins=180, r_max=9.0, normalization_mode=mode)
                for cell, frame in zip(cells, positions, strict=True):
                    box = freud.box.Box.cube(cell[0, 0])
                    wrapped = box.wrap(frame - cell[0, 0] / 2)
                    query = None if a == b else wrapped[numbers == b]
                    rdf.compute((box, wrapped[numbers == a]), query_points=query, reset=False)
                curves.append(rdf.rdf)
        return curves

    return work


def _melt(path: Path):
    import numpy as np

    with np.load(path) as melt:
        return melt["numbers"], melt["positions"], melt["cells"]


CONTENDERS = {
    "meltlake": ours,
    "dpdata": dpdata_reader,
    "ASE": ase_reader,
    "meltlake rdf": ours_rdf,
    "freud": freud_rdf,
}


def main() -> None:
    work = CONTENDERS[sys.argv[1]](Path(sys.argv[2]))
    before = time.process_time()
    result = work()
    seconds = time.process_time() - before
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    n_frames = result if isinstance(result, int) else None
    sys.stdout.write(json.dumps({"cpu_s": seconds, "peak_mb": peak_mb, "n_frames": n_frames}) + "\n")


if __name__ == "__main__":
    main()
