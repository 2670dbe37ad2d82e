"""What a person reads after an ingest: nothing of a path or a sentence is cut."""

from operators.ingest_text import ingest_text

STORED = {"run_id": "3fa2c81b90d1", "composition": "Al100", "n_frames": 20, "n_new": 20, "n_rejected": 0}
STORED |= {"complete": True, "notes": [], "reason": None}
DEEP = "/data/" + "many folders deep/" * 8 + "OUTCAR.gz"


def test_every_run_has_a_line_that_ends_in_its_whole_path():
    refused = dict.fromkeys(STORED) | {"n_frames": 0, "n_new": 0, "n_rejected": 0, "source": "/data/broken/OUTCAR"}
    lines = ingest_text({"runs": [STORED | {"source": DEEP}, refused]}).splitlines()
    assert len(lines) == 4
    assert lines[2].split()[:5] == ["3fa2c81b90d1", "Al100", "20", "20", "0"]
    assert lines[2].endswith(f"  {DEEP}")
    assert lines[3].split() == ["-", "-", "0", "0", "0", "/data/broken/OUTCAR"]


def test_what_there_is_to_know_of_a_run_is_told_once_and_whole():
    note = "The temperature goes from 1 to 400 K (TEBEG, TEEND), so the run has no single target."
    run = STORED | {"source": DEEP, "complete": False, "notes": [note], "n_rejected": 3}
    told = ingest_text({"runs": [run, run], "ignored": {"n_files": 2, "first": ["/data/a.out", "/data/b.out"]}})
    flat = " ".join(told.split())
    assert flat.count(note) == flat.count("It ends early: VASP was stopped, or is still writing.") == 1
    assert "`meltlake status` says why frames were rejected." in told
    assert "Left alone for their names: 2." in told
    assert told.endswith("  /data/a.out\n  /data/b.out")
