"""Enthalpies of an ideal gas and of made-up melts, and what mixing gives."""

import numpy as np
import pytest

from operators.physics.enthalpy import Enthalpy, enthalpies_ev_per_atom, enthalpy, enthalpy_of_mixing
from schemas.errors import MeltlakeError
from schemas.frames import Floats, Trajectory
from schemas.units import BOLTZMANN_EV_PER_K, GPA_PER_EV_PER_ANGSTROM3


def run_of(numbers: list[int], energy: Floats, temperature: Floats, edge: float = 20.0) -> Trajectory:
    n_frames = len(energy)
    return Trajectory(
        run_id="a",
        atomic_numbers=np.array(numbers, dtype=np.int8),
        time_fs=np.arange(n_frames) * 2.0,
        cell_angstrom=np.tile(np.eye(3) * edge, (n_frames, 1, 1)),
        positions_angstrom=np.zeros((n_frames, len(numbers), 3)),
        energy_ev=energy,
        virial_trace_ev=np.full(n_frames, np.nan),
        temperature_k=temperature,
        accepted=np.ones(n_frames, dtype=bool),
        label_source=np.full(n_frames, "dft"),
    )


def known(element_counts: dict[str, int], value: float, error: float = 0.001, **others: float) -> Enthalpy:
    state = {"temperature_k": 1673.0, "pressure_gpa": 0.0} | others
    return Enthalpy(counts=element_counts, enthalpy_ev_per_atom=value, error_ev_per_atom=error, **state)


PURE = {"Al": known({"Al": 512}, -3.0), "Ni": known({"Ni": 512}, -4.0)}


def test_enthalpy_of_an_ideal_gas_is_five_halves_kt() -> None:
    n_atoms, kelvin, edge = 500, 1000.0, 50.0
    pressure = (n_atoms - 1) * BOLTZMANN_EV_PER_K * kelvin / edge**3 * GPA_PER_EV_PER_ANGSTROM3
    run = run_of([13] * n_atoms, np.zeros(600), np.full(600, kelvin), edge)
    expected = 2.5 * (n_atoms - 1) / n_atoms * BOLTZMANN_EV_PER_K * kelvin
    np.testing.assert_allclose(enthalpies_ev_per_atom(run, pressure_gpa=pressure), expected)
    found = enthalpy(run, pressure_gpa=pressure)
    assert found.enthalpy_ev_per_atom == pytest.approx(expected)
    assert (found.temperature_k, found.error_ev_per_atom, found.counts) == (1000.0, 0.0, {"Al": 500})


def test_kinetic_and_potential_energy_fluctuate_against_each_other() -> None:
    exchange = np.random.default_rng(1).normal(0, 1.0, 600)
    per_kelvin = 1.5 * 99 * BOLTZMANN_EV_PER_K
    run = run_of([13] * 100, -300 + exchange, 1500 - exchange / per_kelvin)
    np.testing.assert_allclose(enthalpies_ev_per_atom(run, pressure_gpa=0.0), (-300 + 1500 * per_kelvin) / 100)


def test_ideal_mixing_gives_nothing_and_errors_add_in_squares() -> None:
    found = enthalpy_of_mixing(known({"Al": 384, "Ni": 128}, -3.25, 0.002), PURE)
    assert found.enthalpy_ev_per_atom == pytest.approx(0.0)
    assert found.error_ev_per_atom == pytest.approx(np.sqrt(0.002**2 + 0.00075**2 + 0.00025**2))
    attracting = enthalpy_of_mixing(known({"Al": 256, "Ni": 256}, -4.0, np.nan), PURE)
    assert attracting.enthalpy_ev_per_atom == pytest.approx(-0.5)
    assert np.isnan(attracting.error_ev_per_atom)
    assert enthalpy_of_mixing(PURE["Al"], PURE).enthalpy_ev_per_atom == 0.0


def test_what_temperatures_differ_by_is_an_error() -> None:
    warmer = PURE | {"Al": known({"Al": 512}, -3.0, temperature_k=1683.0)}
    found = enthalpy_of_mixing(known({"Al": 256, "Ni": 256}, -3.5), warmer)
    expected = np.sqrt(0.001**2 * 1.5 + (0.5 * 4 * BOLTZMANN_EV_PER_K * 10) ** 2)
    assert found.error_ev_per_atom == pytest.approx(expected)


@pytest.mark.parametrize(
    ("nickel", "told"),
    [
        (None, "needed the enthalpy of pure Ni, found none"),
        (known({"Ni": 500, "Al": 12}, -4.0), "found one of Ni-Al"),
        (known({"Ni": 512}, -4.0, temperature_k=1773.0), "needed one temperature, found 1673 K and, of Ni, 1773 K"),
        (known({"Ni": 512}, -4.0, pressure_gpa=1.0), "needed one pressure, found 0 GPa and, of Ni, 1 GPa"),
    ],
)
def test_only_like_is_compared_with_like(nickel: Enthalpy | None, told: str) -> None:
    pure = {"Al": PURE["Al"]} | ({} if nickel is None else {"Ni": nickel})
    with pytest.raises(MeltlakeError, match=told):
        enthalpy_of_mixing(known({"Al": 256, "Ni": 256}, -3.5), pure)


def test_a_run_without_temperature_has_no_enthalpy() -> None:
    with pytest.raises(MeltlakeError, match="run a: needed accepted frames with energy and temperature"):
        enthalpy(run_of([13] * 4, np.zeros(5), np.full(5, np.nan)), pressure_gpa=0.0)
