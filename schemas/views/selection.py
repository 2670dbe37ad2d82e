"""Which potential to use: errors over seeds, what differs by more than the seeds do, and who dominates whom.

A candidate is a recipe trained for so many steps on one training set; its seeds are its committee. Candidates of
different training sets were tested on different frames and never meet.
"""

from schemas.views.description import View

_T_95 = (
    *(4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120),
    *(2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""Student's t for 95 percent, two-sided, at 2, 3 ... 30 degrees of freedom; that of 30 is a little wide for more."""

RECIPE_ERRORS = View(
    "recipe_errors",
    "Errors of a recipe on each split of a training set: mean over its seeds, and their spread (standard deviation); "
    "none from one seed. Of a recipe that was changed under its name only the potentials of its last content count. "
    "Where n_test_frames_known is not 0, weights came from a potential that was trained on so many of the frames to "
    "test or held out: errors on those splits are too small.",
    """
with newest as (
    select potentials.*,
           coalesce(backend, 'tensorflow') as run_by,
           count(distinct n_steps) over (partition by training_set_id, recipe) as n_lengths,
           recipe || if(n_lengths > 1, ' ' || n_steps || ' steps', '')
           || if(run_by = 'tensorflow', '', ' ' || run_by) || coalesce(' from ' || init_from, '') as candidate
    from potentials
    qualify recipe_id is not distinct from first_value(recipe_id) over (
        partition by training_set_id, recipe, n_steps, run_by, init_from
        order by created_at desc nulls last, potential_id
    )
)
select
    training_set_id, candidate, recipe, n_steps, run_by as backend, init_from, split, count(*) as n_seeds,
    list(potential_id order by seed) as potential_ids,
    avg(rmse_energy_mev_per_atom) as rmse_energy_mev_per_atom,
    stddev_samp(rmse_energy_mev_per_atom) as spread_energy_mev_per_atom,
    avg(rmse_force_mev_per_angstrom) as rmse_force_mev_per_angstrom,
    stddev_samp(rmse_force_mev_per_angstrom) as spread_force_mev_per_angstrom,
    avg(rmse_virial_mev_per_atom) as rmse_virial_mev_per_atom,
    stddev_samp(rmse_virial_mev_per_atom) as spread_virial_mev_per_atom,
    coalesce(max(n_test_frames_known), 0) as n_test_frames_known
from newest join rmse using (potential_id)
where composition = 'all'
group by training_set_id, candidate, recipe, n_steps, run_by, init_from, split
order by training_set_id, candidate, split
""",
)

RECIPE_COMPARISON = View(
    "recipe_comparison",
    "Every two candidates of a training set, for each split and quantity: whether their errors differ by more than "
    "seeds do. The noise is the 95 percent interval of Student's t for the difference of two means over seeds. Where "
    "one of the two has begun with weights that know frames of the split, there is no verdict but that.",
    f"""
with errors as (
    select training_set_id, candidate, split, n_seeds, split <> 'train' and n_test_frames_known > 0 as is_known,
           unnest(['energy', 'force', 'virial']) as quantity,
           unnest([rmse_energy_mev_per_atom, rmse_force_mev_per_angstrom, rmse_virial_mev_per_atom]) as rmse,
           unnest([spread_energy_mev_per_atom, spread_force_mev_per_angstrom, spread_virial_mev_per_atom]) as spread
    from recipe_errors
),
pairs as (
    select one.training_set_id, one.split, one.quantity, one.candidate, two.candidate as other,
           one.rmse, two.rmse as other_rmse, one.rmse - two.rmse as difference, one.n_seeds,
           two.n_seeds as other_n_seeds, one.n_seeds + two.n_seeds - 2 as freedom,
           one.is_known or two.is_known as is_known,
           if(least(one.n_seeds, two.n_seeds) > 1,
              [{", ".join(map(str, _T_95))}][least(freedom, {len(_T_95) + 1})::integer - 1]
              * sqrt(((one.n_seeds - 1) * one.spread ** 2 + (two.n_seeds - 1) * two.spread ** 2) / freedom
                     * (1 / one.n_seeds + 1 / two.n_seeds)), null) as noise
    from errors one
    join errors two
      on two.training_set_id = one.training_set_id and two.split = one.split and two.quantity = one.quantity
     and two.candidate <> one.candidate
    where one.rmse is not null and two.rmse is not null
)
select training_set_id, split, quantity, candidate, other, rmse, other_rmse, difference, n_seeds, other_n_seeds, noise,
       case when is_known then 'trained on test frames'
            when noise is null then 'one seed: noise unknown'
            when abs(difference) <= noise then 'within seed noise'
            when difference < 0 then 'smaller' else 'larger' end as verdict
from pairs
order by training_set_id, split, quantity, rmse, candidate, other_rmse
""",
)

POTENTIAL_CHOICE = View(
    "potential_choice",
    "What to choose a potential by: mean errors over seeds on the test split and on held-out compositions, agreement "
    "of its simulations with AIMD, speed, the rank in each, and whether another candidate of the training set is at "
    "least as good in all of energy, force, virial, agreement and speed and better in one. What is known of one of two "
    "only, was timed on other hardware or another size, or simulated at other compositions, lets neither dominate; a "
    "candidate whose weights know test frames (n_test_frames_known) dominates none and has no rank in errors.",
    """
with judged as (
    select training_set_id, candidate, recipe, n_steps, n_seeds, potential_ids,
           rmse_energy_mev_per_atom as energy, rmse_force_mev_per_angstrom as force,
           rmse_virial_mev_per_atom as virial, spread_energy_mev_per_atom, spread_force_mev_per_angstrom,
           spread_virial_mev_per_atom, n_test_frames_known
    from recipe_errors where split = 'test'
),
members as (select training_set_id, candidate, unnest(potential_ids) as potential_id from judged),
curves as (
    select training_set_id, candidate, count(*) as n_curves,
           list_sort(list(distinct composition)) as simulated_compositions,
           count(*) filter (verdict in ('indistinguishable', 'good')) as n_curves_agree, median(z) as median_z
    from members join curve_agreement using (potential_id)
    where verdict <> 'undecided' group by training_set_id, candidate
),
timed as (
    select training_set_id, candidate, arg_max(struct_pack(ns_per_day, n_atoms, hardware), (
        protocol = 'performance', n_atoms, ns_per_day)) as timing
    from members join performance using (potential_id)
    where outcome = 'finished' and ns_per_day is not null group by training_set_id, candidate
),
typical as (
    select training_set_id, candidate, arg_min(potential_id, (abs(rmse_force_mev_per_angstrom - force), potential_id))
        as potential_id
    from members join judged using (training_set_id, candidate) join rmse using (potential_id)
    where composition = 'all' and split = 'test' group by training_set_id, candidate
),
known as (
    select judged.*, n_curves, n_curves_agree, simulated_compositions, median_z,
           timing.ns_per_day as ns_per_day, timing.n_atoms as n_atoms, timing.hardware as hardware, typical.potential_id
    from judged
    left join curves using (training_set_id, candidate)
    left join timed using (training_set_id, candidate)
    left join typical using (training_set_id, candidate)
),
pairs as (
    select one.training_set_id, one.candidate, two.candidate as other,
           [two.energy - one.energy, two.force - one.force, two.virial - one.virial,
            two.median_z - one.median_z, one.ns_per_day - two.ns_per_day] as excess,
           two.n_test_frames_known = 0
           and (one.virial is null) = (two.virial is null) and (one.median_z is null) = (two.median_z is null)
           and one.simulated_compositions is not distinct from two.simulated_compositions
           and (one.ns_per_day is null) = (two.ns_per_day is null)
           and (one.ns_per_day is null or (one.hardware, one.n_atoms) is not distinct from (two.hardware, two.n_atoms))
               as is_comparable
    from known one join known two on two.training_set_id = one.training_set_id and two.candidate <> one.candidate
),
dominated as (
    select training_set_id, candidate, list(other order by other) as dominated_by
    from pairs where is_comparable and list_max(excess) <= 0 and list_min(excess) < 0
    group by training_set_id, candidate
),
alike as (
    select training_set_id, candidate, list(other order by other) as within_noise_of
    from (
        select training_set_id, candidate, other, bool_and(verdict = 'within seed noise') as is_alike
        from recipe_comparison where split = 'test' group by training_set_id, candidate, other
    ) where is_alike group by training_set_id, candidate
),
held_out as (
    select training_set_id, candidate, rmse_energy_mev_per_atom as held_out_energy,
           rmse_force_mev_per_angstrom as held_out_force, rmse_virial_mev_per_atom as held_out_virial
    from recipe_errors where split = 'held_out'
)
select
    training_set_id, array_to_string(list_sort(training_sets.type_map), '-') as chemical_system,
    training_sets.synthetic, candidate, recipe, n_steps, n_seeds,
    if(n_seeds = 1, 'one seed: noise unknown', n_seeds || ' seeds') as noise,
    energy as rmse_energy_mev_per_atom, spread_energy_mev_per_atom,
    force as rmse_force_mev_per_angstrom, spread_force_mev_per_angstrom,
    virial as rmse_virial_mev_per_atom, spread_virial_mev_per_atom,
    held_out_energy as held_out_rmse_energy_mev_per_atom, held_out_force as held_out_rmse_force_mev_per_angstrom,
    held_out_virial as held_out_rmse_virial_mev_per_atom,
    n_curves, n_curves_agree, simulated_compositions, median_z, ns_per_day, n_atoms, hardware, n_test_frames_known,
    if(n_test_frames_known > 0 or energy is null, null, rank() over (
        partition by training_set_id, n_test_frames_known > 0 order by energy)) as rank_energy,
    if(n_test_frames_known > 0 or force is null, null, rank() over (
        partition by training_set_id, n_test_frames_known > 0 order by force)) as rank_force,
    if(n_test_frames_known > 0 or virial is null, null, rank() over (
        partition by training_set_id, n_test_frames_known > 0 order by virial)) as rank_virial,
    if(n_test_frames_known > 0 or held_out_force is null, null, rank() over (
        partition by training_set_id, n_test_frames_known > 0 order by held_out_force)) as rank_held_out_force,
    if(median_z is null, null, rank() over (
        partition by training_set_id, simulated_compositions order by median_z)) as rank_agreement,
    if(ns_per_day is null, null, rank() over (
        partition by training_set_id, hardware, n_atoms order by ns_per_day desc)) as rank_speed,
    dominated_by is null and n_test_frames_known = 0 as pareto_optimal, coalesce(dominated_by, []) as dominated_by,
    coalesce(within_noise_of, []) as within_noise_of,
    list_concat(if(median_z is null, ['agreement'], []), if(ns_per_day is null, ['speed'], [])) as not_measured,
    potential_id as typical_potential_id
from known
left join training_sets using (training_set_id)
left join dominated using (training_set_id, candidate)
left join alike using (training_set_id, candidate)
left join held_out using (training_set_id, candidate)
order by training_sets.created_at desc nulls last, training_set_id, pareto_optimal desc,
         median_z nulls last, coalesce(held_out_force, force), candidate
""",
)
