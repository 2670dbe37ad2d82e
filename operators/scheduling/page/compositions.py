"""Compositions: what the lake has of each melt, how potentials do there, and what experiment says."""

from operators.scheduling.page.questions import Question

LIST = Question(
    "compositions",
    "Compositions",
    """
with known as (
    select composition, synthetic, count(*) filter (origin = 'aimd') as n_aimd_runs,
           count(*) filter (origin = 'dnnp') as n_simulations,
           sum(n_frames)::bigint as n_frames, sum(n_accepted)::bigint as n_accepted,
           sum(n_rejected)::bigint as n_rejected
    from runs where true group by composition, synthetic
),
errors as (
    select composition, min(rmse_force_mev_per_angstrom) as lowest_rmse_force_mev_per_angstrom,
           count(distinct potential_id) as n_potentials
    from rmse where composition <> 'all' group by composition
)
select known.composition, known.synthetic, split_role, n_aimd_runs, n_simulations, known.n_frames, known.n_accepted,
       n_rejected, n_potentials, lowest_rmse_force_mev_per_angstrom
from known
left join composition_map using (composition, synthetic)
left join errors on errors.composition = known.composition
order by known.composition, known.synthetic
""",
    "No composition yet: `meltlake ingest SOURCE` stores the frames of a run; the next published warehouse shows it.",
    "The role is that in the training set that was asked for last.",
)
SEARCHED = ("composition",)
FACTS = """
select composition, any_value(chemical_system) as chemical_system, bool_or(synthetic) as synthetic,
       count(*) filter (origin = 'aimd') as n_aimd_runs, count(*) filter (origin = 'dnnp') as n_simulations,
       sum(n_frames)::bigint as n_frames, sum(n_accepted)::bigint as n_accepted, sum(n_rejected)::bigint as n_rejected,
       min(temperature_target_k) as lowest_temperature_k, max(temperature_target_k) as highest_temperature_k
from runs where composition = $composition group by composition
"""
RUNS = Question(
    "runs",
    "Runs",
    """
select run_id, origin, synthetic, ensemble, temperature_target_k, n_atoms, n_frames, n_rejected,
       potential_id, protocol, outcome, ingested_at
from runs where composition = $composition
order by origin, ingested_at desc, run_id
""",
    "The warehouse has no run of this composition.",
)
POTENTIALS = Question(
    "potentials",
    "Potentials here",
    """
select potential_id, recipe, seed, split, synthetic, rmse_energy_mev_per_atom, rmse_force_mev_per_angstrom,
       rmse_virial_mev_per_atom, distance_at_percent, nearest_composition, n_curves_agree, n_curves
from transferability where composition = $composition
order by rmse_force_mev_per_angstrom, potential_id, split
""",
    "No potential was judged here: `meltlake observe --potential POTENTIAL` does it, the Dag train by itself.",
    "The distance is that to the nearest composition trained on; curves are radial distribution functions and velocity "
    "autocorrelations of simulations that have a verdict.",
)
AGREEMENT = Question(
    "agreement",
    "Agreement of simulations with AIMD",
    """
select potential_id, run_id, observable, measure, value_aimd, value_dnnp, l1_percent, floor_percent, z, verdict, reason
from agreement where composition = $composition
order by z desc nulls last, potential_id, observable
""",
    "No simulation was compared here: `meltlake simulate POTENTIAL --protocol twin --composition COMPOSITION`, then "
    "`meltlake observe --run RUN_ID`.",
    "z is the distance over the noise floor of the sampling; what disagrees most comes first.",
)
EXPERIMENT = Question(
    "experiment",
    "Density beside experiment",
    """
select * exclude (composition, chemical_system)
from density_vs_experiment where composition = $composition
order by run_id
""",
    "No density here that an experiment could be set beside: simulate at constant pressure (`--protocol npt`), or add "
    "a measurement with `meltlake experiments add FILE`.",
)
ATTRIBUTION = Question(
    "attribution",
    "Whose the deviation is",
    """
select quantity, element, verdict, why, run_id, potential_id, protocol, temperature_k, value_dnnp, value_aimd,
       value_experiment, dnnp_from_aimd_percent, dnnp_from_aimd_error_percent, dnnp_from_experiment_percent,
       dnnp_from_experiment_error_percent, aimd_from_experiment_percent, aimd_from_experiment_error_percent,
       experiment_uncertainty_percent, source, caveat, synthetic
from attribution where composition = $composition
order by quantity, element, potential_id, run_id
""",
    "Nothing to attribute yet: it takes a simulation, the AIMD run beside it and a measurement.",
    "potential, dft, both, agrees, or cannot tell with the reason.",
)
TABS: dict[str, tuple[str, list[Question]]] = {
    "": ("Runs", [RUNS]),
    "potentials": ("Potentials", [POTENTIALS]),
    "agreement": ("Agreement", [AGREEMENT]),
    "experiment": ("Experiment", [EXPERIMENT, ATTRIBUTION]),
}
