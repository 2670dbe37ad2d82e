"""What a table is: columns with units as suffixes, a key, partitions. The one place of `schemas` that knows Arrow."""

from dataclasses import dataclass

import pyarrow as pa

TEXT, WHOLE, REAL, FLAG, TIME = pa.string(), pa.int32(), pa.float64(), pa.bool_(), pa.timestamp("us")
COUNT = pa.int64()
VECTOR = pa.list_(pa.field("element", pa.float64()))
ATOMIC_NUMBERS = pa.list_(pa.field("element", pa.int8()))
TEXTS = pa.list_(pa.field("element", pa.string()))
WHOLES = pa.list_(pa.field("element", pa.int32()))


@dataclass(frozen=True, slots=True)
class Column:
    """One column: name (unit as suffix), type and meaning."""

    name: str
    type: pa.DataType
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """One lake table. Rows are replaced exactly once by `key`, a column that is also a partition."""

    name: str
    one_row_per: str
    key: str
    columns: tuple[Column, ...]
    partition_by: tuple[str, ...] = ()

    @property
    def partitions(self) -> tuple[str, ...]:
        return self.partition_by or (self.key,)

    @property
    def arrow_schema(self) -> pa.Schema:
        """All columns, partitions included."""
        return pa.schema([(column.name, column.type) for column in self.columns])

    @property
    def file_schema(self) -> pa.Schema:
        """The columns that a Parquet file stores: partitions live in its path."""
        return pa.schema([(c.name, c.type) for c in self.columns if c.name not in self.partitions])


def table(name: str, one_row_per: str, key: str, *columns: Column, partition_by: tuple[str, ...] = ()) -> Table:
    """A table, written as it reads."""
    return Table(name, one_row_per, key, columns, partition_by)


def column(name: str, type_: pa.DataType, meaning: str) -> Column:
    """A column, written as it reads."""
    return Column(name, type_, meaning)
