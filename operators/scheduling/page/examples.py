"""Ready queries of the SQL box. Each runs on any warehouse, an empty one too; a test says so."""

EXAMPLES: dict[str, str] = {
    "Frames by composition": """select composition, origin, count(*) as n_runs,
       sum(n_frames) as n_frames, sum(n_accepted) as n_accepted
from runs group by all order by composition, origin""",
    "Why frames were rejected": """select rule, count(*) as n_rows, count(distinct run_id) as n_runs,
       any_value(reason) as reason
from quarantine group by rule order by n_rows desc""",
    "Table 1, the paper's and ours": """select recipe, training_set_id, n_seeds, n_steps,
       paper_rmse_energy_mev_per_atom, rmse_energy_mev_per_atom,
       paper_rmse_force_mev_per_angstrom, rmse_force_mev_per_angstrom, ns_per_day
from table_1 order by training_set_id, recipe""",
    "Errors on compositions never seen": """select recipe, composition, distance_at_percent,
       rmse_energy_mev_per_atom, rmse_force_mev_per_angstrom
from transferability where split = 'held_out' order by distance_at_percent, recipe""",
    "What disagrees most": """select potential_id, composition, observable, measure,
       l1_percent, floor_percent, z, verdict
from agreement where verdict in ('visible', 'disagrees') order by z desc limit 50""",
    "Density: AIMD, potential, experiment": """select * from density_vs_experiment order by composition, run_id""",
    "Whose fault is a deviation": """select * from attribution""",
    "First peak of g(r)": """select composition, pair, run_id, origin, first_peak_angstrom, first_peak_error_angstrom
from short_range_order join runs using (run_id, composition) order by composition, pair, origin""",
    "Speed by number of atoms": """select potential_id, n_atoms, ns_per_day, hardware
from performance where outcome = 'finished' order by n_atoms, ns_per_day desc""",
    "Raw files behind a potential": """select distinct potential_id, source_run_id, source_uri, source_sha256
from lineage where role = 'trained_on' order by potential_id, source_run_id""",
}
