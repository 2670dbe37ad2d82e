"""Runs: observables beside their partner's, agreement, rejected frames with reasons, and the raw files behind them."""

from operators.scheduling.page.curves import Figure, Line, panel
from operators.scheduling.page.questions import Question, Row, Run, rows_of

LIST = Question(
    "runs",
    "Runs",
    """
select run_id, composition, origin, synthetic, ensemble, temperature_target_k, n_atoms, n_frames, n_rejected,
       potential_id, protocol, outcome, ingested_at
from runs where true
order by ingested_at desc nulls last, run_id
""",
    "No run: `meltlake ingest SOURCE` reads VASP's output, or drop a run's folder into the landing zone while "
    "Airflow runs. What was ingested just now shows when the warehouse is published next.",
)
SEARCHED = ("run_id", "composition", "source_uri")
FILTERS = ("run_id", "composition", "origin", "potential_id", "protocol", "temperature_target_k")
FACTS = """
select run_id, coalesce(runs.composition, known.composition) as composition, formula, origin, synthetic, ensemble,
       temperature_target_k, pressure_target_gpa, n_atoms, n_frames, n_accepted, n_rejected, reason, time_step_fs,
       level_of_theory, vasp_version, lammps_version, coalesce(runs.potential_id, known.potential_id) as potential_id,
       protocol, outcome, parent_run_id, continues_run_id, trajectory_id as trajectory_run_id, equilibrated_from_fs,
       n_effective, complete, notes, ingested_at
from (
    select run_id, composition, potential_id from runs
    union
    select run_id, composition, potential_id from performance where run_id not in (select run_id from runs)
) known
left join runs using (run_id)
where run_id = $run_id
"""
MEANS = Question(
    "means",
    "Means",
    """
select temperature_k, temperature_error_k, pressure_gpa, pressure_error_gpa, density_g_per_cm3,
       density_error_g_per_cm3, energy_ev_per_atom, energy_error_ev_per_atom, n_averaged
from thermodynamics where run_id = $run_id order by run_id
""",
    "Not observed yet: `meltlake observe --run RUN_ID`; in Airflow the Dag observe does it when frames change.",
    "Errors are standard errors; correlation is counted.",
)
MOTION = Question(
    "transport",
    "Diffusion and viscosity",
    """
select element, diffusion_angstrom2_per_ps, diffusion_error_angstrom2_per_ps, diffusion_reason,
       diffusion_infinite_cell_angstrom2_per_ps, diffusion_infinite_cell_error_angstrom2_per_ps,
       viscosity_mpa_s, viscosity_error_mpa_s, viscosity_reason
from transport where run_id = $run_id order by element
""",
    "No diffusion: the run was not observed, or it is no molecular dynamics.",
)
ORDER = Question(
    "order",
    "Short-range order",
    """
select pair, warren_cowley, warren_cowley_error, coordination, coordination_error, first_peak_angstrom,
       first_peak_error_angstrom, first_peak_height, first_peak_height_error
from short_range_order where run_id = $run_id order by pair
""",
    "No short-range order: the run was not observed, or has no frame to take it from.",
)
TIMED = Question(
    "speed",
    "Speed",
    """
select potential_id, protocol, n_atoms, ns_per_day, hardware, precision, lammps_version, drift_mev_per_atom_per_ps,
       drift_error_mev_per_atom_per_ps, max_deviation_force_mev_per_angstrom, outcome
from performance where run_id = $run_id order by run_id
""",
    "Only simulations are timed.",
)
AGREEMENT = Question(
    "agreement",
    "Agreement with AIMD",
    """
select observable, measure, value_aimd, value_dnnp, difference, difference_error, l1_percent, floor_percent, z, verdict,
       reason, if(run_id = $run_id, aimd_run_id, run_id) as other_run_id, potential_id
from agreement where run_id = $run_id or aimd_run_id = $run_id
order by z desc nulls last, observable, other_run_id
""",
    "Nothing was compared: a comparison takes an AIMD run and a simulation of the same composition, both observed.",
    "z is the distance over the noise floor of the sampling: up to 1.5 nothing can be told apart. What disagrees most "
    "comes first.",
)
REJECTED = Question(
    "rejected",
    "Rejected frames, and why",
    """
select kind, frame, rule, expected, found, reason, overruled
from quarantine where run_id = $run_id
order by kind, frame, rule
""",
    "Every frame of this run was accepted.",
    "A rejected frame stays in the lake and is never trained on.",
)
RULES = Question(
    "rules",
    "What the gate said",
    """
select expectation as rule, scope, severity,
       if(success, 'met', if(success is null, 'not checked', 'failed')) as verdict,
       n_judged, n_unexpected, expected, observed, coalesce(error, reason) as reason
from expectation_results where run_id = $run_id
order by success nulls first, severity desc, rule
""",
    "The gate has not judged this run: `meltlake validate RUN_ID`.",
)
RAW = Question(
    "raw",
    "Raw files",
    """
select path, source_format, source_bytes, source_sha256, content_sha256
from raw_files where run_id = $run_id order by path
""",
    "No raw file is known: the run came from a simulation, or was ingested by an older version.",
    "Checksums of the files as they lay on disk, and of their decompressed content.",
)
LINEAGE = Question(
    "lineage",
    "Where it comes from",
    """
select role, source_run_id, source_origin, source_composition, any_value(source_uri) as source_uri,
       any_value(source_sha256) as source_sha256, any_value(synthetic) as synthetic,
       list(distinct observable order by observable) as observables
from lineage where run_id = $run_id
group by role, source_run_id, source_origin, source_composition
order by role, source_run_id
""",
    "The run has no observable yet, so nothing rests on it.",
    "Every run behind this one's observables, those that its potential was trained on included.",
)
CHECKS = Question(
    "cross-checks",
    "Other files of the same run",
    """
select path, source_format, verdict, n_frames, n_compared, max_energy_difference_ev, reason
from cross_checks where run_id = $run_id order by path
""",
    "No other file tells of this run.",
)
TABS: dict[str, tuple[str, list[Question]]] = {
    "": ("Observables", [MEANS, MOTION, ORDER, TIMED]),
    "agreement": ("Agreement", [AGREEMENT]),
    "rejected": ("Rejected frames", [REJECTED, RULES]),
    "lineage": ("Lineage", [RAW, LINEAGE, CHECKS]),
    "learning-curve": ("Learning curve", []),
}
_PARTNERS = """
select run_id as partner_id from agreement where aimd_run_id = $run_id
union select aimd_run_id from agreement where run_id = $run_id
union select parent_run_id from runs where run_id = $run_id and parent_run_id is not null
order by partner_id limit 4
"""
_SHAPE = """
select run_id, pair as kind, r_angstrom as x, g as y from rdf
where run_id in ($run_id, $first, $second, $third, $fourth) order by kind, run_id, x
"""
_MEMORY = """
select run_id, element as kind, lag_fs as x, vacf as y from vacf
where run_id in ($run_id, $first, $second, $third, $fourth) order by kind, run_id, x
"""


def observed_curves(run: Run, run_id: str) -> list[Figure]:
    """Radial distribution functions and velocity autocorrelations, those of the runs compared with it beside them."""
    partners = [row["partner_id"] for row in rows_of(run, _PARTNERS, {"run_id": run_id})]
    slots: list[str | None] = [*partners, None, None, None, None]
    values = {"run_id": run_id} | dict(zip(("first", "second", "third", "fourth"), slots[:4], strict=True))
    names = {run_id: "this run"} | {partner: partner for partner in partners if partner != run_id}
    empty = "Not observed yet: `meltlake observe --run RUN_ID`."
    return [
        _figure("Radial distribution functions", rows_of(run, _SHAPE, values), names, ("r (Å)", "g(r)"), empty),
        _figure("Velocity autocorrelation", rows_of(run, _MEMORY, values), names, ("lag (fs)", "normalised"), empty),
    ]


def _figure(title: str, rows: list[Row], names: dict[str, str], labels: tuple[str, str], empty: str) -> Figure:
    kinds = dict.fromkeys(row["kind"] for row in rows if row["run_id"] == next(iter(names)))
    panels = [
        panel(kind, _lines([row for row in rows if row["kind"] == kind], names), x_label=labels[0], y_label=labels[1])
        for kind in kinds
    ]
    return Figure(title, [one for one in panels if one], empty)


def _lines(rows: list[Row], names: dict[str, str]) -> list[Line]:
    return [
        Line(name, colour, [(row["x"], row["y"]) for row in rows if row["run_id"] == run_id], is_dashed=colour > 0)
        for colour, (run_id, name) in enumerate(names.items())
    ]
