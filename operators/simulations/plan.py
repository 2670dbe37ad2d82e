"""What a request comes to for its start frame: temperature, time step, lengths. Choosing that frame is not here."""

from math import ceil

from operators.simulations.start_frame import Start
from schemas.errors import MeltlakeError
from schemas.rows import real_or_none
from schemas.simulation import N_ATOMS_TIMED, WARM_UP_STEPS, SimulationPlan, SimulationRequest
from schemas.units import FS_PER_PS

_TIME_STEP_FS = 1.0
_LONGEST_TIME_STEP_FS = 2.0
_PRODUCTION_STEPS = {"nvt": 50_000, "npt": 50_000, "nve": 10_000, "performance": 1000}
_SAMPLE_FS = {"nvt": 10.0, "npt": 50.0, "nve": 10.0}
_EQUILIBRATION_PS = {"twin": 1.0, "nvt": 5.0, "npt": 10.0, "nve": 5.0}
_EQUILIBRATION_OF_EXCHANGED_PS = 5.0
_ROUNDING = 1e-6
_EQUILIBRATION_OF_COPIES_PS = 20.0
"""Copies start with equal positions; the slowest wave between them decays in (L / 2 pi)^2 / D, 19 ps at 512 atoms."""


def resolved(request: SimulationRequest, start: Start) -> SimulationPlan:
    """The plan that a request comes to for that start.

    A twin is as long as its AIMD run. It keeps the saved steps of that as its time axis, unless it is asked for frames
    at other times, and divides a step that is too long for a thermostatted metal.

    Raises
    ------
    MeltlakeError
        If no temperature is given and the start run has none, or options do not go together.
    """
    _require_sense(request)
    temperature_k = request.temperature_k or start.temperature_k
    if temperature_k is None:
        raise MeltlakeError(
            f"Run {start.origin.parent_run_id} of {request.composition} has no temperature to simulate at.",
            "Name one with --temperature-k.",
        )
    time_step_fs, steps_per_frame = _time_axis(request, start)
    n_production = _production_steps(request, start, steps_per_frame, time_step_fs=time_step_fs)
    replicate = request.replicate or _copies(request, len(start.atomic_numbers))
    equilibration_fs = _equilibration_fs(request, start, replicate, production_fs=n_production * time_step_fs)
    return SimulationPlan(
        protocol=request.protocol,
        composition=request.composition,
        temperature_k=temperature_k,
        time_step_fs=time_step_fs,
        # Whole frames, so that the first frame after equilibration is the first one that is saved.
        n_equilibration_steps=_whole(equilibration_fs / time_step_fs, steps_per_frame),
        n_production_steps=n_production,
        steps_per_frame=steps_per_frame,
        replicate=replicate,
        seed=request.seed,
        pressure_gpa=request.pressure_gpa,
    )


def _require_sense(request: SimulationRequest) -> None:
    """An option that would be ignored in silence is refused."""
    ignored = []
    if request.pressure_gpa and request.protocol != "npt":
        ignored.append("a pressure: only `npt` has a barostat")
    if request.protocol == "performance" and (request.sample_fs or request.equilibration_fs is not None):
        ignored.append("times of frames or of equilibration: it keeps no frame and warms up for 200 steps")
    if ignored:
        raise MeltlakeError(
            f"Protocol {request.protocol} does not take {'; nor '.join(ignored)}.", "Leave the option out."
        )


def _time_axis(request: SimulationRequest, start: Start) -> tuple[float, int]:
    """Time step, fs, and steps per saved frame."""
    saved_fs = real_or_none(start.parent, "time_step_fs") if request.protocol == "twin" else None
    if saved_fs:
        sample_fs = request.sample_fs or saved_fs
        time_step_fs = request.time_step_fs or saved_fs / ceil(saved_fs / _LONGEST_TIME_STEP_FS)
    else:
        time_step_fs = request.time_step_fs or _TIME_STEP_FS
        sample_fs = request.sample_fs or _SAMPLE_FS.get(request.protocol, time_step_fs)
    steps_per_frame = max(1, round(sample_fs / time_step_fs))
    is_asked_for = request.sample_fs is not None or saved_fs is not None
    if is_asked_for and abs(steps_per_frame * time_step_fs - sample_fs) > _ROUNDING * sample_fs:
        raise MeltlakeError(
            f"Frames every {sample_fs:g} fs needed a time step that divides that, found {time_step_fs:g} fs.",
            f"Try --time-step-fs {sample_fs / ceil(sample_fs / time_step_fs):.6g}, or other times of frames with "
            "--sample-fs.",
        )
    return time_step_fs, steps_per_frame


def _production_steps(request: SimulationRequest, start: Start, steps_per_frame: int, *, time_step_fs: float) -> int:
    if request.protocol != "twin":
        return _whole(request.n_steps or _PRODUCTION_STEPS[request.protocol], steps_per_frame)
    saved_fs = real_or_none(start.parent, "time_step_fs") or time_step_fs
    length_fs = max(1, int(str(start.parent["n_frames"])) - 1) * saved_fs
    of_aimd = _whole(length_fs / time_step_fs, steps_per_frame)
    return of_aimd if request.n_steps is None else min(of_aimd, _whole(request.n_steps, steps_per_frame))


def _equilibration_fs(request: SimulationRequest, start: Start, replicate: int, *, production_fs: float) -> float:
    if request.protocol == "performance":
        return WARM_UP_STEPS * (request.time_step_fs or _TIME_STEP_FS)
    if request.equilibration_fs is not None:
        return request.equilibration_fs
    usual_fs = FS_PER_PS * (_EQUILIBRATION_PS[request.protocol] if replicate == 1 else _EQUILIBRATION_OF_COPIES_PS)
    if request.n_steps is None:
        return usual_fs
    # Who asks for a short run wants it soon; but atoms that were exchanged have to find their places.
    least_fs = FS_PER_PS * _EQUILIBRATION_OF_EXCHANGED_PS if start.is_exchanged else 0.0
    return max(least_fs, min(usual_fs, production_fs / 2))


def _copies(request: SimulationRequest, n_atoms: int) -> int:
    return max(1, round((N_ATOMS_TIMED / n_atoms) ** (1 / 3))) if request.protocol == "performance" else 1


def _whole(n_steps: float, steps_per_frame: int) -> int:
    return ceil(n_steps / steps_per_frame - _ROUNDING) * steps_per_frame
