"""Data docs tell a person why a frame was rejected: its value, its place in the picture, and what to do."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

from lake.delta import Lake
from operators.data_docs import write_data_docs
from operators.data_docs.picture import kept_when_thinned
from operators.data_docs.scalars import spans
from operators.physics.temperature import runaway_temperature_k
from schemas.gate import RULES
from schemas.settings import Settings
from schemas.tables import FRAMES

N_FRAMES = 300
BAD = {7: 61.5, 120: 88.25, 121: 93.125}
OVERRULED = 121
MADE_AT = datetime(2026, 11, 22, tzinfo=UTC).replace(tzinfo=None)


class Page(HTMLParser):
    """Text of every cell, what the page would fetch, and ids of what was drawn."""

    def __init__(self, text):
        super().__init__()
        self.references, self.rows, self.headings, self.labels, self._cell = [], [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.references += [given[name] for name in ("src", "href", "xlink:href", "action", "srcset") if name in given]
        self.labels += [given["aria-label"]] if tag == "svg" else []
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        self._cell = tag in ("td", "th") or (self._cell and tag not in ("table", "svg", "h1", "h2"))
        self.headings += [tag] if tag in ("h1", "h2", "h3") else []

    def handle_data(self, text):
        if self._cell and self.rows and self.rows[-1]:
            self.rows[-1][-1] += text.strip("\n")


def settings_at(home):
    return Settings.from_mapping({"MELTLAKE_LAKE": str(home / "lake")})


def verdict_of(rule, failing):
    """A row as the gate writes it."""
    overruled = [frame for frame in failing if frame == OVERRULED]
    return {
        "expectation": rule.name,
        "scope": rule.scope,
        "success": not failing,
        "n_unexpected": len(failing),
        "unexpected_frames": list(failing),
        "unexpected_values": [f"{value:.6g}" for value in failing.values()],
        "n_overruled": len(overruled) if rule.severity == "reject" else 0,
        "severity": rule.severity,
        "expected": rule.expected,
        "observed": f"{max(failing.values()):g} {rule.unit}" if failing else None,
        "reason": rule.reason,
    }


def fill(lake, run_id, *, forces=BAD, temperatures_k=None, **facts):
    """A run of toy numbers with its verdict, stored as an ingest stores it."""
    n = N_FRAMES
    failing = {"forces_bounded": forces}
    lake.replace("expectation_results", run_id, [verdict_of(rule, failing.get(rule.name, {})) for rule in RULES])
    rejected = [frame in forces and frame != OVERRULED for frame in range(n)]
    stored = {"frame": np.arange(n), "ionic_step": np.arange(1, n + 1), "time_fs": 2.0 * np.arange(n)}
    usual = 900 + 5 * np.cos(np.arange(n))
    stored |= {"n_atoms": np.full(n, 10), "temperature_k": usual if temperatures_k is None else temperatures_k}
    stored |= {"energy_ev": -3.0 - 0.01 * np.sin(np.arange(n))}
    stored |= {"min_distance_angstrom": np.full(n, 2.1), "min_distance_over_limit": np.full(n, 1.4)}
    stored["rejection_reasons"] = [["forces_bounded"] * is_rejected for is_rejected in rejected]
    stored["flags"] = [["forces_bounded"] * (frame == OVERRULED and frame in forces) for frame in range(n)]
    schema = FRAMES.file_schema
    rows = pa.table({f.name: stored.get(f.name, pa.nulls(n, f.type)) for f in schema}).cast(schema)
    lake.replace_batches("frames", {"run_id": run_id, "composition": "Al100"}, rows.to_batches())
    if OVERRULED in forces:
        word = {"expectation": "forces_bounded", "frames": [OVERRULED], "reason": "checked <by hand>"}
        lake.replace("overrides", run_id, [word | {"made_by": "a.person", "made_at": MADE_AT}])
    row = {"composition": "Al100", "origin": "aimd", "n_frames": n, "n_rejected": sum(rejected), "n_atoms": 10}
    row |= {"source_uri": "/landing/OUTCAR", "equilibrated_from_fs": 100.0, "temperature_target_k": 900.0}
    lake.replace("runs", run_id, [row | facts])


@pytest.fixture(scope="module")
def docs(tmp_path_factory):
    settings = settings_at(tmp_path_factory.mktemp("docs"))
    lake = Lake(settings.lake)
    fill(lake, "melt", reason="2 of 300 frames are rejected: forces_bounded (2).")
    fill(lake, "toy", forces={}, synthetic=True)
    fill(lake, "simulated", forces={}, origin="dnnp")
    failure = {"key": "k", "verb": "ingest", "subject": "/landing/<cut>", "cause": "It is empty.", "remedy": "Copy it."}
    lake.replace("task_failures", "k", [failure])
    return write_data_docs(settings).parent


def page_of(docs, run_id):
    return (docs / "runs" / f"{run_id}.html").read_text(encoding="utf-8")


def x_of_path(text, gid):
    """Leftmost and rightmost point of what was drawn under that name."""
    [drawn] = re.findall(rf'<g id="run-{gid}">.*?\bd="([^"]*)"', text, flags=re.DOTALL)
    xs = [float(x) for x, _ in re.findall(r"(-?[\d.]+) (-?[\d.]+)", drawn)]
    return min(xs), max(xs)


def test_every_rejected_frame_is_listed_with_its_value_and_what_was_expected(docs):
    rows = Page(page_of(docs, "melt")).rows
    for frame in (7, 120):
        time = f"{2.0 * frame / 1000:.4g}"
        assert [str(frame), str(frame + 1), time, "forces_bounded", f"{BAD[frame]:g}", "at most 50 eV/angstrom"] in rows


def test_an_overruled_frame_is_listed_apart_with_who_said_why(docs):
    page = page_of(docs, "melt")
    [row] = [row for row in Page(page).rows if row[0] == "121" and "overruled" in row[3]]
    assert row[4] == "93.125"
    assert "frame 121: “checked &lt;by hand&gt;” (a.person, 2026-11-22)" in page
    assert "meltlake override melt --rule forces_bounded --withdraw" in page


@pytest.mark.parametrize("frame", [7, 120])
def test_a_rejected_frame_is_shaded_where_it_lies_in_every_panel(docs, frame):
    page = page_of(docs, "melt")
    for panel in ("energy", "temperature", "distance"):
        start, stop = x_of_path(page, f"{panel}-values")
        left, right = x_of_path(page, f"{panel}-rejected-{frame}-{frame}")
        assert left < start + (stop - start) * frame / (N_FRAMES - 1) < right
        assert 0 < right - left < 0.01 * (stop - start)


def test_flags_are_hatched_and_the_start_of_averages_is_a_line(docs):
    page = page_of(docs, "melt")
    assert re.search(r'id="run-energy-flagged-121-121">.*?url\(#run-h', page, flags=re.DOTALL)
    start, stop = x_of_path(page, "energy-values")
    assert x_of_path(page, "energy-equilibrated")[0] == pytest.approx(start + (stop - start) * 50 / 299, abs=0.02)


def test_thresholds_and_the_target_are_drawn_or_named(docs):
    page = page_of(docs, "melt")
    hottest = f"flags above {runaway_temperature_k(900.0, n_atoms=10):.4g}"
    for words in ("rejects below 1.5", "flags below 1.695", "target 900", hottest):
        assert words in page


def test_the_picture_is_told_to_those_who_do_not_see_it(docs):
    [told] = Page(page_of(docs, "melt")).labels
    assert "300 frames: 298 accepted, 2 rejected (frames 7, 120), 1 flagged." in told


def test_toys_and_simulations_say_so_on_page_and_picture(docs):
    assert page_of(docs, "toy").count("synthetic</text>") == 1
    assert "synthetic run toy" in page_of(docs, "toy")
    assert page_of(docs, "simulated").count("simulation</text>") == 1
    assert "synthetic" not in re.sub(r"<style>.*?</style>", "", page_of(docs, "melt"), flags=re.DOTALL)


def test_what_to_do_names_the_frames_and_the_rule(docs):
    page = page_of(docs, "melt")
    assert "meltlake override melt --rule forces_bounded --frames 7 120 --because" in page
    assert "meltlake validate melt" in page


def test_the_index_has_counts_verdicts_refusals_and_overrides(docs):
    index = (docs / "index.html").read_text(encoding="utf-8")
    [row] = [row for row in Page(index).rows if "melt" in row]
    assert [*row[2:6]] == ["2 of 300 rejected", "300", "298", "2"]
    assert row[6:] == ["forces_bounded", "forces_bounded overruled: “checked <by hand>”"]
    assert ["ingest", "/landing/<cut>", "It is empty.", "Copy it."] in Page(index).rows


def test_nothing_is_fetched_from_anywhere(docs):
    pages = sorted(docs.rglob("*.html"))
    assert len(pages) == 5
    for path in pages:
        text = path.read_text(encoding="utf-8")
        for reference in Page(text).references:
            local = reference.partition("#")[0]
            assert not local or (path.parent / local).resolve().is_file(), reference
        assert not re.search(r"@import|url\((?!#)|https?://", text)
        assert Page(text).headings[0] == "h1"


def test_the_same_lake_gives_the_same_bytes(docs, tmp_path):
    settings = settings_at(docs.parent)
    before = {path: path.read_bytes() for path in docs.rglob("*.html")}
    for path in before:
        path.unlink()
    write_data_docs(settings)
    assert {path: path.read_bytes() for path in docs.rglob("*.html")} == before


def test_a_lake_without_the_new_columns_is_told_as_far_as_it_goes(tmp_path):
    settings = settings_at(tmp_path)
    lake = Lake(settings.lake)
    lake.replace("runs", "old", [{"composition": "Al100"}])
    lake.replace("expectation_results", "old", [{"expectation": "scf_converged", "success": False, "n_unexpected": 3}])
    lake.replace("overrides", "old", [{"expectation": "scf_converged"}])
    lake.replace_batches("frames", {"run_id": "old", "composition": "Al100"}, frames_of_nothing())
    index = write_data_docs(settings)
    assert "old" in index.read_text(encoding="utf-8")
    rows = Page(page_of(index.parent, "old")).rows
    assert ["0–1", "", "", "scf_converged", "missing", ""] in rows


def frames_of_nothing():
    """Two rejected frames of which nothing else is known."""
    known = {"frame": [0, 1], "rejection_reasons": [["scf_converged"]] * 2, "accepted": [False] * 2}
    schema = FRAMES.file_schema
    return pa.Table.from_pylist([{n: v[i] for n, v in known.items()} for i in range(2)], schema=schema).to_batches()


def test_an_empty_lake_gives_a_page_that_says_what_to_do(tmp_path):
    index = write_data_docs(settings_at(tmp_path))
    assert "meltlake ingest SOURCE" in index.read_text(encoding="utf-8")
    assert not (index.parent / "versions").exists()


def test_of_many_runs_only_the_changed_one_is_written_again(tmp_path):
    settings = settings_at(tmp_path)
    lake = Lake(settings.lake)
    for number in range(60):
        lake.replace("runs", f"r{number:03}", [{"composition": "Al100", "n_frames": 0, "origin": "aimd"}])
    docs = write_data_docs(settings).parent
    before = {path.name: path.stat().st_ino for path in (docs / "runs").iterdir()}
    lake.replace("expectation_results", "r007", [{"expectation": "scf_converged", "success": True}])
    write_data_docs(settings)
    after = {path.name: path.stat().st_ino for path in (docs / "runs").iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"r007.html"}
    assert len(after) == 60


def test_the_index_of_a_version_is_kept_as_it_was_first_written(tmp_path):
    settings = settings_at(tmp_path)
    lake = Lake(settings.lake)
    fill(lake, "first")
    docs = write_data_docs(settings).parent
    [copy] = (docs / "versions").iterdir()
    first = copy.read_bytes()
    fill(lake, "second")
    index = write_data_docs(settings).read_text(encoding="utf-8")
    assert copy.read_bytes() == first
    assert "second" in index
    assert {f"versions/{path.name}" for path in (docs / "versions").iterdir()} <= set(Page(index).references)


def test_a_temperature_that_differs_by_rounding_only_is_drawn_with_its_limits(tmp_path):
    settings = settings_at(tmp_path)
    rounded = 983.0 - 1e-12 * (np.arange(N_FRAMES) % 2)
    fill(Lake(settings.lake), "still", forces={}, temperatures_k=rounded, temperature_target_k=983.0)
    text = page_of(write_data_docs(settings).parent, "still")
    assert "target 983" in text
    assert "flags above" in text


def test_a_single_bad_value_of_a_long_run_is_still_drawn():
    values = np.sin(np.arange(30_000.0))
    values[17_123] = 5.0
    kept = kept_when_thinned(values, 1000)
    assert 17_123 in kept
    assert len(kept) <= 1002


def test_spans_are_bridged_over_gaps_that_nobody_sees():
    chosen = np.isin(np.arange(20), [3, 4, 6, 15])
    assert [str(span) for span in spans(chosen)] == ["3–4", "6", "15"]
    assert [str(span) for span in spans(chosen, bridged=1)] == ["3–6", "15"]


def test_a_rule_without_anything_to_judge_is_not_called_met(tmp_path):
    settings = settings_at(tmp_path)
    lake = Lake(settings.lake)
    fill(lake, "cold", forces={})
    judged = {"temperature_bounded": 0, "energy_present": N_FRAMES, "forces_bounded": N_FRAMES - 1}
    rows = lake.rows("expectation_results", key="cold").to_pylist()
    rows = [row | {"n_judged": judged[row["expectation"]]} for row in rows if row["expectation"] in judged]
    lake.replace("expectation_results", "cold", rows)
    docs = write_data_docs(settings).parent
    said = {row[0]: row[3] for row in Page(page_of(docs, "cold")).rows if row[0] in judged}
    assert said == {
        "temperature_bounded": "not applicable",
        "energy_present": "met",
        "forces_bounded": f"met, {N_FRAMES - 1} of {N_FRAMES} judged",
    }


def test_what_a_rule_expects_reads_as_a_sentence():
    stiff = re.compile(r"\b[01] of\b|\b1 times\b|at most 0 ")
    assert [rule.expected for rule in RULES if stiff.search(rule.expected)] == []
