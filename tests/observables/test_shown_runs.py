"""Which runs of a composition the report draws where it has room for a few."""

from lake.delta import Lake
from lake.warehouse import session
from operators.report.melts import scattering_section
from operators.report.page import Group
from schemas.settings import Settings


def add(settings: Settings, run_id: str, *, n_frames: int, averaged_fs: float) -> None:
    lake = Lake(settings.lake)
    row = {"run_id": run_id, "origin": "aimd" if run_id.startswith("aimd") else "dnnp", "n_frames": n_frames}
    row |= {"composition": "Al100", "chemical_system": "Al", "synthetic": False}
    lake.replace("runs", run_id, [row])
    means = {"run_id": run_id, "composition": "Al100", "n_averaged": n_frames, "averaged_fs": averaged_fs}
    lake.replace("thermodynamics", run_id, [means])
    curve = {"run_id": run_id, "composition": "Al100", "pair": "Al-Al", "convention": "faber_ziman"}
    rows = [curve | {"q_per_angstrom": q, "s": 1.0, "s_error": 0.1} for q in (1.0, 2.0)]
    lake.replace("structure_factor", run_id, rows)


def test_many_aimd_runs_leave_room_for_simulations_and_time_counts_rather_than_frames(settings: Settings) -> None:
    for number in range(7):
        add(settings, f"aimd{number}", n_frames=1000 + number, averaged_fs=1000.0 * (9 - number))
    add(settings, "simulated", n_frames=10, averaged_fs=100.0)
    with session(settings) as run:
        rows = []
        scattering_section(Group("Al", synthetic=False), lambda sql: rows.extend(run(sql).to_pylist()) or rows)
    drawn = sorted({(row["place"], row["run_id"]) for row in rows})
    assert [run_id for _, run_id in drawn] == ["aimd0", "aimd1", "aimd2", "aimd3", "simulated"]
