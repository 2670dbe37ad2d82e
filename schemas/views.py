"""Views of the warehouse that answer the paper's questions, as DuckDB SQL with what each one tells.

A view may use the ones above it. Every view is valid over empty tables. Synthetic and real rows never meet in one row.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class View:
    """One view: its name, its query and what it tells."""

    name: str
    meaning: str
    sql: str


TRAINED_POTENTIALS = View(
    "trained_potentials",
    "Every potential with the chemical system of its training set and whether that contains synthetic frames.",
    """
select potentials.*, array_to_string(list_sort(training_sets.type_map), '-') as chemical_system,
       training_sets.synthetic, training_sets.lake_version
from potentials
left join training_sets on training_sets.training_set_id = potentials.training_set_id
""",
)

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

COMPOSITION_MAP = View(
    "composition_map",
    "AIMD frames and split role of every composition, with its place in the triangle of the chemical system it is part "
    "of: first element lower left, second lower right, third on top. The role is that in the newest training set.",
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
counted as (
    select composition, chemical_system, synthetic, count(*) as n_runs,
           sum(n_frames)::bigint as n_frames, sum(n_accepted)::bigint as n_accepted
    from runs where origin = 'aimd' group by composition, chemical_system, synthetic
),
roles as (
    select runs.composition, runs.synthetic,
           arg_max(training_set_id, (created_at, training_set_id)) as training_set_id,
           arg_max(role, (created_at, training_set_id)) as split_role
    from (
        select distinct training_set_id, run_id, if(split = 'held_out', 'held_out', 'train') as role
        from training_set_frames
    ) uses
    join training_sets using (training_set_id)
    join runs using (run_id)
    group by runs.composition, runs.synthetic
),
placed as (
    select counted.*, coalesce(largest.map_system, counted.chemical_system) as map_system,
           coalesce(largest.elements, string_split(counted.chemical_system, '-')) as corners
    from counted left join largest
      on largest.synthetic = counted.synthetic
     and list_has_all(largest.elements, string_split(counted.chemical_system, '-'))
),
shares as (
    select placed.map_system, placed.composition, placed.synthetic,
           coalesce(sum(at_percent) filter (where element = corners[2]), 0) / sum(at_percent) as second,
           coalesce(sum(at_percent) filter (where element = corners[3]), 0) / sum(at_percent) as third
    from placed join composition_elements using (composition)
    group by placed.map_system, placed.composition, placed.synthetic
)
select
    placed.map_system, placed.composition, placed.synthetic, n_runs, n_frames, n_accepted,
    coalesce(split_role, 'unused') as split_role, training_set_id,
    if(len(corners) <= 3, second + 0.5 * third, null) as ternary_x,
    if(len(corners) <= 3, 0.5 * sqrt(3) * third, null) as ternary_y
from placed
join shares using (map_system, composition, synthetic)
left join roles using (composition, synthetic)
order by map_system, synthetic, composition
""",
)

TABLE_1 = View(
    "table_1",
    "Table 1: what the paper prints for each recipe beside ours, the median over seeds of the RMSE pooled over the "
    "test split, per training set and number of steps. The speed is that of the largest timed simulation.",
    """
with trained as (
    select potentials.recipe, potentials.training_set_id, potentials.n_steps,
           count(distinct potentials.seed) as n_seeds,
           median(rmse_energy_mev_per_atom) as rmse_energy_mev_per_atom,
           median(rmse_force_mev_per_angstrom) as rmse_force_mev_per_angstrom,
           median(rmse_virial_mev_per_atom) as rmse_virial_mev_per_atom,
           max(rmse_force_mev_per_angstrom) - min(rmse_force_mev_per_angstrom) as seed_range_force_mev_per_angstrom
    from potentials left join rmse
      on rmse.potential_id = potentials.potential_id and rmse.composition = 'all' and rmse.split = 'test'
    group by potentials.recipe, potentials.training_set_id, potentials.n_steps
),
timed as (
    select potentials.recipe, potentials.training_set_id, potentials.n_steps, performance.ns_per_day,
           performance.n_atoms, performance.hardware,
           row_number() over (
               partition by potentials.recipe, potentials.training_set_id, potentials.n_steps
               order by performance.protocol = 'performance' desc, performance.n_atoms desc,
                        performance.ns_per_day desc, performance.run_id
           ) as place
    from performance join potentials on potentials.potential_id = performance.potential_id
    where performance.outcome = 'finished'
)
select
    recipe, embedding_net, axis_neuron, fitting_net, r_smooth_angstrom, r_cut_angstrom, start_pref_virial,
    paper_rmse_energy_mev_per_atom, trained.rmse_energy_mev_per_atom,
    paper_rmse_force_mev_per_angstrom, trained.rmse_force_mev_per_angstrom,
    trained.seed_range_force_mev_per_angstrom,
    paper_rmse_virial_mev_per_atom, trained.rmse_virial_mev_per_atom,
    paper_ns_per_day, timed.ns_per_day, timed.n_atoms, timed.hardware,
    trained.n_seeds, trained.n_steps, trained.training_set_id,
    array_to_string(list_sort(training_sets.type_map), '-') as chemical_system, training_sets.synthetic
from recipes
full join trained using (recipe)
left join training_sets on training_sets.training_set_id = trained.training_set_id
left join timed
  on timed.recipe = trained.recipe and timed.training_set_id = trained.training_set_id
 and timed.n_steps = trained.n_steps and timed.place = 1
order by try_cast(nullif(regexp_extract(recipe, '^DP-([0-9]+)$', 1), '') as integer) nulls last,
         recipe, trained.training_set_id, trained.n_steps
""",
)

PARITY_PLOT = View(
    "parity_plot",
    "Sampled predictions beside their reference: energy (eV/atom), force (eV/angstrom), virial (eV/atom), by split.",
    """
select
    potential_id, recipe, seed, training_set_id, chemical_system, synthetic,
    quantity, composition, split, dft, dnnp, dnnp - dft as error
from parity
join trained_potentials using (potential_id)
""",
)

RUN_PAIRS = View(
    "run_pairs",
    "Which AIMD run a simulation is compared with: its parent where that has the same composition, else every AIMD run "
    "of the composition; within 50 K of set temperature or, where one is not set, 5 percent of the mean. A temperature "
    "that nobody knows pairs only with the parent. A run without a partner stands alone.",
    """
with known as (
    select runs.*, temperature_target_k as set_k, temperature_k as mean_k, coalesce(set_k, mean_k) as known_k
    from runs left join thermodynamics using (run_id)
),
aimd as (select * from known where origin = 'aimd'),
simulated as (
    select known.*, potentials.recipe, parent.run_id as twin_of
    from known left join aimd parent
      on parent.run_id = known.parent_run_id and parent.composition = known.composition
    left join potentials on potentials.potential_id = known.potential_id
    where known.origin = 'dnnp'
),
pairs as (
    select aimd.run_id as aimd_run_id, simulated.run_id as dnnp_run_id
    from simulated join aimd using (composition, synthetic)
    where aimd.run_id = coalesce(twin_of, aimd.run_id) and case
        when simulated.set_k + aimd.set_k is not null then abs(simulated.set_k - aimd.set_k) <= 50
        when simulated.protocol = 'twin' and twin_of is not null then true
        else coalesce(abs(simulated.mean_k - aimd.mean_k) <= 0.05 * aimd.mean_k, twin_of is not null) end
)
select aimd.composition, aimd.chemical_system, aimd.synthetic, aimd.run_id as aimd_run_id,
       simulated.run_id as dnnp_run_id, simulated.potential_id, simulated.recipe, simulated.protocol,
       aimd.known_k as aimd_temperature_k, simulated.known_k as dnnp_temperature_k
from aimd
left join (pairs join simulated on simulated.run_id = dnnp_run_id) on aimd_run_id = aimd.run_id
union all
select composition, chemical_system, synthetic, null, run_id, potential_id, recipe, protocol, null, known_k
from simulated where run_id not in (select dnnp_run_id from pairs)
""",
)


def _curve_comparison(table: str, label: str, abscissa: str, value: str) -> str:
    # Bin centres come out of floating-point arithmetic: they are matched to a ten-thousandth.
    return f"""
with aimd as (select *, round({abscissa}, 4) as place from {table}),
dnnp as (select *, round({abscissa}, 4) as place from {table})
select
    run_pairs.composition, run_pairs.chemical_system, run_pairs.synthetic, aimd_run_id, dnnp_run_id, potential_id,
    recipe, protocol, aimd_temperature_k, dnnp_temperature_k, aimd.{label}, aimd.{abscissa},
    aimd.{value} as {value}_aimd, aimd.{value}_error as {value}_error_aimd,
    dnnp.{value} as {value}_dnnp, dnnp.{value}_error as {value}_error_dnnp
from run_pairs
join aimd on aimd.run_id = aimd_run_id
left join dnnp on dnnp.run_id = dnnp_run_id and dnnp.{label} = aimd.{label} and dnnp.place = aimd.place
union all
select
    run_pairs.composition, run_pairs.chemical_system, run_pairs.synthetic, aimd_run_id, dnnp_run_id, potential_id,
    recipe, protocol, aimd_temperature_k, dnnp_temperature_k, dnnp.{label}, dnnp.{abscissa},
    null, null, dnnp.{value}, dnnp.{value}_error
from run_pairs
join dnnp on dnnp.run_id = dnnp_run_id
where aimd_run_id is null
"""


RDF_COMPARISON = View(
    "rdf_comparison",
    "Partial radial distribution functions of an AIMD run beside each simulation of the same composition; null where "
    "one of the two is missing.",
    _curve_comparison("rdf", "pair", "r_angstrom", "g"),
)

VACF_COMPARISON = View(
    "vacf_comparison",
    "Normalised velocity autocorrelation of an AIMD run beside each simulation of the same composition; null where one "
    "of the two is missing.",
    _curve_comparison("vacf", "element", "lag_fs", "vacf"),
)

DENSITY_VS_EXPERIMENT = View(
    "density_vs_experiment",
    "Density of every run beside its AIMD partner and the preferred measurement at the run's temperature, only inside "
    "that measurement's range of validity. A density is predicted at constant pressure and imposed otherwise.",
    """
with partners as (
    select dnnp_run_id as run_id, min(aimd_run_id) as aimd_run_id
    from run_pairs where dnnp_run_id is not null group by dnnp_run_id
),
measured as (
    select * from experiments where quantity = 'density_g_per_cm3' and preferred
)
select
    runs.composition, runs.chemical_system, runs.synthetic, runs.run_id, runs.origin, runs.potential_id,
    potentials.recipe, runs.protocol, if(runs.ensemble = 'npt', 'predicted', 'imposed') as density_is,
    own.temperature_k, own.pressure_gpa, own.pressure_error_gpa,
    own.density_g_per_cm3, own.density_error_g_per_cm3,
    aimd.run_id as aimd_run_id, aimd.density_g_per_cm3 as aimd_density_g_per_cm3,
    100 * (own.density_g_per_cm3 / aimd.density_g_per_cm3 - 1) as deviation_from_aimd_percent,
    measured.value + coalesce(measured.slope_per_k, 0) * (own.temperature_k - measured.temperature_k)
        as experiment_density_g_per_cm3,
    measured.uncertainty as experiment_uncertainty_g_per_cm3,
    100 * (own.density_g_per_cm3 / experiment_density_g_per_cm3 - 1) as deviation_from_experiment_percent,
    measured.temperature_min_k as experiment_temperature_min_k,
    measured.temperature_max_k as experiment_temperature_max_k,
    measured.citation, measured.note as experiment_note
from thermodynamics own
join runs using (run_id)
left join potentials on potentials.potential_id = runs.potential_id
left join partners on partners.run_id = own.run_id
left join thermodynamics aimd on aimd.run_id = partners.aimd_run_id
left join measured
  on measured.element_or_alloy = runs.composition
 and own.temperature_k between measured.temperature_min_k and measured.temperature_max_k
order by runs.composition, runs.origin, own.temperature_k, runs.run_id
""",
)

TRANSFERABILITY = View(
    "transferability",
    "Error of a potential on each composition against the distance (half-L1, at.%) to the nearest composition that it "
    "trained on, and the largest z of its simulations' curves there that have a verdict.",
    """
with asked as (
    select rmse.*, recipe, seed, training_set_id, chemical_system, synthetic
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
    select potential_id, composition, max(z) filter (verdict <> 'undecided') as largest_z from agreement group by all
)
select
    asked.potential_id, asked.recipe, asked.seed, asked.training_set_id, asked.chemical_system, asked.synthetic,
    asked.composition, asked.split, asked.n_frames, nearest.distance_at_percent, nearest.nearest_composition,
    asked.rmse_energy_mev_per_atom, asked.rmse_force_mev_per_angstrom, asked.rmse_virial_mev_per_atom,
    curves.largest_z
from asked
left join nearest on nearest.training_set_id = asked.training_set_id and nearest.composition = asked.composition
left join curves on curves.potential_id = asked.potential_id and curves.composition = asked.composition
order by asked.potential_id, nearest.distance_at_percent, asked.composition, asked.split
""",
)

_OF_RUNS = ("rdf", "vacf", "thermodynamics", "short_range_order", "agreement")
_OF_POTENTIALS = ("learning_curves", "rmse", "parity")

LINEAGE = View(
    "lineage",
    "From the rows of an observable back to raw files: the run or potential they belong to, the training set, and "
    "every run behind it with its file and checksum. A run that was only timed left no file of its own.",
    f"""
with of_runs as (
    {" union ".join(f"select '{table}' as observable, run_id from {table}" for table in _OF_RUNS)}
),
of_potentials as (
    {" union ".join(f"select '{table}' as observable, potential_id from {table}" for table in _OF_POTENTIALS)}
),
roots as (
    select observable, run_id, runs.potential_id from of_runs left join runs using (run_id)
    union all
    select 'performance', run_id, potential_id from performance
    union all
    select observable, null, potential_id from of_potentials
),
taught as (
    select training_set_id, run_id, if(bool_and(split = 'held_out'), 'held_out', 'trained_on') as role
    from training_set_frames group by training_set_id, run_id
),
sources as (
    select observable, run_id, potential_id, 'measured_on' as role, run_id as source_run_id
    from roots where run_id is not null and (observable <> 'performance' or run_id in (select run_id from runs))
    union all
    select observable, roots.run_id, roots.potential_id, 'started_from', runs.parent_run_id
    from roots join runs on runs.run_id = roots.run_id where runs.parent_run_id is not null
    union all
    select distinct 'agreement', run_id, potential_id, 'compared_with', aimd_run_id from agreement
    union all
    select observable, roots.run_id, roots.potential_id, taught.role, taught.run_id
    from roots
    join potentials on potentials.potential_id = roots.potential_id
    join taught on taught.training_set_id = potentials.training_set_id
)
select
    sources.observable, sources.run_id, sources.potential_id, trained_potentials.recipe,
    trained_potentials.training_set_id, trained_potentials.lake_version,
    sources.role, sources.source_run_id, runs.origin as source_origin, runs.composition as source_composition,
    runs.source_uri, runs.source_sha256, runs.synthetic
from sources
left join runs on runs.run_id = sources.source_run_id
left join trained_potentials on trained_potentials.potential_id = sources.potential_id
""",
)

VIEWS: tuple[View, ...] = (
    TRAINED_POTENTIALS,
    COMPOSITION_ELEMENTS,
    COMPOSITION_DISTANCES,
    COMPOSITION_MAP,
    TABLE_1,
    PARITY_PLOT,
    RUN_PAIRS,
    RDF_COMPARISON,
    VACF_COMPARISON,
    DENSITY_VS_EXPERIMENT,
    TRANSFERABILITY,
    LINEAGE,
)
"""In the order in which they can be created."""
