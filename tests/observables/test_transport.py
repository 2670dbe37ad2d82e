"""Diffusion and viscosity of runs whose coefficients are known, in the lake; and runs too short for one."""

from pathlib import Path

import numpy as np
import pytest

from lake.delta import Lake
from operators.observe import observe_run
from schemas.settings import Settings
from schemas.units import BOLTZMANN_EV_PER_K, GPA_PER_EV_PER_ANGSTROM3, MPA_S_PER_EV_PS_PER_ANGSTROM3
from tests.observables.made_runs import Motion, Row, langevin, maxwell_virials, put, rows_of

EDGE, STEP_FS, T = 14.0, 4.0, 1500.0
FRICTION, SPEED = 0.02, 0.008
KNOWN_D = SPEED**2 / FRICTION * 1000
SPREAD_EV, MEMORY_FS = 15.0, 20.0
KNOWN_VISCOSITY = SPREAD_EV**2 * MEMORY_FS / 1000 / (EDGE**3 * BOLTZMANN_EV_PER_K * T) * MPA_S_PER_EV_PS_PER_ANGSTROM3


def melt(n_frames: int, seed: int = 0, *, n_atoms: int = 24, step_fs: float = STEP_FS, told: bool = False) -> Motion:
    """Half Al and half Ni; `told` says whether its file keeps velocities."""
    positions, velocities = langevin(
        n_frames, n_atoms, friction_per_fs=FRICTION, speed=SPEED, step_fs=step_fs, seed=seed
    )
    return Motion(
        numbers=[13] * (n_atoms // 2) + [28] * (n_atoms // 2),
        positions=positions,
        edge=EDGE,
        step_fs=step_fs,
        temperature_k=T,
        virials_ev=maxwell_virials(n_frames, spread_ev=SPREAD_EV, memory_fs=MEMORY_FS, step_fs=step_fs, seed=seed),
        velocities=velocities if told else None,
    )


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Row]:
    """24 ps of a melt: long enough for its viscosity, whose stress forgets in 20 fs."""
    folder: Path = tmp_path_factory.mktemp("transport")
    settings = Settings(lake=str(folder / "lake"))
    put(settings, "long", melt(6000))
    return settings, observe_run(settings, "long")


def number(row: Row, name: str) -> float:
    value = row[name]
    assert isinstance(value, float), f"{name}: {value}"
    return value


def test_einstein_and_green_kubo_find_the_known_diffusion(long_run: tuple[Settings, Row]) -> None:
    rows = rows_of(long_run[0], "transport", "long")
    assert [row["element"] for row in rows] == ["Al", "Ni"]
    for row in rows:
        assert (row["fit_from_fs"], row["fit_until_fs"]) == (1000.0, 5999 * STEP_FS / 8)
        assert row["diffusion_reason"] is row["diffusion_green_kubo_reason"] is None
        for name in ("diffusion", "diffusion_green_kubo"):
            error = number(row, f"{name}_error_angstrom2_per_ps")
            assert 0.01 * KNOWN_D < error < 0.2 * KNOWN_D
            # The centre of mass rests, which takes one of 24 particles.
            assert abs(number(row, f"{name}_angstrom2_per_ps") - KNOWN_D * 23 / 24) < 4 * error


def test_viscosity_of_a_known_stress_is_the_same_for_each_element(long_run: tuple[Settings, Row]) -> None:
    al, ni = rows_of(long_run[0], "transport", "long")
    assert al["viscosity_mpa_s"] == ni["viscosity_mpa_s"]
    error = number(al, "viscosity_error_mpa_s")
    assert 0.02 * KNOWN_VISCOSITY < error < 0.2 * KNOWN_VISCOSITY
    assert abs(number(al, "viscosity_mpa_s") - KNOWN_VISCOSITY) < 4 * error
    assert number(al, "viscosity_needed_fs") < number(al, "viscosity_duration_fs")
    assert (al["viscosity_n_runs"], al["viscosity_reason"]) == (1, None)


def test_a_cell_without_images_diffuses_faster(long_run: tuple[Settings, Row]) -> None:
    for row in rows_of(long_run[0], "transport", "long"):
        viscosity = number(row, "viscosity_mpa_s") / MPA_S_PER_EV_PS_PER_ANGSTROM3
        faster = 2.837297 * BOLTZMANN_EV_PER_K * number(row, "temperature_k") / (6 * np.pi * viscosity * EDGE)
        assert row["cell_edge_angstrom"] == pytest.approx(EDGE)
        gained = number(row, "diffusion_infinite_cell_angstrom2_per_ps") - number(row, "diffusion_angstrom2_per_ps")
        assert gained == pytest.approx(faster)
        own = number(row, "diffusion_error_angstrom2_per_ps")
        assert number(row, "diffusion_infinite_cell_error_angstrom2_per_ps") > own


def test_curves_behind_the_coefficients_are_stored(long_run: tuple[Settings, Row]) -> None:
    settings, answer = long_run
    msd = [row for row in rows_of(settings, "msd", "long") if row["element"] == "Al"]
    assert len(msd) <= 500
    assert (msd[0]["lag_fs"], msd[0]["msd_angstrom2"]) == (0.0, 0.0)
    assert number(msd[-1], "lag_fs") <= 5999 * STEP_FS / 8
    assert number(msd[-1], "msd_angstrom2") / (6 * number(msd[-1], "lag_fs") / 1000) == pytest.approx(KNOWN_D, rel=0.3)
    stress = rows_of(settings, "stress_autocorrelation", "long")
    assert len(stress) == 300
    spread_gpa = SPREAD_EV / EDGE**3 * GPA_PER_EV_PER_ANGSTROM3
    assert number(stress[0], "correlation_gpa2") == pytest.approx(spread_gpa**2, rel=0.1)
    density = [row for row in rows_of(settings, "vibrational_density", "long") if row["element"] == "Ni"]
    # Of a Langevin particle, g(nu) = 12 (gamma / 2 pi^2) ... ; at zero it is 12 m D / kT = 12 / friction.
    assert number(density[0], "density_per_thz") == pytest.approx(12 / FRICTION / 1000, rel=0.25)
    assert {row["resolution_thz"] for row in density} == {1.0}
    rows = answer["rows"]
    assert isinstance(rows, dict)
    assert (rows["transport"], rows["stress_autocorrelation"]) == (2, 300)


def test_replicas_are_put_together_until_they_are_long_enough(settings: Settings) -> None:
    names = ["first", "second", "third"]
    for seed, run_id in enumerate(names):
        put(settings, run_id, melt(2200, seed, n_atoms=8), seed=seed, origin="dnnp", potential_id="p")
        observe_run(settings, run_id)
        rows = [rows_of(settings, "transport", name)[0] for name in names[: seed + 1]]
        assert [row["viscosity_n_runs"] for row in rows] == [seed + 1] * (seed + 1)
        assert len({row["viscosity_mpa_s"] for row in rows}) == 1
        assert rows[0]["viscosity_duration_fs"] == pytest.approx((seed + 1) * 2198 * STEP_FS)
        if seed == 0:
            assert "ps was needed" in str(rows[0]["viscosity_reason"])
    assert abs(number(rows[0], "viscosity_mpa_s") - KNOWN_VISCOSITY) < 4 * number(rows[0], "viscosity_error_mpa_s")
    put(settings, "other", melt(2200, 9, n_atoms=8), seed=9, origin="dnnp", potential_id="another")
    observe_run(settings, "other")
    assert rows_of(settings, "transport", "other")[0]["viscosity_n_runs"] == 1


def test_a_frozen_replica_has_no_viscosity_and_lends_none(settings: Settings) -> None:
    froze = {"run_id": "frozen", "expectation": "melt_diffuses", "success": False}
    Lake(settings.lake).replace("expectation_results", "frozen", [froze])
    for seed, run_id in enumerate(("melt", "frozen")):
        put(settings, run_id, melt(2200, seed, n_atoms=8), seed=seed, origin="dnnp", potential_id="p")
        observe_run(settings, run_id)
    found = {run_id: rows_of(settings, "transport", run_id)[0] for run_id in ("melt", "frozen")}
    assert {run_id: row["viscosity_n_runs"] for run_id, row in found.items()} == {"melt": 1, "frozen": 0}
    assert found["frozen"]["viscosity_reason"] == "a melt was needed, found what the gate takes for a solid"


def test_velocities_that_a_simulation_keeps_are_taken(settings: Settings) -> None:
    put(settings, "kept", melt(3600, step_fs=6.0, told=True))
    observe_run(settings, "kept")
    for row in rows_of(settings, "transport", "kept"):
        assert row["estimator"] == "velocities"
        assert row["integrated_until_fs"] == 996.0
        for name in ("diffusion", "diffusion_green_kubo"):
            error = number(row, f"{name}_error_angstrom2_per_ps")
            assert abs(number(row, f"{name}_angstrom2_per_ps") - KNOWN_D * 23 / 24) < 4 * error
        error = number(row, "viscosity_error_mpa_s")
        assert abs(number(row, "viscosity_mpa_s") - KNOWN_VISCOSITY) < 4 * error


def test_velocities_that_are_kept_too_seldom_are_not_integrated(settings: Settings) -> None:
    put(settings, "seldom", melt(400, step_fs=50.0, told=True))
    answer = observe_run(settings, "seldom")
    for row in rows_of(settings, "transport", "seldom"):
        assert row["diffusion_green_kubo_reason"] == "velocities every 20 fs were needed, found them every 50 fs"
        assert number(row, "diffusion_angstrom2_per_ps") == pytest.approx(KNOWN_D, rel=0.4)
        assert "found it to lose" in str(row["viscosity_reason"])
    assert any("in steps of at most 20 fs, found it to 1000 fs in steps of 50 fs" in one for one in answer["skipped"])


def test_a_short_run_has_no_coefficients_and_says_why(settings: Settings) -> None:
    put(settings, "short", melt(400))
    observe_run(settings, "short")
    for row in rows_of(settings, "transport", "short"):
        assert [row[name] for name in row if name.endswith(("_per_ps", "_mpa_s"))] == [None] * 8
        assert "a run of more than 8 ps was needed for a slope behind the cage, found 1.6" in str(
            row["diffusion_reason"]
        )
        assert row["fit_until_fs"] is None
        assert "an integral needed 5 lags from 0 to 1000 fs, found them to 396 fs" in str(
            row["diffusion_green_kubo_reason"]
        )
        assert row["viscosity_reason"] == "a stress that decays within 76 fs was needed, found one that does not"
        assert row["diffusion_infinite_cell_reason"] == "a diffusion coefficient was needed, found none"


def test_atoms_at_constant_pressure_or_without_stress_have_no_viscosity(settings: Settings) -> None:
    positions = melt(400).positions
    breathing = EDGE + 0.01 * np.sin(np.arange(400))
    virials = np.tile(np.eye(3), (400, 1, 1))
    numbers = [13] * 24
    put(settings, "npt", Motion(numbers=numbers, positions=positions, edge=breathing, virials_ev=virials))
    put(settings, "no-stress", Motion(numbers=numbers, positions=positions, edge=EDGE))
    put(settings, "rare", Motion(numbers=numbers, positions=positions, edge=EDGE, step_fs=20.0, virials_ev=virials))
    reasons = {"npt": "found one that changes", "no-stress": "found 400 of 400 without", "rare": "needed velocities or"}
    for run_id, reason in reasons.items():
        answer = observe_run(settings, run_id)
        [row] = rows_of(settings, "transport", run_id)
        assert reason in str(row["viscosity_reason"])
        assert row["viscosity_n_runs"] == 0
        assert row["viscosity_reason"] in answer["skipped"]


def test_atoms_of_a_run_without_time_are_not_followed(settings: Settings) -> None:
    put(settings, "still", Motion(numbers=[13] * 24, positions=melt(2).positions, edge=EDGE, step_fs=None))
    answer = observe_run(settings, "still")
    [row] = rows_of(settings, "transport", "still")
    reasons = {row[f"{name}_reason"] for name in ("diffusion", "diffusion_green_kubo", "viscosity")}
    [reason] = reasons
    assert "of run still needed frames on a time axis" in str(reason)
    assert answer["skipped"] == [reason]
    assert row["temperature_k"] is None


def test_motion_is_followed_from_where_a_run_is_equilibrated(settings: Settings) -> None:
    positions = melt(1000).positions
    positions[:200] += np.linspace(30, 0, 200)[:, None, None] * np.random.default_rng(0).normal(size=(24, 3))
    motion = Motion(numbers=[13] * 24, positions=positions, edge=EDGE, step_fs=STEP_FS, temperature_k=T)
    put(settings, "relaxing", motion, equilibrated_from_fs=800.0)
    observe_run(settings, "relaxing")
    put(settings, "relaxed", Motion(numbers=[13] * 24, positions=positions[200:], edge=EDGE, step_fs=STEP_FS))
    observe_run(settings, "relaxed")
    curves = [[row["msd_angstrom2"] for row in rows_of(settings, "msd", run_id)] for run_id in ("relaxing", "relaxed")]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-9, atol=1e-12)
