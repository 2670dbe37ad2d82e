"""Experiment in the report: whose points these are, whose fault a deviation is, and what to know of functionals."""

import re
from pathlib import Path

import numpy as np
import pytest

from lake.delta import Lake
from lake.experiments import write_experiments
from operators.experiments import experiments_add
from operators.report import report
from operators.status import status
from operators.status_text import status_text
from schemas.settings import Settings

CURVE = "# element_or_alloy: Ni\n# quantity: rdf\n# temperature_k: 1800\n# citation: A. Nobody, Made-up J. 3 (2021)\n"


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    home = tmp_path_factory.mktemp("report")
    settings = Settings.from_mapping({"MELTLAKE_LAKE": str(home / "lake")})
    lake, r = Lake(settings.lake), 0.025 + 0.05 * np.arange(200)
    write_experiments(lake)
    melt = {"composition": "Ni100", "chemical_system": "Ni", "synthetic": False, "n_atoms": 512, "ensemble": "npt"}
    melt |= {"n_frames": 100, "n_accepted": 100, "n_rejected": 0}
    for run_id, density in (("aimd", 7.36), ("npt", 7.34)):
        simulated = {"origin": "dnnp", "potential_id": "p1", "parent_run_id": "aimd", "protocol": "npt"}
        lake.replace(
            "runs", run_id, [melt | {"run_id": run_id, "origin": "aimd"} | (simulated if density < 7.35 else {})]
        )
        means = {"temperature_k": 1800.0, "density_g_per_cm3": density, "density_error_g_per_cm3": 0.01}
        lake.replace("thermodynamics", run_id, [{"run_id": run_id, "n_frames": 100, "n_averaged": 100} | means])
        curve = {"run_id": run_id, "composition": "Ni100", "pair": "Ni-Ni"}
        rows = [curve | {"r_angstrom": float(x), "g": float(1 - np.exp(-((x / 2) ** 4)))} for x in r]
        lake.replace("rdf", run_id, rows)
        moves = {"element": "Ni", "temperature_k": 1800.0, "viscosity_mpa_s": 4.5, "viscosity_error_mpa_s": 0.1}
        lake.replace("transport", run_id, [{"run_id": run_id, "composition": "Ni100"} | moves])
    file = home / "ni.csv"
    file.write_text(CURVE + "r_angstrom,g\n" + "".join(f"{x:.2f},{1 - np.exp(-((x / 2) ** 4)):.4f}\n" for x in r))
    experiments_add(settings, [file])
    return settings


@pytest.fixture(scope="module")
def text(settings):
    return Path(str(report(settings)["index"])).read_text(encoding="utf-8")


def section(text, name):
    [found] = re.findall(rf'<section id="Ni-{name}".*?</section>', text, flags=re.DOTALL)
    return found


def test_measured_points_bear_the_name_of_their_source(text):
    assert ">Assael 2012</text>" in section(text, "density")
    assert ">A. Nobody 2021</text>" in section(text, "rdf")
    assert ">AIMD</text>" in section(text, "rdf")


def test_the_verdict_stands_with_its_reason_in_section_and_summary(text):
    told = section(text, "experiment")
    assert re.search(r"<td[^>]*>\s*dft\s*</td>", told)
    assert "AIMD -5.5 % from experiment, which is good to 1.7 %" in told
    assert "Whose it is: dft (potential -0.3 % from AIMD" in text


def test_motion_is_never_shown_without_what_functionals_do_to_it(text):
    assert all("LDA comes closer" in section(text, name) for name in ("experiment", "motion"))
    assert "A. Nobody 2021" in section(text, "experiment")


def test_status_lists_what_was_added(settings, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # narrower terminals fold the citation
    told = status_text(status(settings))
    assert re.search(r"Measurements that were added\n.*\n.*\n.*ni\.csv +200 +rdf +Ni100 +A\. Nobody, Made-up J", told)
