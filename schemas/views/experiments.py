"""What was measured, at the temperatures of the runs. Whose fault a deviation is belongs in `attribution`.

Measurements speak inside their range only. A number that cannot be had without extrapolation is null with a reason.
"""

from schemas.pairing import allowed_difference_sql
from schemas.views.description import View

LARGEST_GAP_K = 200.0
"""Between measured points; over so much a density or a viscosity is straight to a tenth of what it is measured to."""
LARGEST_GAP_ANGSTROM = 0.25
"""Between digitised points of g(r), whose first peak is about half an angstrom wide."""

_MELTS = f"""
melts as (
    select run_id, runs.composition, runs.chemical_system, averages.temperature_k as run_k,
           {allowed_difference_sql("averages.temperature_k", n_atoms="runs.n_atoms")} as allowed_k
    from runs join thermodynamics averages using (run_id) where averages.temperature_k is not null
)"""

EXPERIMENTS_AT_RUNS = View(
    "experiments_at_runs",
    "Each run beside each quantity that was measured of its melt, at the run's mean temperature: a correlation inside "
    f"its range, points of one source at most {LARGEST_GAP_K:.0f} K apart by straight lines, or a point as near as "
    "runs that are compared with each other. Elsewhere the value is null and why says so. Of several sources the "
    "preferred one, added ones before those that come with meltlake, and a point nearby last. Verdicts rest on "
    "those that are to_judge_by.",
    f"""
with {_MELTS},
asked as (
    select run_id, run_k, allowed_k, experiments.*, slope_per_k is not null or activation_k is not null as is_line
    from melts join experiments on element_or_alloy = melts.composition
),
lines as (
    select run_id, run_k, element_or_alloy, quantity, element, source_id, source, citation, note, preferred,
           added_from is not null as added, coverage_factor, temperature_min_k, temperature_max_k,
           if(run_k between temperature_min_k and temperature_max_k, 'correlation', null) as taken_as,
           if(activation_k is null, value + slope_per_k * (run_k - temperature_k),
              value * exp(activation_k * (1 / run_k - 1 / temperature_k))) as at_run,
           uncertainty / value * at_run as uncertainty_at_run
    from asked where is_line
),
neighbours as (
    select run_id, run_k, allowed_k, element_or_alloy, quantity, element, source_id,
           any_value(source) as source, any_value(citation) as citation, any_value(note) as note,
           preferred, bool_or(added_from is not null) as added, coverage_factor,
           min(temperature_k) as temperature_min_k, max(temperature_k) as temperature_max_k,
           arg_max(struct_pack(k := temperature_k, y := value, u := uncertainty), temperature_k)
               filter (temperature_k <= run_k) as below,
           arg_min(struct_pack(k := temperature_k, y := value, u := uncertainty), temperature_k)
               filter (temperature_k >= run_k) as above
    from asked where not is_line
    group by run_id, run_k, allowed_k, element_or_alloy, quantity, element, source_id, preferred, coverage_factor
),
near as (
    select *, if(above is null or run_k - below.k <= above.k - run_k, below, above) as nearest from neighbours
),
points as (
    select *, (run_k - below.k) / nullif(above.k - below.k, 0) as share,
           case when above.k = below.k then 'point'
                when above.k - below.k <= {LARGEST_GAP_K} then 'interpolated'
                when abs(nearest.k - run_k) <= allowed_k then 'nearest point' end as taken_as
    from near
),
every as (
    select * from lines
    union all
    select run_id, run_k, element_or_alloy, quantity, element, source_id, source, citation, note, preferred, added,
           coverage_factor, temperature_min_k, temperature_max_k, taken_as,
           if(taken_as = 'interpolated', below.y + share * (above.y - below.y), nearest.y),
           if(taken_as = 'interpolated', if(below.u + above.u is null, null, greatest(below.u, above.u)), nearest.u)
    from points
)
select
    run_id, element_or_alloy as composition, quantity, element, run_k as temperature_k,
    if(taken_as is null, null, at_run) as value, if(taken_as is null, null, uncertainty_at_run) as uncertainty,
    if(taken_as is null, null, uncertainty_at_run / coverage_factor) as standard_uncertainty,
    taken_as, taken_as is not null and preferred and uncertainty_at_run is not null as to_judge_by,
    case when taken_as is null
         then format('measured from {{:g}} to {{:g}} K, the run has {{:g}} K',
                     temperature_min_k, temperature_max_k, run_k)
         when not preferred then 'shown, not to judge by: ' || coalesce(note, 'as its source was marked')
         when uncertainty_at_run is null then 'the source states no uncertainty' end as why,
    source_id, source, citation, note, added, temperature_min_k, temperature_max_k
from every
qualify row_number() over (
    partition by run_id, quantity, element
    order by preferred desc, taken_as is null, taken_as = 'nearest point', added desc,
             uncertainty_at_run is null, uncertainty_at_run / at_run, source_id) = 1
order by run_id, quantity, element
""",
)

EXPERIMENTAL_RDF_AT_RUNS = View(
    "experimental_rdf_at_runs",
    "Each run's radial distribution function beside the one that was measured nearest to its temperature, as near as "
    f"runs that are compared with each other; between digitised points at most {LARGEST_GAP_ANGSTROM} angstrom apart "
    "by straight lines. The total of one element is its only pair.",
    f"""
with {_MELTS},
measured as (
    select *, r_angstrom as from_r, lead(r_angstrom) over one as until_r, lead(g) over one as next_g,
           lead(uncertainty) over one as next_uncertainty
    from experimental_rdf
    window one as (partition by element_or_alloy, pair, temperature_k, source_id order by r_angstrom)
),
chosen as (
    select run_id, chemical_system, curve.element_or_alloy, curve.pair, curve.temperature_k, curve.source_id
    from melts
    join (select distinct element_or_alloy, pair, temperature_k, source_id from experimental_rdf) curve
      on curve.element_or_alloy = melts.composition and abs(curve.temperature_k - run_k) <= allowed_k
    qualify row_number() over (
        partition by run_id, curve.pair order by abs(curve.temperature_k - run_k), source_id) = 1
),
placed as (
    select rdf.run_id, rdf.composition, rdf.pair, rdf.r_angstrom, rdf.g, rdf.g_error,
           measured.g + (rdf.r_angstrom - from_r) / (until_r - from_r) * (next_g - measured.g) as g_experiment,
           (uncertainty + (rdf.r_angstrom - from_r) / (until_r - from_r) * (next_uncertainty - uncertainty))
               / coverage_factor as g_error_experiment,
           measured.temperature_k as experiment_temperature_k, measured.source, measured.citation
    from rdf
    join chosen on chosen.run_id = rdf.run_id
     and (chosen.pair = rdf.pair or chosen.pair = 'all' and not contains(chosen.chemical_system, '-'))
    join measured on measured.element_or_alloy = chosen.element_or_alloy and measured.pair = chosen.pair
     and measured.temperature_k = chosen.temperature_k and measured.source_id = chosen.source_id
     and rdf.r_angstrom >= from_r and rdf.r_angstrom < until_r and until_r - from_r <= {LARGEST_GAP_ANGSTROM}
)
select * from placed order by run_id, pair, r_angstrom
""",
)

RDF_VS_EXPERIMENT = View(
    "rdf_vs_experiment",
    "How far each run's radial distribution function is from the measured one: L1 and Wright's R in percent over the "
    "distances that were digitised, and in the same measures what the standard uncertainty of the measurement is worth "
    "where its source states one.",
    """
select
    runs.composition, runs.chemical_system, runs.synthetic, run_id, runs.origin, runs.potential_id, recipe,
    runs.protocol, pair, count(*) as n_places, min(r_angstrom) as from_angstrom, max(r_angstrom) as until_angstrom,
    100 * sum(abs(g - g_experiment)) / sum(abs(g_experiment)) as l1_percent,
    100 * sqrt(sum((g - g_experiment) ** 2) / sum(g_experiment ** 2)) as wright_percent,
    if(count(g_error_experiment) = count(*), 100 * sum(g_error_experiment) / sum(abs(g_experiment)), null)
        as experiment_l1_percent,
    if(count(g_error_experiment) = count(*), 100 * sqrt(sum(g_error_experiment ** 2) / sum(g_experiment ** 2)), null)
        as experiment_wright_percent,
    arg_max(r_angstrom, g) as first_peak_angstrom, arg_max(r_angstrom, g_experiment) as experiment_first_peak_angstrom,
    max(g) as peak_height, max(g_experiment) as experiment_peak_height,
    any_value(experiment_temperature_k) as experiment_temperature_k, any_value(source) as source,
    any_value(citation) as citation
from experimental_rdf_at_runs
join runs using (run_id)
left join potentials using (potential_id)
group by all
order by runs.composition, pair, runs.origin, run_id
""",
)

EXPERIMENT_LINES = View(
    "experiment_lines",
    "Every measurement as points to draw: correlations at 21 temperatures over their range, points as they are.",
    """
with places as (
    select *, slope_per_k is not null or activation_k is not null as is_line,
           unnest(if(is_line, list_transform(range(21), lambda place:
               temperature_min_k + place / 20 * (temperature_max_k - temperature_min_k)), [temperature_k])) as at_k
    from experiments
),
drawn as (
    select *, case when activation_k is not null then value * exp(activation_k * (1 / at_k - 1 / temperature_k))
                   else value + coalesce(slope_per_k, 0) * (at_k - temperature_k) end as at_place
    from places
)
select element_or_alloy, quantity, element, source_id, source, citation, preferred, added_from is not null as added,
       is_line, at_k as temperature_k, at_place as value, uncertainty / value * at_place as uncertainty
from drawn
order by element_or_alloy, quantity, element, preferred desc, source_id, at_k
""",
)

DENSITY_VS_EXPERIMENT = View(
    "density_vs_experiment",
    "Density of every run beside its AIMD partner and the measurement at the run's temperature, only inside that "
    "measurement's range of validity; elsewhere experiment_why says so. A density is predicted at constant pressure "
    "and imposed otherwise. `attribution` says whose the deviation is.",
    """
with partners as (
    select dnnp_run_id as run_id, aimd_run_id
    from run_pairs where dnnp_run_id is not null and aimd_run_id is not null and at_one_temperature
    qualify row_number() over (
        partition by dnnp_run_id order by abs(dnnp_temperature_k - aimd_temperature_k), aimd_run_id) = 1
),
measured as (select * from experiments_at_runs where quantity = 'density_g_per_cm3')
select
    runs.composition, runs.chemical_system, runs.synthetic, runs.run_id, runs.origin, runs.potential_id,
    potentials.recipe, runs.protocol, if(runs.ensemble = 'npt', 'predicted', 'imposed') as density_is,
    own.temperature_k, own.pressure_gpa, own.pressure_error_gpa,
    own.density_g_per_cm3, own.density_error_g_per_cm3,
    aimd.run_id as aimd_run_id, aimd.density_g_per_cm3 as aimd_density_g_per_cm3,
    100 * (own.density_g_per_cm3 / aimd.density_g_per_cm3 - 1) as deviation_from_aimd_percent,
    measured.value as experiment_density_g_per_cm3,
    measured.uncertainty as experiment_uncertainty_g_per_cm3,
    100 * (own.density_g_per_cm3 / measured.value - 1) as deviation_from_experiment_percent,
    measured.temperature_min_k as experiment_temperature_min_k,
    measured.temperature_max_k as experiment_temperature_max_k,
    measured.taken_as as experiment_taken_as, measured.to_judge_by as experiment_to_judge_by,
    measured.why as experiment_why, measured.source as experiment_source,
    if(measured.value is null, null, measured.citation) as citation,
    if(measured.value is null, null, measured.note) as experiment_note
from thermodynamics own
join runs on runs.run_id = own.run_id and not starts_with(coalesce(runs.outcome, ''), 'unphysical')
left join potentials on potentials.potential_id = runs.potential_id
left join partners on partners.run_id = own.run_id
left join thermodynamics aimd on aimd.run_id = partners.aimd_run_id
left join measured on measured.run_id = own.run_id
order by runs.composition, runs.origin, own.temperature_k, runs.run_id
""",
)
