"""Rows of a run between reading and committing: on the local disk, so that memory stays flat, and gone afterwards."""

import fcntl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa


class StagedRun:
    """Record batches of one run, written once and read back in order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self.n_rows = 0

    def append(self, columns: dict[str, pa.Array]) -> None:
        batch = pa.RecordBatch.from_pydict(columns)
        if self._writer is None:
            self._writer = pa.ipc.new_file(self._path, batch.schema)
        self._writer.write_batch(batch)
        self.n_rows += batch.num_rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Every batch, in the order it was appended; nothing can be appended afterwards."""
        if self._writer is None:
            return
        self._writer.close()
        with pa.OSFile(str(self._path)) as source:  # a mapped file would count as memory, all of it
            reader = pa.ipc.open_file(source)
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)


@contextmanager
def staged_run(folder: Path) -> Iterator[StagedRun]:
    """A place for one run's rows in the lake's scratch folder; removed on leaving, whatever happened."""
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    path = folder / f"{uuid.uuid4().hex}.arrow"
    with path.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            yield StagedRun(path)
        finally:
            path.unlink(missing_ok=True)


def sweep(folder: Path, *, dry_run: bool = False) -> list[tuple[Path, int]]:
    """Remove what a killed ingest left: the kernel has let go of its lock. Returns the files and their sizes."""
    swept: list[tuple[Path, int]] = []
    for path in sorted(folder.glob("*.arrow")):
        with suppress(OSError), path.open("rb") as left:
            fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
            swept.append((path, path.stat().st_size))
            if not dry_run:
                path.unlink(missing_ok=True)
    return swept
