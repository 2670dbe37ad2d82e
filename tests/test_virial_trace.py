"""With ISIF = 1 VASP computes the trace of the stress and nothing else: what the lake keeps and makes of it."""

import gzip
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lake.delta import Lake
from lake.frames import trajectory
from lake.readers import open_run
from operators.export import export
from operators.ingest import ingest
from operators.materialize import materialize
from operators.physics.thermodynamics import pressures_gpa, thermodynamics
from operators.raw_verify import raw_verify
from schemas.settings import Settings
from schemas.tables import FRAMES
from schemas.training import TrainingSetRequest

REFERENCE = Path(__file__).parents[1] / "../shared/vasp-reference"
pytestmark = pytest.mark.skipif(
    not (REFERENCE / "index.json").exists(), reason="the reference set of VASP output is not on this machine"
)

TAGS = {
    "OUTCAR": (b"   ISIF   =      2  ", b"   ISIF   =      1  "),
    "vasprun.xml": (b'<i type="int" name="ISIF">     2</i>', b'<i type="int" name="ISIF">     1</i>'),
}
EXTERNAL = re.compile(rb"external pressure = +(\S+) kB +Pullay stress = +(\S+) kB")


def made_trace_only(path, kind):
    """The file as it would be with ISIF = 1; what VASP prints as components is replaced by nonsense of equal trace."""
    full, trace_only = TAGS[kind]
    content = (REFERENCE / path).read_bytes()
    assert full in content
    content = content.replace(full, trace_only)
    if kind == "OUTCAR":
        content = re.sub(
            rb"(  in kB  +)(\S+) +(\S+) +(\S+) .*",
            lambda line: (
                b"  in kB  %12.5f%12.5f%12.5f  9999.99999     1.00000    -7.00000"
                % (float(line[2]) + 9, float(line[3]) - 9, float(line[4]))
            ),
            content,
        )
    return content


@pytest.fixture
def settings(tmp_path):
    return Settings.from_mapping({}, lake=str(tmp_path / "lake"))


def ingested(settings, folder, name, content):
    folder.mkdir()
    (folder / name).write_bytes(content)
    [run] = ingest(settings, [str(folder / name)])["runs"]
    return run["run_id"]


@pytest.mark.parametrize(
    ("name", "pullay_stress"),
    [
        ("h2o-md10/OUTCAR", 0),
        ("li40-relax/OUTCAR.gz", 700),
        ("inp216-incomplete/OUTCAR.gz", -7.85),
        ("zn2-v46/OUTCAR.gz", 0),
    ],
)
def test_a_third_of_the_trace_is_the_external_pressure_plus_pstress(name, pullay_stress):
    batches = list(open_run(REFERENCE / name).batches())
    volumes = np.concatenate([np.abs(np.linalg.det(batch.cell_angstrom)) for batch in batches])
    traces_kbar = np.concatenate([batch.virial_trace_ev for batch in batches]) / volumes / 6.241509074e-4
    raw = (REFERENCE / name).read_bytes()
    content = gzip.decompress(raw) if name.endswith(".gz") else raw
    printed = [[float(word) for word in line] for line in EXTERNAL.findall(content)]
    assert {pullay for _, pullay in printed} == {pullay_stress}
    external = [pressure + pullay for pressure, pullay in printed][: len(volumes)]
    np.testing.assert_allclose(traces_kbar / 3, external, atol=0.0051)


@pytest.mark.parametrize("kind", ["OUTCAR", "vasprun.xml"])
def test_isif_1_leaves_the_trace_and_no_virial(tmp_path, kind):
    (tmp_path / kind).write_bytes(made_trace_only(f"h2o-md10/{kind}", kind))
    reader = open_run(tmp_path / kind)
    [batch], [whole] = list(reader.batches()), list(open_run(REFERENCE / "h2o-md10" / kind).batches())
    assert np.isnan(batch.virial_ev).all()
    np.testing.assert_allclose(batch.virial_trace_ev, np.trace(whole.virial_ev, axis1=1, axis2=2), rtol=0, atol=1e-11)
    assert not any(batch.faults)
    assert "ISIF = 1" in " ".join(reader.outcome.notes)


def test_a_damaged_diagonal_is_no_trace(tmp_path):
    content = made_trace_only("h2o-md10/OUTCAR", "OUTCAR")
    (tmp_path / "OUTCAR").write_bytes(re.sub(rb"(  in kB  +)\S+", rb"\1*********", content, count=1))
    [batch] = open_run(tmp_path / "OUTCAR").batches()
    assert np.isnan(batch.virial_trace_ev).tolist() == [True] + [False] * 9
    assert [frame for frame, faults in enumerate(batch.faults) if faults == ("stress_not_finite",)] == [0]


def test_the_pressure_of_a_trace_only_run_is_the_total_pressure_that_vasp_prints(settings, tmp_path):
    content = made_trace_only("si128-nvt-v642/OUTCAR", "OUTCAR")
    run_id = ingested(settings, tmp_path / "raw", "OUTCAR", content)
    # `total pressure` of the first step, 557.08 kB; later ones have the kinetic part of the step before.
    run = trajectory(Lake(settings.lake), run_id)
    assert pressures_gpa(run)[0] == pytest.approx(55.708, abs=2e-3)
    external = np.mean(np.array([float(pressure) for pressure, _ in EXTERNAL.findall(content)])[run.averaged])
    kinetic = 2.78 * run.temperature_k[run.averaged].mean() / 299.94
    assert thermodynamics(run).pressure_gpa == pytest.approx((external + kinetic) / 10, abs=2e-3)


def test_a_trace_is_kept_for_good_and_is_no_virial_to_train_on(settings, tmp_path):
    run_id = ingested(settings, tmp_path / "raw", "vasprun.xml", made_trace_only("h2o-md10/vasprun.xml", "vasprun.xml"))
    rows = Lake(settings.lake).rows("frames", key=run_id).to_pylist()
    assert [(row["virial_ev"], row["accepted"]) for row in rows] == [(None, True)] * 10
    assert rows[0]["virial_trace_ev"] == pytest.approx(-4.970688, abs=1e-5)
    assert export(settings, str(tmp_path / "set"), format_="deepmd", where="true")["n_runs_without_virial"] == 1
    made = materialize(settings, TrainingSetRequest())
    assert made["n_train"] > 0
    assert not list(Path(str(made["path"])).rglob("virial.npy"))
    assert raw_verify(settings, run_id)["complete"] is True


def test_rows_without_the_column_have_the_trace_of_their_virial(settings, tmp_path):
    run_id = ingested(settings, tmp_path / "raw", "OUTCAR", (REFERENCE / "h2o-md10/OUTCAR").read_bytes())
    lake = Lake(settings.lake)
    before, rows = trajectory(lake, run_id), lake.rows("frames", key=run_id)
    nulls = rows.set_column(
        rows.schema.get_field_index("virial_trace_ev"), "virial_trace_ev", pa.nulls(10, pa.float64())
    )
    partition = {name: rows[name][0].as_py() for name in ("composition", "run_id")}
    schema = FRAMES.file_schema
    lake.replace_batches("frames", partition, nulls.select(schema.names).cast(schema).to_batches())
    assert np.array_equal(trajectory(lake, run_id).virial_trace_ev, before.virial_trace_ev)
    assert before.virial_trace_ev[0] == pytest.approx(-4.970688, abs=1e-5)
