"""AIMD beside simulation: which runs belong together, and their curves. Experiments are `experiments`'."""

from schemas.pairing import is_one_temperature_sql
from schemas.views.description import View

RUN_PAIRS = View(
    "run_pairs",
    "Which AIMD run a simulation is compared with: its parent where that has the same composition, else every AIMD run "
    "of the composition; at one temperature, by the means of both: within T sqrt(2/3N) of the AIMD run's, at most a "
    "tenth. A twin stands beside its parent even elsewhere (at_one_temperature is false then, and nothing is judged), "
    "and so does a child while the temperature of one of the two is not known. A run without a partner stands alone. "
    "Simulations that were stopped as unphysical are left out.",
    f"""
with known as (
    select runs.*, temperature_k as mean_k, coalesce(mean_k, temperature_target_k) as known_k
    from runs left join thermodynamics using (run_id)
),
aimd as (select * from known where origin = 'aimd'),
simulated as (
    select known.*, potentials.recipe, parent.run_id as twin_of
    from known left join aimd parent
      on parent.run_id = known.parent_run_id and parent.composition = known.composition
    left join potentials on potentials.potential_id = known.potential_id
    where known.origin = 'dnnp' and not starts_with(coalesce(known.outcome, ''), 'unphysical')
),
pairs as (
    select aimd.run_id as aimd_run_id, simulated.run_id as dnnp_run_id,
           {is_one_temperature_sql("aimd.mean_k", "simulated.mean_k", n_atoms="aimd.n_atoms")} as at_one_temperature
    from simulated join aimd using (composition, synthetic)
    where aimd.run_id = coalesce(twin_of, aimd.run_id)
      and (at_one_temperature
           or twin_of is not null and (simulated.protocol = 'twin' or simulated.mean_k + aimd.mean_k is null))
)
select aimd.composition, aimd.chemical_system, aimd.synthetic, aimd.run_id as aimd_run_id,
       simulated.run_id as dnnp_run_id, simulated.potential_id, simulated.recipe, simulated.protocol,
       aimd.known_k as aimd_temperature_k, simulated.known_k as dnnp_temperature_k, at_one_temperature
from aimd
left join (pairs join simulated on simulated.run_id = dnnp_run_id) on aimd_run_id = aimd.run_id
union all
select composition, chemical_system, synthetic, null, run_id, potential_id, recipe, protocol, null, known_k, null
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
    "Partial radial distribution functions of an AIMD run beside each simulation of the same composition and the "
    "measured curve; null where one of them is missing. Errors are standard.",
    f"""
with compared as ({_curve_comparison("rdf", "pair", "r_angstrom", "g")})
select compared.*, measured.g_experiment, measured.g_error_experiment, measured.experiment_temperature_k,
       measured.source as experiment_source, measured.citation as experiment_citation
from compared
left join experimental_rdf_at_runs measured
  on measured.run_id = coalesce(aimd_run_id, dnnp_run_id) and measured.pair = compared.pair
 and round(measured.r_angstrom, 4) = round(compared.r_angstrom, 4)
""",
)

VACF_COMPARISON = View(
    "vacf_comparison",
    "Normalised velocity autocorrelation of an AIMD run beside each simulation of the same composition; null where one "
    "of the two is missing.",
    _curve_comparison("vacf", "element", "lag_fs", "vacf"),
)

CURVE_AGREEMENT = View(
    "curve_agreement",
    "Agreement of radial distribution functions and velocity autocorrelations, each curve once, by L1 or rms: what "
    "potentials are ranked by. `agreement` has the other measures, and numbers.",
    """
select * exclude (measure, value_aimd, value_dnnp, difference, difference_error)
from agreement where coalesce(measure, 'l1') in ('l1', 'rms')
""",
)
