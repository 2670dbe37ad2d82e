"""What a request comes to: a twin is as long as its AIMD run, and an option is never ignored in silence."""

import subprocess
import sys
from dataclasses import replace

import pytest

from lake.delta import Lake
from operators.arguments import parser
from operators.simulations.plan import resolved
from operators.simulations.start_frame import start_frame
from schemas.errors import MeltlakeError
from schemas.simulation import SimulationPlan, SimulationRequest


@pytest.fixture(scope="module")
def start(toy_lake):
    return start_frame(Lake(toy_lake.lake), SimulationRequest(protocol="twin", composition="Al50Ni50"))


def plan_of(start, *, saved_fs=1.0, n_frames=5001, protocol="twin", **options) -> SimulationPlan:
    parent = {**start.parent, "time_step_fs": saved_fs, "n_frames": n_frames}
    request = SimulationRequest(protocol=protocol, composition="Al50Ni50", **options)
    return resolved(request, replace(start, parent=parent))


@pytest.mark.parametrize(
    ("saved_fs", "options", "sample_fs"),
    [
        (1.0, {}, 1.0),
        (1.0, {"sample_fs": 10.0}, 10.0),
        (2.0, {"time_step_fs": 0.5}, 2.0),
        (5.0, {}, 5.0),
        (5.0, {"sample_fs": 10.0}, 10.0),
        (2.0, {"time_step_fs": 1.5, "sample_fs": 3.0}, 3.0),
    ],
)
def test_a_twin_is_as_long_as_its_aimd_run_whatever_its_time_step_and_samples(
    start, saved_fs, options, sample_fs
) -> None:
    plan = plan_of(start, saved_fs=saved_fs, n_frames=3001, **options)
    assert plan.sample_fs == pytest.approx(sample_fs)
    assert plan.n_production_steps * plan.time_step_fs == pytest.approx(3000 * saved_fs)


@pytest.mark.parametrize(
    ("protocol", "options"),
    [("twin", {"time_step_fs": 1.5}), ("twin", {"sample_fs": 2.5}), ("nvt", {"time_step_fs": 3.0, "sample_fs": 10.0})],
)
def test_a_time_step_that_does_not_divide_the_time_between_frames_is_refused(start, protocol, options) -> None:
    with pytest.raises(MeltlakeError, match="needed a time step that divides that, found"):
        plan_of(start, saved_fs=2.0, protocol=protocol, **options)


def test_without_a_wish_frames_are_near_the_usual_times(start) -> None:
    assert plan_of(start, protocol="nvt", time_step_fs=3.0).sample_fs == 9.0


@pytest.mark.parametrize(
    ("protocol", "options", "told"),
    [
        ("nvt", {"pressure_gpa": 5.0}, "nvt does not take a pressure"),
        ("performance", {"sample_fs": 5.0}, "does not take times of frames"),
        ("performance", {"equilibration_fs": 0.0}, "does not take times of frames or of equilibration"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(start, protocol, options, told) -> None:
    with pytest.raises(MeltlakeError, match=told):
        plan_of(start, protocol=protocol, **options)


def test_every_choice_of_a_plan_has_an_option(toy_lake) -> None:
    words = ["simulate", "toy", "--protocol", "npt", "--composition", "Al50Ni50", "--pressure-gpa", "-1.5"]
    words += ["--time-step-fs", "0.5", "--sample-fs", "2", "--equilibration-fs", "0", "--steps", "8"]
    asked = parser().parse_args(words)
    assert (asked.pressure_gpa, asked.time_step_fs, asked.sample_fs, asked.equilibration_fs) == (-1.5, 0.5, 2.0, 0.0)
    command = [sys.executable, "-m", "operators.cli", *words, "--lake", toy_lake.lake, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert '"outcome": "finished"' in done.stdout
    [run] = [row for row in Lake(toy_lake.lake).rows("runs").to_pylist() if row["pressure_target_gpa"] == -1.5]
    assert (run["n_frames"], run["time_step_fs"]) == (3, 2.0)
