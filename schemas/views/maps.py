"""Properties over the composition space: points of a triangle, each with its role, its run and its temperature."""

from schemas.pairing import AMBIENT_GPA
from schemas.views.description import View

MAP_POINTS = View(
    "map_points",
    "Properties of melts over the composition space, one row per composition, quantity, species and origin: density "
    "(of simulations at ambient pressure; of AIMD cells as they are), diffusion in the cell as it is and corrected for "
    "its size, Warren-Cowley, and for the newest potential of the chemical system that leaves no composition out: "
    "committee deviation (mean over frames that were not trained on and frames of simulations, of the largest of any "
    "atom), coverage, and distance to the nearest composition trained on. Of several runs the newest potential's, then "
    "the longest.",
    f"""
with apart as (
    select training_set_id from leave_one_out_sets where base_training_set_id is not null
),
chosen as (
    select chemical_system as map_system, synthetic,
           arg_max(potential_id, (created_at, potential_id)) as potential_id
    from trained_potentials where training_set_id not in (from apart)
    group by chemical_system, synthetic
),
newest as (
    select chosen.map_system, chosen.synthetic, potentials.potential_id, potentials.training_set_id,
           potentials.r_cut_angstrom
    from chosen join potentials using (potential_id)
),
seen as (
    select runs.run_id, runs.composition, runs.synthetic, runs.origin, runs.ensemble, runs.potential_id,
           potentials.created_at as trained_at, thermodynamics.n_averaged, thermodynamics.temperature_k
    from runs
    left join performance on performance.run_id = runs.run_id
    left join potentials on potentials.potential_id = runs.potential_id
    left join thermodynamics on thermodynamics.run_id = runs.run_id
    where if(runs.origin = 'aimd', runs.n_accepted > 0, coalesce(performance.outcome, 'finished') = 'finished')
      and (runs.ensemble is distinct from 'npt' or abs(coalesce(runs.pressure_target_gpa, 0)) < {AMBIENT_GPA})
      and (potentials.training_set_id is null or potentials.training_set_id not in (from apart))
),
measured as (
    select thermodynamics.run_id, 'density_g_per_cm3' as quantity, 'all' as species,
           density_g_per_cm3 as value, density_error_g_per_cm3 as error
    from thermodynamics join seen using (run_id) where origin = 'aimd' or ensemble = 'npt'
    union all
    select run_id, unnest(['diffusion_angstrom2_per_ps', 'diffusion_infinite_cell_angstrom2_per_ps']), element,
           unnest([diffusion_angstrom2_per_ps, diffusion_infinite_cell_angstrom2_per_ps]),
           unnest([diffusion_error_angstrom2_per_ps, diffusion_infinite_cell_error_angstrom2_per_ps])
    from transport
    union all
    select run_id, 'warren_cowley', pair, warren_cowley, warren_cowley_error
    from short_range_order where split_part(pair, '-', 1) < split_part(pair, '-', 2)
),
of_runs as (
    select seen.composition, seen.synthetic, quantity, species, value, error, origin, temperature_k,
           seen.potential_id, seen.run_id
    from measured join seen using (run_id)
    where value is not null
    qualify row_number() over (
        partition by seen.composition, seen.synthetic, quantity, species, origin
        order by trained_at desc nulls last, n_averaged desc nulls last, seen.run_id
    ) = 1
),
members as (
    select newest.*, alike.committee_id, alike.potential_ids
    from newest
    join (select distinct committee_id, potential_ids, unnest(potential_ids) as potential_id from committees) alike
      using (potential_id)
),
judged as (
    select map_system, synthetic, potential_id, composition, avg(max_deviation_force_mev_per_angstrom) as value
    from (
        select members.*, frames.composition, max_deviation_force_mev_per_angstrom
        from members join committee_frames frames using (committee_id) where frames.split <> 'train'
        union all
        select members.*, sampled.composition, sampled.max_deviation_force_mev_per_angstrom
        from model_deviations sampled
        join performance on performance.run_id = sampled.run_id and performance.outcome = 'finished'
        join members on list_contains(members.potential_ids, performance.potential_id)
    )
    group by all
),
covered as (
    select newest.*, coverage.composition,
           arg_min(coverage_frac, list_position(['held_out', 'test', 'unused', 'train'], split)) as value
    from newest join coverage on coverage.training_set_id = newest.training_set_id
     and coverage.r_cut_angstrom = newest.r_cut_angstrom
    group by all
),
apart_from as (
    select newest.*, places.composition, min(half_l1_at_percent) as value
    from newest
    join composition_places places on places.map_system = newest.map_system and places.synthetic = newest.synthetic
    join (select training_set_id, unnest(compositions) as other from training_sets) taught
      on taught.training_set_id = newest.training_set_id
    join composition_distances distances
      on distances.composition = places.composition and distances.other = taught.other
    group by all
),
of_potentials as (
    select map_system, synthetic, composition, potential_id, value, 'max_deviation_force_mev_per_angstrom' as quantity
    from judged
    union all select map_system, synthetic, composition, potential_id, value, 'coverage_frac' from covered
    union all select map_system, synthetic, composition, potential_id, value, 'distance_at_percent' from apart_from
),
points as (
    select null as map_system, composition, synthetic, quantity, species, value, error, origin, temperature_k,
           potential_id, run_id
    from of_runs
    union all
    select map_system, composition, synthetic, quantity, 'all', value, null, 'dnnp', null, potential_id, null
    from of_potentials
)
select
    places.map_system, places.synthetic, places.composition, places.ternary_x, places.ternary_y,
    coalesce(composition_map.split_role, 'unused') as split_role,
    points.quantity, points.species, points.value, points.error, points.origin, points.temperature_k,
    points.potential_id, points.run_id
from points
join composition_places places
  on places.composition = points.composition and places.synthetic = points.synthetic
 and places.map_system = coalesce(points.map_system, places.map_system)
left join composition_map on composition_map.map_system = places.map_system
 and composition_map.composition = places.composition and composition_map.synthetic = places.synthetic
order by places.map_system, places.synthetic, quantity, species, origin, places.composition
""",
)
