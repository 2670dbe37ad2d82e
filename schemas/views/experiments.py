"""Radial distribution functions and densities of runs beside measured ones. Measured numbers are `measurements`'.

Whose fault a deviation is belongs in `attribution`.
"""

from schemas.views.description import View
from schemas.views.measurements import MELTS

LARGEST_GAP_ANGSTROM = 0.25
"""Between digitised points of g(r), whose first peak is about half an angstrom wide."""

EXPERIMENTAL_RDF_AT_RUNS = View(
    "experimental_rdf_at_runs",
    "Each run's radial distribution function beside the one that was measured nearest to its temperature, as near as "
    f"runs that are compared with each other; between digitised points at most {LARGEST_GAP_ANGSTROM} angstrom apart "
    "by straight lines. Of several sources one that states its uncertainty, then an added one. The total of one "
    "element is its only pair. Null with a reason where the run is at another pressure (`ambient_runs`).",
    f"""
with {MELTS},
measured as (
    select *, r_angstrom as from_r, lead(r_angstrom) over one as until_r, lead(g) over one as next_g,
           lead(uncertainty) over one as next_uncertainty
    from experimental_rdf
    window one as (partition by element_or_alloy, pair, temperature_k, source_id order by r_angstrom)
),
chosen as (
    select run_id, chemical_system, curve.element_or_alloy, curve.pair, curve.temperature_k, curve.source_id
    from melts
    join (
        select element_or_alloy, pair, temperature_k, source_id, bool_and(uncertainty is not null) as has_uncertainty,
               bool_or(added_from is not null) as added
        from experimental_rdf group by all
    ) curve on curve.element_or_alloy = melts.composition and abs(curve.temperature_k - run_k) <= allowed_k
    qualify row_number() over (
        partition by run_id, curve.pair
        order by abs(curve.temperature_k - run_k), has_uncertainty desc, added desc, source_id) = 1
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
select placed.* replace (
           if(elsewhere is null, g_experiment, null) as g_experiment,
           if(elsewhere is null and is_known, g_error_experiment, null) as g_error_experiment
       ),
       case when elsewhere is not null then elsewhere
            when g_error_experiment is null then 'the source states no uncertainty'
            when not is_known
            then 'the run has no stress, and nobody measured the density: it may have any pressure' end as why
from placed join ambient_runs using (run_id)
order by run_id, pair, r_angstrom
""",
)

RDF_VS_EXPERIMENT = View(
    "rdf_vs_experiment",
    "How far each run's radial distribution function is from the measured one: L1 and Wright's R in percent over the "
    "distances that were digitised, and in the same measures what the standard uncertainty of the measurement is "
    "worth. why tells where there is none of the two: at another pressure, or from a source without uncertainty.",
    """
select
    runs.composition, runs.chemical_system, runs.synthetic, run_id, runs.origin, runs.potential_id, recipe,
    runs.protocol, pair, count(g_experiment) as n_places, min(r_angstrom) as from_angstrom,
    max(r_angstrom) as until_angstrom,
    100 * sum(abs(g - g_experiment)) / sum(abs(g_experiment)) as l1_percent,
    100 * sqrt(sum((g - g_experiment) ** 2) / sum(g_experiment ** 2)) as wright_percent,
    if(count(g_error_experiment) = count(*), 100 * sum(g_error_experiment) / sum(abs(g_experiment)), null)
        as experiment_l1_percent,
    if(count(g_error_experiment) = count(*), 100 * sqrt(sum(g_error_experiment ** 2) / sum(g_experiment ** 2)), null)
        as experiment_wright_percent,
    arg_max(r_angstrom, g) as first_peak_angstrom, arg_max(r_angstrom, g_experiment) as experiment_first_peak_angstrom,
    max(g) as peak_height, max(g_experiment) as experiment_peak_height,
    any_value(experiment_temperature_k) as experiment_temperature_k, any_value(source) as source,
    any_value(citation) as citation, any_value(why) as why
from experimental_rdf_at_runs
join runs using (run_id)
left join potentials using (potential_id)
group by all
order by runs.composition, pair, runs.origin, run_id
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
