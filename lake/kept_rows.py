"""Rows that were made from things that never change, kept in one file so that hundreds of small files need no opening.

What is kept is disposable: it is made again where it is missing, damaged or of another version. What the rows are of,
and how they are made, is the caller's.
"""

import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

NAME = "kept_as"
"""The column that says what a row was made from; any number of rows may have the same."""

_FEW = 8
"""So many are made again each time: writing the file after every commit would cost more."""


class KeptRows:
    """Rows by the name of what they were made from, in one file on this machine.

    Parameters
    ----------
    path
        The file; made when there is something to keep.
    schema
        Columns of the rows, without `NAME`.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._schema = schema.append(pa.field(NAME, pa.string()))

    def rows(self, names: Sequence[str], make: Callable[[Sequence[str]], pa.Table]) -> pa.Table:
        """The rows made from these things, in the order of their names; those of other things are forgotten.

        Parameters
        ----------
        names
            What the rows are made from: the same name must always give the same rows.
        make
            Makes the rows of names that are not kept, with a column `NAME`.
        """
        kept = self._read()
        known = set(kept[NAME].to_pylist())
        new = [name for name in names if name not in known]
        made = make(new).select(self._schema.names).cast(self._schema) if new else self._schema.empty_table()
        merged = pa.concat_tables([kept, made]).combine_chunks()
        places = pc.index_in(merged[NAME], value_set=pa.array(names, pa.string()))
        order = pc.sort_indices(
            pa.table({"place": places, "row": pa.array(range(merged.num_rows), pa.int64())}),
            sort_keys=[("place", "ascending"), ("row", "ascending")],
        )
        rows = merged.take(order.slice(0, merged.num_rows - places.null_count))
        if len(new) > _FEW:
            self._write(rows)
        return rows.drop_columns([NAME])

    def _read(self) -> pa.Table:
        with suppress(OSError, pa.ArrowInvalid), pa.OSFile(str(self._path)) as source:
            found = pa.ipc.open_file(source).read_all()
            if found.schema.equals(self._schema):
                return found
        return self._schema.empty_table()

    def _write(self, rows: pa.Table) -> None:
        unfinished = self._path.with_name(f".{uuid.uuid4().hex}.tmp")
        with suppress(OSError):  # a lake that may only be read; the rows are made again next time
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with pa.ipc.new_file(unfinished, rows.schema) as writer:
                    writer.write_table(rows)
                unfinished.replace(self._path)
            finally:
                unfinished.unlink(missing_ok=True)
