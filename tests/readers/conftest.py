"""What the reader tests share: the reference set, and a run read into plain arrays."""

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lake.readers.containers import SourceStream
from lake.readers.outcar import OutcarReader
from lake.readers.vasprun import VasprunReader

REFERENCE = Path(__file__).parents[2] / "../shared/vasp-reference"


@pytest.fixture(scope="session")
def reference() -> Path:
    if not (REFERENCE / "index.json").exists():
        pytest.skip("the reference set of VASP output is not on this machine")
    return REFERENCE


@pytest.fixture(scope="session")
def read_bytes() -> Callable[..., dict[str, object]]:
    """A function that reads the bytes of a file into one dictionary of arrays over all frames."""

    def read(content: bytes, *, chunk_bytes: int = 2 * 1024 * 1024) -> dict[str, object]:
        source = SourceStream(io.BytesIO(content), "memory")
        is_xml = b"<modeling" in source.peek(1024)
        reader = (VasprunReader if is_xml else OutcarReader)(source, chunk_bytes=chunk_bytes)
        batches = list(reader.batches())
        names = [field.name for field in dataclasses.fields(batches[0])]
        arrays: dict[str, object] = {
            name: np.concatenate([getattr(batch, name) for batch in batches])
            for name in names
            if name != "faults" and getattr(batches[0], name) is not None
        }
        faults = [fault for batch in batches for fault in batch.faults]
        return arrays | {"faults": faults, "outcome": reader.outcome, "header": reader.header}

    return read
