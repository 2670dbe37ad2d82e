"""Documentation is data: every verb, table and column is in it, and what the README tells to type is what CI runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.dictionary import dictionary
from schemas.model_card import card_fields
from schemas.recipes import LOSS_SCHEMES, RECIPES, Recipe
from schemas.tables import TABLES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
VERBS = ["ingest", "validate", "materialize", "train", "simulate", "observe"]
VERBS += ["publish", "report", "sql", "status", "up", "demo"]
VERBS += ["propose", "export", "raw verify", "potential export", "lake describe", "lake compact", "lake vacuum"]
VERBS += ["experiments list", "experiments add", "experiments remove", "lineage", "completion"]
PYTHON = [path for folder in ("schemas", "lake", "operators", "dags") for path in sorted((ROOT / folder).rglob("*.py"))]


def help_text(*words):
    command = [sys.executable, "-m", "operators.cli", *words, "--help"]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def test_the_data_dictionary_is_the_schemas_own_words():
    told = (ROOT / "docs" / "tables.md").read_text()
    assert told == dictionary(), "run: python -m schemas.dictionary > docs/tables.md"
    assert all(f"`{table}`" in told for table in TABLES)


def test_the_command_line_has_every_verb_and_the_readme_shows_it():
    told = help_text()
    assert all(re.search(rf"\b{verb}\b", told) for verb in VERBS)
    assert all(
        f"meltlake {verb}" in README or f"make {verb}" in README
        for verb in VERBS
        if verb not in ("observe", "validate")
    )


def test_the_two_commands_of_the_readme_are_targets_and_ci_runs_the_tests():
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{target}:" in makefile for target in ("demo", "test", "lint", "bench", "study"))
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_what_the_readme_points_to_exists():
    paths = re.findall(r"`((?:docs|schemas|lake|operators|dags|deploy)/[\w./-]+)`", README)
    paths += re.findall(r"\]\((docs/[\w./-]+)\)", README)
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_link_of_a_page_leads_to_a_file_and_every_page_is_reached_from_the_readme():
    reached, ahead = set(), {ROOT / "README.md"}
    while ahead:
        page = ahead.pop()
        reached.add(page)
        links = re.findall(r"\]\(([\w./-]+)(?:#[\w-]+)?\)", page.read_text())
        assert [link for link in links if not (page.parent / link).exists()] == []
        ahead |= {(page.parent / link).resolve() for link in links if link.endswith(".md")} - reached
    assert set((ROOT / "docs").glob("*.md")) - reached == set()


@pytest.mark.parametrize(("page", "least"), [("validation.md", 30), ("security.md", 20)])
def test_every_test_that_a_page_names_exists(page, least):
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", (ROOT / "docs" / page).read_text())
    assert len(named) > least
    assert [f"{path}::{test}" for path, test in named if f"def {test}(" not in (ROOT / path).read_text()] == []


def test_every_module_says_in_its_first_line_what_it_is():
    silent = [path for path in PYTHON if not path.read_text().startswith('"""')]
    assert silent == []


@pytest.mark.parametrize(("folder", "most"), [("schemas", 400), ("lake", 400), ("operators", 400), ("dags", 60)])
def test_no_module_is_longer_than_one_can_read(folder, most):
    lengths = {path: len(path.read_text().splitlines()) for path in PYTHON if path.is_relative_to(ROOT / folder)}
    assert {path: length for path, length in lengths.items() if length > most} == {}


def test_data_are_never_checked_by_assert():
    asserting = [path for path in PYTHON if re.search(r"^\s*assert ", path.read_text(), re.MULTILINE)]
    assert asserting == []


def test_unit_factors_live_in_one_place():
    factor = re.compile(r"1\.602176|6\.2415|8\.6173|0\.000?6241|160\.2176|1\.0364\d")
    strays = [path for path in PYTHON if path.name != "units.py" and factor.search(path.read_text())]
    assert strays == []


def test_every_environment_variable_but_four_is_airflows_or_a_programs():
    names = {name for path in PYTHON for name in re.findall(r"\bMELTLAKE_[A-Z]+\b", path.read_text())}
    marks = {"MELTLAKE_POD"}  # set on a pod's process to recognise it, never read as a setting
    assert names - marks == {"MELTLAKE_LAKE", "MELTLAKE_LANDING", "MELTLAKE_WAREHOUSE", "MELTLAKE_HOME"}


def test_the_fields_of_the_model_card_are_the_schemas_own_words():
    told = (ROOT / "docs" / "potentials.md").read_text()
    _, _, fields = told.partition("<!-- fields: python -m schemas.model_card -->\n")
    assert fields.partition("<!-- end of fields -->")[0] == card_fields(), "put in: python -m schemas.model_card"


def test_recipes_are_documented():
    told = (ROOT / "docs" / "recipes.md").read_text()
    assert all(f"`{name}`" in told for name in RECIPES if not name.removeprefix("DP-").isdigit())
    keys = set(Recipe.model_fields) - {"name", "paper"}
    assert [key for key in keys if f"`{key}`" not in told] == []
    assert [scheme for scheme in LOSS_SCHEMES if f"`{scheme}`" not in told] == []
