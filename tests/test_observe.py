"""Observables of runs and potentials: what is stored, what is left out and why, and that repeating is free."""

import re
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lake.deep_potential import DeepPotential
from lake.delta import Lake
from lake.frames import trajectory, virials_ev
from operators.observe import observe_potential, observe_run
from operators.potentials.evaluation import sample
from operators.stale import stale
from schemas.composition import composition, element_counts
from schemas.errors import MeltlakeError
from schemas.settings import Settings
from schemas.tables import FRAMES

EDGE = 12.15
TWIN = {"origin": "dnnp", "protocol": "twin", "parent_run_id": "aimd1", "potential_id": "pot1"}
AddRun = Callable[..., str]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(lake=str(tmp_path / "lake"))


@pytest.fixture
def add_run(settings: Settings) -> AddRun:
    """Puts a run into the lake: atoms that swing about the sites of a crystal, each in its own phase.

    `changed` replaces columns of single frames.
    """
    lake = Lake(settings.lake)

    def add(run_id: str, *, n_frames: int = 60, step_fs: float | None = 2.0, seed: int = 0, **columns: object) -> str:
        n_al = int(str(columns.pop("n_al", 60)))
        edge = float(str(columns.pop("edge", EDGE)))
        temperature_k = float(str(columns.pop("temperature_k", 1600.0)))
        changed = columns.pop("changed", {})
        sites = np.array(list(product(range(3), repeat=3))) if edge > 6 else np.zeros((1, 3), dtype=int)
        basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
        positions = (sites[:, None] + basis).reshape(-1, 3) * (edge / (3 if edge > 6 else 1))
        numbers = np.array([13 if i < n_al else 28 for i in range(len(positions))], dtype=np.int8)
        rng = np.random.default_rng(seed)
        phases = rng.uniform(0, 2 * np.pi, positions.shape)
        rates = rng.uniform(0.02, 0.06, positions.shape)
        rows = [
            {
                "frame": frame,
                "time_fs": None if step_fs is None else frame * step_fs,
                "n_atoms": len(numbers),
                "atomic_numbers": numbers.tolist(),
                "cell_angstrom": (np.eye(3) * edge).ravel().tolist(),
                "positions_angstrom": np.mod(positions + 0.2 * np.cos(phases + rates * frame * (step_fs or 1.0)), edge)
                .ravel()
                .tolist(),
                "energy_ev": -4.0 * len(numbers) + float(rng.normal()),
                "virial_ev": (np.eye(3) * rng.normal(5, 1)).ravel().tolist(),
                "temperature_k": None if step_fs is None else float(rng.normal(temperature_k, 50)),
                "label_source": "none" if columns.get("origin") == "dnnp" else "dft",
                "accepted": True,
            }
            | changed.get(frame, {})
            for frame in range(n_frames)
        ]
        label = composition(element_counts(numbers))
        run: dict[str, object] = {
            "origin": "aimd",
            "composition": label,
            "n_frames": n_frames,
            "temperature_target_k": 1600.0,
        }
        lake.replace("runs", run_id, [run | columns])
        if rows:
            table = pa.Table.from_pylist(rows, schema=FRAMES.file_schema)
            lake.replace_batches("frames", {"composition": label, "run_id": run_id}, table.to_batches())
        return label

    return add


def test_a_run_has_rows_in_every_table_of_its_observables(settings: Settings, add_run: AddRun) -> None:
    add_run("aimd1", n_frames=300)
    answer = observe_run(settings, "aimd1")
    n_bins, n_lags = 121, 75
    n_q = len(set(Lake(settings.lake).rows("structure_factor", key="aimd1")["q_per_angstrom"].to_pylist()))
    assert answer["rows"] == {
        "thermodynamics": 1, "rdf": 4 * n_bins, "short_range_order": 4, "vacf": 2 * n_lags, "agreement": 0,
        "structure_factor": 8 * n_q, "local_composition": 6, "msd": 2 * n_lags, "vibrational_density": 0,
        "stress_autocorrelation": 15, "transport": 2, "thermal_expansion": 0, "mixing_enthalpy": 0,
    }  # fmt: skip
    assert len(answer["skipped"]) == 1
    assert "vibrational density of states needed a velocity autocorrelation to 500 fs" in answer["skipped"][0]
    row = Lake(settings.lake).rows("thermodynamics", key="aimd1").to_pylist()[0]
    assert row["n_frames"] == 300
    assert row["temperature_k"] == pytest.approx(1600, abs=30)
    assert row["pressure_error_gpa"] > 0
    assert Lake(settings.lake).rows("rdf", key="aimd1")["g_error"].null_count == 0
    shells = Lake(settings.lake).rows("short_range_order", key="aimd1").to_pylist()
    assert all(row["coordination_error"] > 0 and row["own_coordination"] > 0 for row in shells)
    assert sum(row["coordination"] for row in shells if row["pair"].startswith("Al-")) == pytest.approx(12, abs=0.5)


def test_observing_again_writes_nothing_new(settings: Settings, add_run: AddRun) -> None:
    add_run("aimd1")
    first = observe_run(settings, "aimd1")
    versions = {table: Lake(settings.lake).version(table) for table in first["rows"]}
    assert observe_run(settings, "aimd1") == first
    assert {table: Lake(settings.lake).version(table) for table in versions} == versions


def test_a_run_that_is_too_large_for_memory_has_the_same_rows(
    settings: Settings, add_run: AddRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_run("aimd1", n_frames=300, changed={7: {"accepted": False, "rejection_reasons": ["energy_missing"]}})
    add_run("dnnp1", n_frames=150, step_fs=4.0, seed=1, **TWIN)
    lake = Lake(settings.lake)
    found = []
    for bytes_in_memory in (10**9, 0):
        monkeypatch.setattr("lake.frames._BYTES_IN_MEMORY", bytes_in_memory)
        stays = trajectory(lake, "dnnp1").positions_angstrom
        assert isinstance(stays, np.ndarray) == (bytes_in_memory > 0)
        answer = observe_run(settings, "dnnp1")
        found.append({name: lake.rows(name, key="dnnp1").to_pylist() for name in answer["rows"]})
    assert found[0] == found[1]
    filled = {name for name, rows in found[0].items() if rows}
    assert filled >= {"rdf", "structure_factor", "local_composition", "vacf", "msd", "agreement", "thermodynamics"}


def test_virials_are_those_of_the_frames_whoever_writes_in_between(settings: Settings, add_run: AddRun) -> None:
    lake = Lake(settings.lake)
    add_run("growing", n_frames=10)
    files = tuple(lake.log("frames").files(key="growing"))
    before = virials_ev(lake, "growing")
    add_run("growing", n_frames=20, seed=1)
    assert trajectory(lake, "growing", files=files).n_frames == 10
    np.testing.assert_array_equal(virials_ev(lake, "growing", files=files), before)
    assert len(virials_ev(lake, "growing")) == 20


def test_velocities_are_those_of_every_frame_or_none(settings: Settings, add_run: AddRun) -> None:
    moving = {"velocities_angstrom_per_fs": np.full(324, 0.01).tolist()}
    add_run("all", n_frames=5, changed=dict.fromkeys(range(5), moving))
    add_run("some", n_frames=5, changed=dict.fromkeys(range(4), moving))
    of_all, of_some = (trajectory(Lake(settings.lake), name).velocities_angstrom_per_fs for name in ("all", "some"))
    assert of_some is None
    assert of_all is not None
    np.testing.assert_array_equal(of_all, np.full((5, 108, 3), 0.01))


@pytest.mark.parametrize("protocol", ["twin", "nvt"])
def test_a_simulation_is_compared_with_the_run_it_started_from(
    settings: Settings, add_run: AddRun, protocol: str
) -> None:
    add_run("aimd1", n_frames=300)
    label = add_run("dnnp1", n_frames=150, step_fs=4.0, seed=1, **(TWIN | {"protocol": protocol}))
    told = observe_run(settings, "dnnp1")["skipped"]
    diffusion = "no verdict on diffusion_angstrom2_per_ps Al, diffusion_angstrom2_per_ps Ni: a run of more than 8 ps"
    assert [diffusion in sentence or "warren_cowley Al-Al: no scatter" in sentence for sentence in told[-2:]] == [
        True,
        True,
    ]
    rows = Lake(settings.lake).rows("agreement", key="dnnp1").to_pylist()
    curves = [row for row in rows if row["measure"] in ("l1", "rms")]
    assert {row["observable"] for row in curves} == {
        "rdf Al-Al", "rdf Al-Ni", "rdf Ni-Ni", "rdf all", "vacf Al", "vacf Ni",
    }  # fmt: skip
    for row in rows:
        assert (row["aimd_run_id"], row["potential_id"], row["composition"]) == ("aimd1", "pot1", label)
        assert row["aimd_n_frames"] == 300
        assert (row["verdict"] == "undecided") == (row["reason"] is not None)
    for row in curves:
        assert row["z"] == pytest.approx(row["l1_percent"] / row["floor_percent"])
        assert row["verdict"] in {"indistinguishable", "good", "visible", "disagrees"}


def test_every_curve_has_three_measures_and_every_pair_its_numbers(settings: Settings, add_run: AddRun) -> None:
    add_run("aimd1", n_frames=300)
    add_run("dnnp1", n_frames=300, seed=1, **TWIN)
    observe_run(settings, "dnnp1")
    rows = Lake(settings.lake).rows("agreement", key="dnnp1").to_pylist()
    measured = {(row["observable"], row["measure"]): row for row in rows}
    assert len(measured) == len(rows)
    for pair in ("Al-Al", "Al-Ni", "Ni-Ni", "all"):
        l1, wright, not_shared = (measured[f"rdf {pair}", name] for name in ("l1", "wright", "not_shared"))
        assert not_shared["l1_percent"] == pytest.approx(l1["l1_percent"] / 2, rel=0.05)
        assert wright["l1_percent"] > l1["l1_percent"]
    names = ("coordination", "warren_cowley", "first_peak_angstrom", "first_peak_height")
    numbers = [measured[f"{name} {pair}", "difference"] for pair in ("Al-Al", "Al-Ni", "Ni-Ni") for name in names]
    for row in [*numbers, measured["pressure_gpa", "difference"]]:
        assert row["difference"] == pytest.approx(row["value_dnnp"] - row["value_aimd"])
        assert row["z"] is None or row["z"] == pytest.approx(abs(row["difference"]) / row["difference_error"])
    assert [row["observable"] for row in numbers if row["z"] is None] == ["warren_cowley Al-Al"]  # that of a crystal
    assert ("coordination Ni-Al", "difference") not in measured
    observe_run(settings, "aimd1")
    of_aimd = {row["pair"]: row for row in Lake(settings.lake).rows("short_range_order", key="aimd1").to_pylist()}
    assert measured["coordination Al-Ni", "difference"]["value_aimd"] == of_aimd["Al-Ni"]["coordination"]
    assert measured["pressure_gpa", "difference"]["l1_percent"] is None


def test_a_density_that_was_imposed_has_no_verdict_and_a_predicted_one_has(settings: Settings, add_run: AddRun) -> None:
    for aimd, ensemble, verdict in (("held", "nvt", "undecided"), ("free", "npt", "disagrees")):
        breathing = {
            frame: {"cell_angstrom": (np.eye(3) * EDGE * (1 + 0.001 * np.sin(7.0 * frame))).ravel().tolist()}
            for frame in range(300)
        }
        add_run(aimd, n_frames=300, ensemble=ensemble, changed=breathing)
        small = {frame: {"cell_angstrom": (np.asarray(row["cell_angstrom"]) * 0.99).tolist()}
                 for frame, row in breathing.items()}  # fmt: skip
        npt = TWIN | {"protocol": "npt", "ensemble": "npt", "parent_run_id": aimd}
        add_run(f"npt-{aimd}", n_frames=300, changed=small, **npt)
        observe_run(settings, f"npt-{aimd}")
        [row] = Lake(settings.lake).rows("agreement", key=f"npt-{aimd}").to_pylist()
        assert (row["observable"], row["verdict"]) == ("density_g_per_cm3", verdict)
        assert row["l1_percent"] == pytest.approx(100 * (0.99**-3 - 1), rel=1e-2)


def test_densities_at_two_pressures_are_nobodys_disagreement(settings: Settings, add_run: AddRun) -> None:
    add_run("squeezed", n_frames=10, ensemble="npt", pressure_target_gpa=5.0)
    npt = TWIN | {"protocol": "npt", "ensemble": "npt", "parent_run_id": "squeezed", "pressure_target_gpa": 0.0}
    add_run("npt", n_frames=10, **npt)
    observe_run(settings, "npt")
    [row] = Lake(settings.lake).rows("agreement", key="npt").to_pylist()
    assert (row["verdict"], row["reason"]) == ("undecided", "simulated at 0 GPa, AIMD at 5 GPa")


def test_a_simulation_from_another_melt_is_compared_with_the_runs_of_its_own(
    settings: Settings, add_run: AddRun
) -> None:
    add_run("other", n_al=30)
    for run_id, kelvin in (("near", 1600.0), ("hot", 2000.0)):
        add_run(run_id, n_frames=300, temperature_k=kelvin, n_atoms=108, synthetic=False)
        observe_run(settings, run_id)
    add_run("dnnp1", n_frames=300, seed=1, synthetic=False, **(TWIN | {"protocol": "nvt", "parent_run_id": "other"}))
    observe_run(settings, "dnnp1")
    assert set(Lake(settings.lake).rows("agreement", key="dnnp1")["aimd_run_id"].to_pylist()) == {"near"}


def test_a_short_run_gives_distances_and_no_verdict(settings: Settings, add_run: AddRun) -> None:
    rejected = {frame: {"accepted": False} for frame in range(100, 200)}
    add_run("aimd1", n_frames=300, changed=rejected)
    add_run("dnnp1", n_frames=300, seed=1, **TWIN)
    answer = observe_run(settings, "dnnp1")
    rows = Lake(settings.lake).rows("agreement", key="dnnp1").to_pylist()
    assert {row["verdict"] for row in rows} == {"undecided"}
    assert all(row["l1_percent"] > 0 and row["floor_percent"] > 0 for row in rows if row["measure"] != "difference")
    assert re.search(r"no verdict on rdf Al-Al, .*run too short.*found 600 and 400 fs", " ".join(answer["skipped"]))


def test_a_run_agrees_with_itself(settings: Settings, add_run: AddRun) -> None:
    add_run("aimd1", n_frames=300)
    add_run("dnnp1", n_frames=300, **TWIN)
    observe_run(settings, "dnnp1")
    rows = Lake(settings.lake).rows("agreement", key="dnnp1").to_pylist()
    judged = [row for row in rows if row["z"] is not None]
    assert len(judged) == 4 * 3 + 2 + 1 + 3 * 4 - 1
    assert {row["verdict"] for row in judged} == {"indistinguishable"}
    assert max(row["z"] for row in judged) < 1e-9


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"n_al": 30}, "needed one composition"),
        ({"temperature_k": 1200.0}, "needed one temperature within 12"),
        ({"temperature_k": 1750.0}, "needed one temperature within 12"),
        ({"changed": {frame: {"temperature_k": None} for frame in range(60)}}, "found that of dnnp1 unknown"),
        ({"parent_run_id": "gone"}, "table runs has no gone"),
        ({"step_fs": 3.0}, "needed a common sampling"),
    ],
)
def test_what_cannot_be_compared_is_said(
    settings: Settings, add_run: AddRun, columns: dict[str, object], reason: str
) -> None:
    add_run("aimd1")
    add_run("dnnp1", seed=1, **(TWIN | columns))
    answer = observe_run(settings, "dnnp1")
    assert any(reason in sentence for sentence in answer["skipped"]), answer["skipped"]
    assert answer["rows"]["thermodynamics"] == 1


@pytest.mark.parametrize(
    ("columns", "n_bins", "reasons"),
    [
        ({"n_frames": 1, "step_fs": None}, 121, ["needed frames on a time axis"]),
        ({"n_frames": 3}, 121, ["at 4 frames or more", "4 frames or more, found 3", "42 frames or more, found 3"]),
        ({"n_frames": 8, "step_fs": 10.0}, 121, ["velocities or a frame every 5 fs", "42 frames or more, found 8"]),
        ({"n_frames": 1, "step_fs": None, "edge": 3.9}, 0, ["needed a cell of 4 angstrom", "on a time axis"]),
        ({"n_frames": 0}, 0, ["has no frames"]),
    ],
)
def test_short_static_and_small_runs_are_observed_as_far_as_they_go(
    settings: Settings, add_run: AddRun, columns: dict[str, object], n_bins: int, reasons: list[str]
) -> None:
    add_run("aimd1", n_al=200, **columns)
    answer = observe_run(settings, "aimd1")
    assert answer["rows"]["rdf"] == 2 * n_bins
    assert answer["rows"]["vacf"] == 0
    for sentence, reason in zip(answer["skipped"], reasons, strict=True):
        assert reason in sentence


def test_errors_of_a_single_frame_are_null_not_nan(settings: Settings, add_run: AddRun) -> None:
    add_run("aimd1", n_frames=1, step_fs=None)
    observe_run(settings, "aimd1")
    assert Lake(settings.lake).rows("rdf", key="aimd1")["g_error"].null_count == 4 * 121
    row = Lake(settings.lake).rows("thermodynamics", key="aimd1").to_pylist()[0]
    assert row["temperature_k"] is None
    assert row["density_error_g_per_cm3"] is None


def test_rejected_frames_are_not_averaged(settings: Settings, add_run: AddRun) -> None:
    stars = {"virial_ev": (np.eye(3) * 1e6).ravel().tolist(), "energy_ev": 1e5, "accepted": False}
    add_run("clean")
    add_run("damaged", changed={7: stars, 23: stars})
    for run_id in ("clean", "damaged"):
        observe_run(settings, run_id)
    [clean], [damaged] = (
        Lake(settings.lake).rows("thermodynamics", key=one).to_pylist() for one in ("clean", "damaged")
    )
    assert (damaged["n_frames"], damaged["n_averaged"], clean["n_averaged"]) == (60, 58, 60)
    for quantity in ("pressure_gpa", "energy_ev_per_atom", "temperature_k", "density_g_per_cm3"):
        assert damaged[quantity] == pytest.approx(clean[quantity], rel=0.05)
    vacf = [Lake(settings.lake).rows("vacf", key=one)["vacf"].to_pylist() for one in ("clean", "damaged")]
    assert vacf[0] == vacf[1]
    assert Lake(settings.lake).rows("rdf", key="clean")["g"] != Lake(settings.lake).rows("rdf", key="damaged")["g"]


def test_frames_with_broken_cells_do_not_reach_the_rdf(settings: Settings, add_run: AddRun) -> None:
    broken = {frame: {"cell_angstrom": [float("nan")] * 9, "accepted": False} for frame in (3, 50)}
    broken |= {4: {"cell_angstrom": [float("nan")] * 9}, 5: {"cell_angstrom": [0.0] * 9, "accepted": False}}
    add_run("aimd1", changed=broken)
    answer = observe_run(settings, "aimd1")
    assert answer["rows"]["rdf"] == 4 * 121
    needed = "needed every position and cell, found some that are not finite."
    assert answer["skipped"] == [
        f"A velocity autocorrelation {needed}",
        f"A mean squared displacement {needed}",
        "A stress autocorrelation of run aimd1 needed a cell that stays as it is, found one that changes.",
    ]
    g = np.array(Lake(settings.lake).rows("rdf", key="aimd1")["g"].to_pylist())
    assert np.isfinite(g).all()
    assert g.max() < 100


def test_a_force_field_run_leaves_a_marker_and_no_observables(settings: Settings, add_run: AddRun) -> None:
    learned = {frame: {"accepted": False, "label_source": "vasp_mlff"} for frame in range(60)}
    add_run("mlff", changed=learned)
    answer = observe_run(settings, "mlff")
    assert {table: n_rows for table, n_rows in answer["rows"].items() if n_rows} == {"thermodynamics": 1}
    assert answer["skipped"] == ["None of the 60 frames of run mlff is accepted."]
    [row] = Lake(settings.lake).rows("thermodynamics", key="mlff").to_pylist()
    assert (row["n_frames"], row["n_averaged"]) == (60, 0)
    assert all(value is None for name, value in row.items() if name.endswith(("_k", "_gpa", "_cm3", "_atom")))
    assert not any(item.what.startswith("run mlff") and "observe" in item.command for item in stale(settings))


def test_a_force_field_that_took_over_leaves_the_dft_frames(settings: Settings, add_run: AddRun) -> None:
    learned = {"accepted": False, "label_source": "vasp_mlff", "energy_ev": 0.0}
    add_run("mixed", changed={frame: learned for frame in range(60) if frame % 5})
    answer = observe_run(settings, "mixed")
    [row] = Lake(settings.lake).rows("thermodynamics", key="mixed").to_pylist()
    assert row["n_averaged"] == 12
    assert row["energy_ev_per_atom"] == pytest.approx(-4.0, abs=0.1)
    assert answer["rows"]["vacf"] == 0
    assert "found 48 of 60 frames moved by VASP's machine-learned force field" in answer["skipped"][0]


def test_unknown_runs_and_potentials_are_refused(settings: Settings) -> None:
    with pytest.raises(MeltlakeError, match="table runs has no nowhere"):
        observe_run(settings, "nowhere")
    with pytest.raises(MeltlakeError, match="table potentials has no nowhere"):
        observe_potential(settings, "nowhere")
    with pytest.raises(MeltlakeError, match=r"no potential at .*gone\.pb"):
        DeepPotential("gone.pb")


def test_a_sample_is_the_same_every_time_and_keeps_pairs_together() -> None:
    reference = np.arange(9000.0).reshape(100, 30, 3)
    reference[0] = np.nan
    one, other = sample(reference, -reference, most=2000), sample(reference, -reference, most=2000)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(one[0], -one[1])
    assert len(one[0]) == len(np.unique(one[0])) == 2000
    assert set(one[0].astype(int) % 3) == {0, 1, 2}
