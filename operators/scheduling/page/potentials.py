"""Potentials: their errors, learning curves, simulations, and every raw file that they were trained on."""

from operators.scheduling.page.curves import Figure, Line, panel
from operators.scheduling.page.questions import Question, Run, rows_of

LIST = Question(
    "potentials",
    "Potentials",
    """
with judged as (
    select potential_id, count(*) filter (verdict in ('indistinguishable', 'good')) as n_curves_agree,
           count(*) as n_curves
    from curve_agreement where verdict <> 'undecided' group by potential_id
),
timed as (
    select potential_id, max(ns_per_day) as ns_per_day from performance where outcome = 'finished' group by potential_id
)
select potential_id, recipe, seed, n_steps, backend, training_set_id, chemical_system, synthetic,
       test.rmse_energy_mev_per_atom, test.rmse_force_mev_per_angstrom, test.rmse_virial_mev_per_atom,
       held_out.rmse_force_mev_per_angstrom as held_out_rmse_force_mev_per_angstrom,
       n_curves_agree, n_curves, ns_per_day, created_at
from (select * from trained_potentials where true) potentials
left join (select * from rmse where composition = 'all' and split = 'test') test using (potential_id)
left join (select * from rmse where composition = 'all' and split = 'held_out') held_out using (potential_id)
left join judged using (potential_id)
left join timed using (potential_id)
order by created_at desc nulls last, potential_id
""",
    "No potential yet: `meltlake materialize` freezes a training set, `meltlake train TRAINING_SET --recipe DP-2` "
    "trains on it. What was trained just now shows when the warehouse is published next.",
    "Errors on the test split and on compositions held out, pooled over frames; curves are radial distribution "
    "functions and velocity autocorrelations of its simulations that are good or better, of those with a verdict.",
)
SEARCHED = ("potential_id", "recipe", "training_set_id")
FILTERS = ("potential_id", "recipe", "seed", "training_set_id", "n_steps", "backend")
FACTS = """
select known.potential_id, recipe, seed, n_steps, backend, compressed, precision, r_cut_angstrom, chemical_system,
       synthetic, training_set_id, init_from as init_from_potential_id, n_test_frames_known, deepmd_version, hardware,
       wall_seconds, n_restarts, sha256, created_at
from (
    select potential_id from potentials
    union select potential_id from learning_curves
    union select potential_id from runs where potential_id is not null
) known
left join trained_potentials using (potential_id)
where known.potential_id = $potential_id
"""
ERRORS = Question(
    "errors",
    "Errors",
    """
select composition, split, n_frames, rmse_energy_mev_per_atom, rmse_force_mev_per_angstrom, rmse_virial_mev_per_atom,
       bias_energy_mev_per_atom, max_force_mev_per_angstrom, max_force_run_id, max_force_frame
from rmse where potential_id = $potential_id
order by composition <> 'all', split, composition
""",
    "It was not judged yet: `meltlake observe --potential POTENTIAL` does it, the Dag train by itself.",
    "RMSE against DFT, pooled; the last columns name the frame with the largest error of a force component.",
)
COMMITTEE = Question(
    "committee",
    "Its committee",
    """
select composition, split, len(potential_ids) as n_seeds, n_frames, deviation_force_mev_per_angstrom,
       error_force_mev_per_angstrom, force_error_over_deviation
from committees where list_contains(potential_ids, $potential_id)
order by composition <> 'all', split, composition
""",
    "No committee: train the same recipe with two seeds more and observe the potentials again.",
    "How much potentials of other seeds disagree, beside how wrong they are.",
)
SIMULATIONS = Question(
    "simulations",
    "Simulations",
    """
with judged as (
    select run_id, count(*) filter (verdict in ('indistinguishable', 'good')) as n_agree,
           count(*) filter (verdict = 'visible') as n_visible, count(*) filter (verdict = 'disagrees') as n_disagree,
           count(*) filter (verdict = 'undecided') as n_undecided
    from agreement where potential_id = $potential_id group by run_id
)
select run_id, runs.composition, protocol, temperature_target_k, n_atoms, n_frames, outcome, n_agree, n_visible,
       n_disagree, n_undecided, ingested_at
from runs left join judged using (run_id)
where runs.potential_id = $potential_id
order by ingested_at desc nulls last, run_id
""",
    "No simulation yet: `meltlake simulate POTENTIAL --protocol twin --composition COMPOSITION`.",
    "How many of its observables agree with AIMD (good or better), differ visibly, disagree, or stay undecided.",
)
SPEED = Question(
    "speed",
    "Speed",
    """
select run_id, composition, protocol, n_atoms, ns_per_day, hardware, precision, lammps_version,
       drift_mev_per_atom_per_ps, drift_error_mev_per_atom_per_ps, outcome
from performance where potential_id = $potential_id
order by n_atoms desc, ns_per_day desc, run_id
""",
    "It was not timed yet: `meltlake simulate POTENTIAL --protocol performance --composition COMPOSITION`.",
)
TRAINED_ON = Question(
    "trained-on",
    "What it was trained on, down to the raw files",
    """
with recursive ancestry as (
    select potential_id, training_set_id, init_from, 0 as generation from potentials where potential_id = $potential_id
    union
    select parents.potential_id, parents.training_set_id, parents.init_from, generation + 1
    from ancestry join potentials parents on parents.potential_id = ancestry.init_from
)
select taught.training_set_id, run_id, runs.composition, taught.n_train, taught.n_test, taught.n_held_out,
       source_uri, source_sha256, runs.synthetic
from ancestry
join training_set_runs taught using (training_set_id)
left join runs using (run_id)
order by generation, run_id
""",
    "Its training set names no run: it was trained elsewhere, or its rows are not in the lake.",
    "Checksums are those of the raw files as they lay on disk; `meltlake lineage POTENTIAL` tells the same. Sets that "
    "a potential it began with was trained on come last.",
)
TABS: dict[str, tuple[str, list[Question]]] = {
    "": ("Errors", [ERRORS, COMMITTEE]),
    "learning-curve": ("Learning curve", []),
    "simulations": ("Simulations", [SIMULATIONS, SPEED]),
    "lineage": ("Lineage", [TRAINED_ON]),
}
_CURVE = "select * from learning_curves where potential_id = $potential_id order by step"
_QUANTITIES = (
    ("Energy", "rmse_energy_mev_per_atom", "rmse_energy_train_mev_per_atom", "RMSE (meV/atom)"),
    ("Force", "rmse_force_mev_per_angstrom", "rmse_force_train_mev_per_angstrom", "RMSE (meV/Å)"),
    ("Virial", "rmse_virial_mev_per_atom", "rmse_virial_train_mev_per_atom", "RMSE (meV/atom)"),
)
CURVE_ABOUT = "Errors on a batch of the test split and on a batch of the training split, as training displayed them."


def learning_curve(run: Run, potential_id: str) -> Figure:
    """Errors over training steps: energy, force and virial, each on both splits."""
    rows = rows_of(run, _CURVE, {"potential_id": potential_id})
    panels = [
        panel(
            title,
            [
                Line("test batch", 0, [(row["step"], row[test]) for row in rows]),
                Line("training batch", 1, [(row["step"], row[train]) for row in rows], is_dashed=True),
            ],
            x_label="training step",
            y_label=y_label,
            is_log=True,
        )
        for title, test, train, y_label in _QUANTITIES
    ]
    empty = "No learning curve: the training has displayed fewer than two steps, or left none."
    return Figure("Learning curve", [one for one in panels if one], empty)
