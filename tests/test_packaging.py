"""Our four plain package names are ours: no wheel in the environment squats one of them."""

import importlib.metadata
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["schemas", "lake", "operators", "dags"])
def test_no_other_distribution_owns_our_package(name):
    owners = importlib.metadata.packages_distributions().get(name, ["meltlake"])
    assert set(owners) == {"meltlake"}
    found = importlib.util.find_spec(name)
    assert found is not None
    assert Path(str(found.origin)).is_relative_to(ROOT)
