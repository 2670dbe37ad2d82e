"""Transferability: errors against distance, one composition left out at a time, frames that nobody trained on."""

from schemas.views.description import View

_ERRORS = ("rmse_energy_mev_per_atom", "rmse_force_mev_per_angstrom", "rmse_virial_mev_per_atom")

TRANSFERABILITY = View(
    "transferability",
    "Error of a potential on each composition against the distance (half-L1, at.%) to the nearest composition that it "
    "trained on, the share of the melt's environments that its training set knows, the deviation of its committee "
    "there with the true error over it, and how its simulations' curves there agree with AIMD: those that have a "
    "verdict, those that are good or better, and the largest z.",
    """
with asked as (
    select rmse.*, recipe, seed, n_steps, backend, training_set_id, chemical_system, synthetic, r_cut_angstrom
    from rmse join trained_potentials using (potential_id) where rmse.composition <> 'all'
),
nearest as (
    select training_set_id, composition,
           min(half_l1_at_percent) as distance_at_percent,
           arg_min(other, (half_l1_at_percent, other)) as nearest_composition
    from (select training_set_id, unnest(compositions) as other from training_sets) taught
    join composition_distances using (other)
    group by training_set_id, composition
),
curves as (
    select potential_id, composition, max(z) as largest_z, count(*) as n_curves,
           count(*) filter (verdict in ('indistinguishable', 'good')) as n_curves_agree
    from curve_agreement where verdict <> 'undecided' group by potential_id, composition
),
seeds as (
    select unnest(potential_ids) as potential_id, composition, split, len(potential_ids) as n_seeds,
           deviation_force_mev_per_angstrom, force_error_over_deviation
    from committees
)
select
    asked.potential_id, asked.recipe, asked.seed, asked.n_steps, asked.backend, asked.training_set_id,
    asked.chemical_system, asked.synthetic, asked.composition, asked.split, asked.n_frames,
    nearest.distance_at_percent, nearest.nearest_composition, coverage.coverage_frac,
    asked.rmse_energy_mev_per_atom, asked.rmse_force_mev_per_angstrom, asked.rmse_virial_mev_per_atom,
    seeds.n_seeds, seeds.deviation_force_mev_per_angstrom, seeds.force_error_over_deviation,
    curves.n_curves, curves.n_curves_agree, curves.largest_z
from asked
left join nearest on nearest.training_set_id = asked.training_set_id and nearest.composition = asked.composition
left join coverage on coverage.training_set_id = asked.training_set_id and coverage.composition = asked.composition
 and coverage.split = asked.split and coverage.r_cut_angstrom = asked.r_cut_angstrom
left join seeds on seeds.potential_id = asked.potential_id and seeds.composition = asked.composition
 and seeds.split = asked.split
left join curves on curves.potential_id = asked.potential_id and curves.composition = asked.composition
order by asked.potential_id, nearest.distance_at_percent, asked.composition, asked.split
""",
)

LEAVE_ONE_OUT_SETS = View(
    "leave_one_out_sets",
    "Training sets that leave one composition out, each another one, of the same compositions split by the same wish; "
    "and the set of them that leaves none out, where there is one. Of sets that were made again, the last.",
    """
with described as (
    select training_set_id, list_sort(coalesce(held_out, [])) as held_out,
           list_sort(list_distinct(list_concat(coalesce(compositions, []), coalesce(held_out, [])))) as melts,
           row(split_rule, seed, test_fraction, gap_fs, every_fs, relaxation, balance, level_of_theory, synthetic)
               as wish,
           place
    from training_sets join training_set_places using (training_set_id)
),
newest as (
    select training_set_id, held_out, melts, wish, count(*) over (partition by melts, wish) as n_sets
    from (select * from described
          qualify row_number() over (partition by melts, wish, held_out order by place desc) = 1)
),
without as (select training_set_id, melts, wish, n_sets, unnest(held_out) as composition from newest),
told as (
    select *, count(*) over (partition by melts, wish, composition) = n_sets as is_always_held_out from without
),
missing as (
    select training_set_id, melts, wish, min(composition) as left_out from told where not is_always_held_out
    group by training_set_id, melts, wish having count(*) = 1
),
bases as (
    select melts, wish, min(training_set_id) as base_training_set_id
    from newest where training_set_id not in (select training_set_id from told where not is_always_held_out)
    group by melts, wish
)
select missing.training_set_id, missing.left_out, bases.base_training_set_id
from missing left join bases on bases.melts = missing.melts and bases.wish is not distinct from missing.wish
qualify count(*) over (partition by missing.melts, missing.wish) > 1
order by missing.training_set_id
""",
)

LEAVE_ONE_OUT = View(
    "leave_one_out",
    "One composition left out at a time: mean errors over seeds on the composition that a potential has never seen, "
    "with its distance (half-L1, at.%) to the nearest one trained on and its coverage; and the errors on its test "
    "frames of the same recipe that was trained with it, where there is one.",
    f"""
with candidates as (
    select transferability.*, recipe_id, init_from
    from transferability join potentials using (potential_id)
),
away as (
    select sets.base_training_set_id, sets.training_set_id, candidates.chemical_system, candidates.synthetic,
           candidates.recipe, recipe_id, candidates.n_steps, candidates.backend, init_from,
           sets.left_out as composition, distance_at_percent, nearest_composition, coverage_frac,
           count(*) as n_seeds, max(n_frames) as n_frames,
           {", ".join(f"avg({name}) as {name}" for name in _ERRORS)},
           stddev_samp(rmse_force_mev_per_angstrom) as spread_force_mev_per_angstrom,
           sum(n_curves)::bigint as n_curves, sum(n_curves_agree)::bigint as n_curves_agree
    from leave_one_out_sets sets
    join candidates on candidates.training_set_id = sets.training_set_id and candidates.composition = sets.left_out
     and candidates.split = 'held_out'
    group by all
),
home as (
    select training_set_id, recipe, recipe_id, n_steps, backend, init_from, composition,
           {", ".join(f"avg({name}) as {name}" for name in _ERRORS)}
    from candidates where split = 'test' group by all
)
select
    away.chemical_system, away.synthetic, away.recipe, away.n_steps, away.backend, away.composition,
    away.distance_at_percent, away.nearest_composition, away.coverage_frac, away.n_seeds, away.n_frames,
    {", ".join(f"away.{name}" for name in _ERRORS)}, away.spread_force_mev_per_angstrom,
    {", ".join(f"home.{name} as trained_{name}" for name in _ERRORS)},
    away.rmse_force_mev_per_angstrom / home.rmse_force_mev_per_angstrom as times_the_force_error,
    away.n_curves, away.n_curves_agree, away.training_set_id, away.base_training_set_id
from away
left join home on home.training_set_id = away.base_training_set_id and home.composition = away.composition
 and home.recipe = away.recipe and home.recipe_id is not distinct from away.recipe_id
 and home.n_steps is not distinct from away.n_steps and home.backend is not distinct from away.backend
 and home.init_from is not distinct from away.init_from
order by away.chemical_system, away.recipe, away.n_steps, away.distance_at_percent, away.composition
""",
)

UNTRAINED_FRAMES = View(
    "untrained_frames",
    "Accepted AIMD frames that a committee was judged on and not trained on, those with the largest deviation of the "
    "force on an atom first. Of each correlation time of a run (100 fs where that is not known) only the frame that "
    "deviates most is here: the others would teach much the same. `test` frames stay test frames; `held_out` ones are "
    "trained on once their composition is no longer held out.",
    """
with memories as (
    select run_id, max(correlation_time_fs) as correlation_time_fs from training_set_runs group by run_id
),
judged as (
    select committee_frames.*, about.recipe, about.training_set_id, about.chemical_system, about.synthetic,
           frames.time_fs, greatest(coalesce(correlation_time_fs, 100), 1) as apart_fs
    from committee_frames
    join (
        select distinct committee_id, committees.recipe, committees.training_set_id,
               array_to_string(list_sort(type_map), '-') as chemical_system, synthetic
        from committees left join training_sets on training_sets.training_set_id = committees.training_set_id
    ) about using (committee_id)
    left join frames on frames.run_id = committee_frames.run_id and frames.frame = committee_frames.frame
    left join memories on memories.run_id = committee_frames.run_id
    where committee_frames.split <> 'train' and coalesce(frames.accepted, true)
)
select
    committee_id, recipe, training_set_id, chemical_system, synthetic, composition, split, run_id, frame, time_fs,
    max_deviation_force_mev_per_angstrom, deviation_force_mev_per_angstrom, error_force_mev_per_angstrom,
    max_error_force_mev_per_angstrom
from judged
qualify row_number() over (
    partition by committee_id, run_id, coalesce(floor(time_fs / apart_fs), frame)
    order by max_deviation_force_mev_per_angstrom desc, frame
) = 1
order by committee_id, max_deviation_force_mev_per_angstrom desc, run_id, frame
""",
)
