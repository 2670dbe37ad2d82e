"""The tables are a promise: a change is made on purpose, with a version and a line that says what changed."""

from schemas.recipes import DP_SMALL, TABLE_1
from schemas.tables import SCHEMA_VERSION, TABLES, fingerprint

FINGERPRINTS = {1: "a2cf1a4a92350df6", 2: "2f975855c3fa0b63"}


def test_tables_change_only_with_a_new_schema_version():
    assert FINGERPRINTS[SCHEMA_VERSION] == fingerprint(), "raise SCHEMA_VERSION and pin the new fingerprint"


def test_every_table_has_its_key_and_partitions_among_its_columns():
    for table in TABLES.values():
        names = table.arrow_schema.names
        assert len(names) == len(set(names))
        assert table.key in table.partitions
        assert set(table.partitions) <= set(names)


def test_every_column_says_what_it_means():
    assert all(column.meaning for table in TABLES.values() for column in table.columns)


def test_table_1_has_fourteen_recipes_and_only_the_first_has_no_virial():
    assert [recipe.name for recipe in TABLE_1] == [f"DP-{number}" for number in range(1, 15)]
    assert [recipe.name for recipe in TABLE_1 if recipe.loss_prefactors.start_virial == 0] == ["DP-1"]
    assert DP_SMALL.paper is None
