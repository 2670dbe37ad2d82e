"""Compositions: their elements, distances between them, their place on the ternary map."""

from schemas.views.description import View

COMPOSITION_ELEMENTS = View(
    "composition_elements",
    "At.% of each element of every composition that the lake knows, read from the composition's label.",
    r"""
with known as (
    select composition from runs
    union select composition from rmse where composition <> 'all'
    union select unnest(compositions) from training_sets
    union select unnest(held_out) from training_sets
)
select
    composition,
    unnest(regexp_extract_all(composition, '([A-Z][a-z]?)([0-9.]+)', 1)) as element,
    unnest(regexp_extract_all(composition, '([A-Z][a-z]?)([0-9.]+)', 2))::double as at_percent
from known
""",
)

COMPOSITION_DISTANCES = View(
    "composition_distances",
    "Distance between every two compositions: half-L1, the share of atoms (at.%) to swap to turn one into the other.",
    """
with totals as (
    select composition, sum(at_percent) as total from composition_elements group by composition
),
intersections as (
    select one.composition, two.composition as other, sum(least(one.at_percent, two.at_percent)) as shared
    from composition_elements one join composition_elements two on one.element = two.element
    group by one.composition, two.composition
)
select
    one.composition,
    two.composition as other,
    0.5 * (one.total + two.total) - coalesce(intersections.shared, 0) as half_l1_at_percent
from totals one
cross join totals two
left join intersections on intersections.composition = one.composition and intersections.other = two.composition
""",
)

COMPOSITION_PLACES = View(
    "composition_places",
    "Place of every composition with a run in the triangle of each chemical system that it is part of: first element "
    "(of `corners`) lower left, second lower right, third on top; on a line for two elements. Null for four and more.",
    """
with systems as (
    select distinct chemical_system as map_system, synthetic, string_split(chemical_system, '-') as elements
    from runs where len(string_split(chemical_system, '-')) <= 3
    union
    select distinct array_to_string(list_sort(type_map), '-'), synthetic, list_sort(type_map) from training_sets
),
largest as (
    select small.* from systems small
    where not exists (
        select 1 from systems large
        where large.synthetic = small.synthetic and len(large.elements) > len(small.elements)
          and list_has_all(large.elements, small.elements)
    )
),
melts as (select distinct composition, chemical_system, synthetic from runs),
placed as (
    select melts.*, coalesce(largest.map_system, melts.chemical_system) as map_system,
           coalesce(largest.elements, string_split(melts.chemical_system, '-')) as corners
    from melts left join largest
      on largest.synthetic = melts.synthetic
     and list_has_all(largest.elements, string_split(melts.chemical_system, '-'))
),
shares as (
    select placed.map_system, placed.composition, placed.synthetic,
           coalesce(sum(at_percent) filter (where element = corners[2]), 0) / sum(at_percent) as second,
           coalesce(sum(at_percent) filter (where element = corners[3]), 0) / sum(at_percent) as third
    from placed join composition_elements using (composition)
    group by placed.map_system, placed.composition, placed.synthetic
)
select
    placed.map_system, placed.composition, placed.synthetic, placed.corners,
    if(len(corners) <= 3, second + 0.5 * third, null) as ternary_x,
    if(len(corners) <= 3, 0.5 * sqrt(3) * third, null) as ternary_y
from placed join shares using (map_system, composition, synthetic)
""",
)

TRAINING_SET_PLACES = View(
    "training_set_places",
    "Order of training sets by when they were asked for last (place): the largest is that of today.",
    """
with requests as (
    select training_set_id, max((lake_version, created_at)) as last_asked
    from training_set_requests group by training_set_id
)
select training_set_id, (coalesce(last_asked, (lake_version, created_at)), training_set_id) as place
from training_sets left join requests using (training_set_id)
order by place
""",
)

COMPOSITION_MAP = View(
    "composition_map",
    "AIMD frames and split role of every composition, with its place in the triangle of the chemical system it is part "
    "of: first element lower left, second lower right, third on top. The role is that in the training set that was "
    "asked for last; sets that leave one composition out of another set do not count.",
    """
with counted as (
    select composition, synthetic, count(*) as n_runs,
           sum(n_frames)::bigint as n_frames, sum(n_accepted)::bigint as n_accepted
    from runs where origin = 'aimd' group by composition, synthetic
),
sets as (
    select training_set_id, place from training_set_places where training_set_id not in (
        select training_set_id from leave_one_out_sets where base_training_set_id is not null
    )
),
roles as (
    select runs.composition, runs.synthetic,
           arg_max(training_set_id, place) as training_set_id, arg_max(role, place) as split_role
    from (
        select distinct training_set_id, run_id, if(split = 'held_out', 'held_out', 'train') as role
        from training_set_frames
    ) uses
    join sets using (training_set_id)
    join runs using (run_id)
    group by runs.composition, runs.synthetic
)
select
    places.map_system, composition, synthetic, n_runs, n_frames, n_accepted,
    coalesce(split_role, 'unused') as split_role, training_set_id, ternary_x, ternary_y
from counted
join composition_places places using (composition, synthetic)
left join roles using (composition, synthetic)
order by map_system, synthetic, composition
""",
)
