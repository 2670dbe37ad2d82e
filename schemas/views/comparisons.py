"""AIMD beside simulation and experiment."""

from schemas.views.description import View

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
