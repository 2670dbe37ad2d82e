"""`docs/vasp-support.md` is what the readers do: every file of the reference set is read, or refused for its reason."""

from functools import cache
from pathlib import Path

from tests.readers import support
from tests.readers.reference_verdicts import Verdict, verdicts

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "vasp-support.md"


@cache
def judged() -> list[Verdict]:
    return verdicts(support.REFERENCE)


def test_the_page_tells_where_every_quantity_stands():
    assert PAGE.read_text().startswith(support.formats_text()), (
        "run: python -m tests.readers.support > docs/vasp-support.md"
    )


def test_the_page_is_the_readers_own_account(reference):
    told = support.document(reference)
    assert PAGE.read_text() == told, "run: python -m tests.readers.support > docs/vasp-support.md"
    assert str(reference.resolve()) not in told


def test_every_reference_file_is_read_or_refused_for_its_reason(reference):
    assert len(judged()) == 96
    assert [(verdict.file, verdict.text) for verdict in judged() if verdict.wrong] == []


def test_nothing_but_files_without_a_frame_is_refused(reference):
    refused = [verdict.file for verdict in judged() if verdict.refusal]
    no_output = [name for name in refused if name.endswith((".json", ".raw", ".npy"))]
    assert len(no_output) == 14
    assert sorted(set(refused) - set(no_output)) == [
        "bad-empty/OUTCAR",
        "bad-h5-cut/vaspout.h5",
        "h2-broken-step0/OUTCAR",
        "h2-broken-step0/vasprun.xml",
        "nitinb253-aborted/OUTCAR",
        "nitinb253-aborted/vasprun.xml",
    ]


def test_every_disagreement_with_a_peer_is_explained():
    told = (DOCS / "vasp-peers.md").read_text()
    rows = told.partition("## Disagreements")[2].splitlines()[4:]
    assert len(rows) > 30
    assert [row for row in rows if "not explained" in row or "another " in row] == []
