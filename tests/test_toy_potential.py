"""The toy potential has the energies, crystals and volumes that were computed for it elsewhere."""

from itertools import product

import numpy as np
import pytest

from operators.physics import toy_potential
from schemas.composition import composition, nearest_counts

FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
BCC = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])


def crystal_energy_ev_per_atom(symbols: list[str], sites: np.ndarray, lattice_angstrom: float) -> float:
    """Energy of a cubic crystal by direct summation over its periodic copies."""
    reach = int(np.ceil(toy_potential.CUTOFF_ANGSTROM / lattice_angstrom))
    copies = np.array(list(product(range(-reach, reach + 1), repeat=3)))
    energy = 0.0
    for symbol, site in zip(symbols, sites, strict=True):
        density = 0.0
        for other, other_site in zip(symbols, sites, strict=True):
            r = lattice_angstrom * np.linalg.norm(copies + other_site - site, axis=1)
            r = r[(r > 0) & (r < toy_potential.CUTOFF_ANGSTROM)]
            density += toy_potential.electron_density(other, r).sum()
            energy += 0.5 * toy_potential.pair_energy(symbol, other, r).sum()
        energy += float(toy_potential.embedding_energy(symbol, density))
    return energy / len(symbols)


@pytest.mark.parametrize(
    ("pair", "r_angstrom", "energy_ev"),
    [
        (("Al", "Al"), 3.0, -0.07924944),
        (("Al", "Cu"), 2.5, -0.071514849),
        (("Al", "Ni"), 2.5, -0.22335682),
        (("Al", "Ni"), 5.0, -0.0091674846),
        (("Cu", "Cu"), 2.5, -0.1288412),
        (("Cu", "Ni"), 2.5, -0.16941342),
        (("Ni", "Ni"), 6.0, -1.0791987e-07),
    ],
)
def test_pair_energies_have_their_published_values(pair, r_angstrom, energy_ev):
    assert toy_potential.pair_energy(*pair, r_angstrom) == pytest.approx(energy_ev, rel=2e-7)
    assert toy_potential.pair_energy(*pair[::-1], r_angstrom) == pytest.approx(energy_ev, rel=2e-7)


@pytest.mark.parametrize(("symbol", "density"), [("Al", 2.1965319), ("Cu", 1.7098124), ("Ni", 1.9668467)])
def test_electron_densities_have_their_published_values(symbol, density):
    assert toy_potential.electron_density(symbol, 2.5) == pytest.approx(density, rel=2e-7)


@pytest.mark.parametrize(
    ("symbol", "energies_ev"),
    [
        ("Al", [-1e-6, -2.358818, -2.829718, -2.47822]),
        ("Cu", [0, -1.766191, -2.187908, -2.137878]),
        ("Ni", [0, -2.123087, -2.669719, -2.658462]),
    ],
)
def test_embedding_energies_have_their_published_values(symbol, energies_ev):
    computed = toy_potential.embedding_energy(symbol, [0, 10, 20, 40])
    np.testing.assert_allclose(computed, energies_ev, atol=6e-7)


@pytest.mark.parametrize("symbol", ["Al", "Cu", "Ni"])
@pytest.mark.parametrize("join", [0.85, 1.15])
def test_embedding_energy_has_no_jumps(symbol, join):
    rho = join * toy_potential.ELEMENTS[symbol].rho_e
    below, above = toy_potential.embedding_energy(symbol, [rho * (1 - 1e-9), rho * (1 + 1e-9)])
    assert below == pytest.approx(above, abs=1e-6)


@pytest.mark.parametrize(
    ("symbol", "lattice_angstrom", "energy_ev"), [("Al", 4.0502, -3.58), ("Cu", 3.615, -3.54), ("Ni", 3.5196, -4.45)]
)
def test_elements_have_their_cohesive_energy_at_their_lattice_constant(symbol, lattice_angstrom, energy_ev):
    energies = [
        crystal_energy_ev_per_atom([symbol] * 4, FCC, lattice_angstrom * strain) for strain in (0.998, 1.0, 1.002)
    ]
    assert energies[1] == pytest.approx(energy_ev, abs=1e-4)
    assert energies[1] == min(energies)


@pytest.mark.parametrize(
    ("symbols", "sites", "lattice_angstrom", "formation_mev"),
    [
        (["Al", "Ni"], BCC, 2.9345, -609.9),
        (["Al", "Ni", "Ni", "Ni"], FCC, 3.5961, -476.1),
        (["Al", "Cu"], BCC, 3.0080, -262.5),
        (["Cu", "Ni"], BCC, 2.8930, 78.7),
    ],
)
def test_unlike_atoms_order_as_designed(symbols, sites, lattice_angstrom, formation_mev):
    elements_ev = np.mean([{"Al": -3.58, "Cu": -3.54, "Ni": -4.45}[symbol] for symbol in symbols])
    energy_ev = crystal_energy_ev_per_atom(symbols, sites, lattice_angstrom)
    assert 1e3 * (energy_ev - elements_ev) == pytest.approx(formation_mev, abs=0.2)


def test_setfl_tables_every_element_and_every_pair():
    lines = toy_potential.setfl().splitlines()
    assert lines[3].split() == ["3", "Al", "Cu", "Ni"]
    n_rho, d_rho, n_r, d_r, cutoff = (float(word) for word in lines[4].split())
    assert (n_rho * n_r, cutoff) == (9e6, 6.8)
    assert (d_rho, d_r) == pytest.approx((200 / 2999, 6.8 / 2999))
    assert len(lines) == 5 + 3 * (1 + 2 * 600) + 6 * 600
    last_pair = np.array(" ".join(lines[-600:]).split(), dtype=float)
    r = np.linspace(0, 6.8, 3000)
    np.testing.assert_allclose(last_pair[1500], r[1500] * toy_potential.pair_energy("Ni", "Ni", r[1500]))


@pytest.mark.parametrize(
    ("counts", "temperature_k", "volume_angstrom3"),
    [
        ({"Al": 512}, 983, 19.351),
        ({"Al": 256, "Cu": 256}, 1373, 15.895),
        ({"Al": 256, "Ni": 256}, 1963, 15.256),
        ({"Cu": 256, "Ni": 256}, 1673, 13.519),
        ({"Al": 307, "Cu": 103, "Ni": 102}, 1400, 15.997),
        ({"Al": 171, "Cu": 171, "Ni": 170}, 1673, 14.652),
        ({"Al": 358, "Cu": 103, "Ni": 51}, 1300, 16.864),
    ],
)
def test_liquid_volumes_of_simulated_melts_come_back(counts, temperature_k, volume_angstrom3):
    volume = toy_potential.liquid_volume_angstrom3_per_atom(counts, temperature_k)
    assert volume == pytest.approx(volume_angstrom3, rel=3e-3)


def test_a_composition_melts_at_the_temperature_of_its_nearest_neighbour():
    assert toy_potential.melt_temperature_k("Al68Cu20Ni12") == 1300
    assert toy_potential.melt_temperature_k("Ni20Al60Cu20") == 1400


def test_every_tabulated_liquid_is_named_as_the_lake_names_it():
    names = [composition(nearest_counts(label, 600)) for label in toy_potential.MELT_TEMPERATURES_K]
    assert names == list(toy_potential.MELT_TEMPERATURES_K)
