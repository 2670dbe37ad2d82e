"""Whose fault a deviation from experiment is: the potential's or DFT's. What is compared is `beside_aimd`'s."""

from schemas.experiments import FUNCTIONAL_CAVEAT
from schemas.views.description import View

_PERCENTS = """
compared as (
    select *, null as aimd_elsewhere from densities_beside_aimd
    union all by name
    select * from motion_beside_aimd
),
percents as (
    select compared.*, measured.value as experiment, measured.standard_uncertainty as experiment_error,
           its_measured.value as experiment_of_aimd, measured.to_judge_by, measured.why as experiment_why,
           measured.source, measured.citation,
           100 * (dnnp / experiment - 1) as dnnp_from_experiment,
           if(aimd_elsewhere is null, 100 * (aimd / coalesce(experiment_of_aimd, experiment) - 1), null)
               as aimd_from_experiment,
           100 * ((dnnp / aimd) * coalesce(experiment_of_aimd / experiment, 1) - 1) as dnnp_from_aimd,
           100 * dnnp_error / abs(dnnp) as dnnp_percent, 100 * aimd_error / abs(aimd) as aimd_percent,
           100 * experiment_error / experiment as experiment_percent, experiment is not null as is_measured,
           dnnp is not null as has_dnnp, aimd is not null as has_aimd
    from compared
    left join experiments_at_runs measured on measured.run_id = compared.run_id
     and measured.quantity = compared.quantity and measured.element is not distinct from compared.element
    left join measurements_at_runs its_measured on its_measured.run_id = compared.aimd_run_id
     and its_measured.quantity = compared.quantity and its_measured.element is not distinct from compared.element
     and its_measured.source_id = measured.source_id
)"""
"""Numbers. A correlation is asked at the temperature of each of the two runs, whatever their pressures."""

_CURVES = """
curves as (
    select own.run_id, partners.aimd_run_id, 'rdf' as quantity, own.pair as element, 'as it is' as aimd_is,
           own.experiment_l1_percent is not null as to_judge_by, own.why as experiment_why,
           own.source, own.citation, own.l1_percent as dnnp_from_experiment, its.l1_percent as aimd_from_experiment,
           agreement.l1_percent as dnnp_from_aimd, coalesce(agreement.sample_ratio, 1) as ratio,
           agreement.floor_percent * sqrt(ratio / (1 + ratio)) as dnnp_percent,
           agreement.floor_percent / sqrt(1 + ratio) as aimd_percent, own.experiment_l1_percent as experiment_percent,
           own.l1_percent is not null as is_measured,
           agreement.run_id is not null and agreement.verdict is distinct from 'undecided' as has_dnnp,
           its.run_id is not null as has_aimd, its.why as aimd_elsewhere,
           if(agreement.run_id is null, 'its curve was not compared with that of the AIMD run', agreement.reason)
               as own_missing,
           'the AIMD run is not beside this measurement' as missing
    from rdf_vs_experiment own
    join aimd_partners partners on partners.run_id = own.run_id
    left join agreement on agreement.run_id = own.run_id and agreement.aimd_run_id = partners.aimd_run_id
     and agreement.observable = 'rdf ' || own.pair and agreement.measure = 'l1'
    left join rdf_vs_experiment its on its.run_id = partners.aimd_run_id and its.pair = own.pair
     and its.citation = own.citation and its.experiment_temperature_k = own.experiment_temperature_k
)"""
"""The floor of a distance is that of two runs: samples scatter by as much less as they are larger."""

ATTRIBUTION = View(
    "attribution",
    "Whose fault it is that a simulation deviates from experiment: `potential`, `dft` (the functional and how the AIMD "
    "was done), `both`, `agrees`, or `cannot tell` with the reason in why. Three deviations in percent with standard "
    "errors; experiment_uncertainty_percent is twice the standard uncertainty of the measurement. A deviation of the "
    "potential from AIMD counts where experiment could see it. Where one source knows both temperatures, each is "
    "compared with it at its own, so that a few kelvin are nobody's fault. The density of an AIMD run at constant "
    "volume is brought to the pressure of the simulation by the potential's own density and pressure there and at that "
    "volume, or by how its volume fluctuates (aimd_is). Diffusion is that of a cell without images; where the AIMD run "
    "knows no viscosity, its coefficient is corrected by as much as that of the simulation in a cell of the same size. "
    "Of rdf, element is the pair, deviations are L1 without a sign, and their error is the noise floor.",
    f"""
with {_PERCENTS},
{_CURVES},
judged as (
    select *, sqrt(dnnp_percent ** 2 + aimd_percent ** 2) as dnnp_from_aimd_error,
           sqrt(dnnp_percent ** 2 + experiment_percent ** 2) as dnnp_from_experiment_error,
           sqrt(aimd_percent ** 2 + experiment_percent ** 2) as aimd_from_experiment_error,
           2 * experiment_percent as seen,
           abs(dnnp_from_aimd) > greatest(2 * dnnp_from_aimd_error, seen) as potential_is_off,
           abs(aimd_from_experiment) > 2 * aimd_from_experiment_error as dft_is_off,
           2 * dnnp_from_aimd_error <= greatest(seen, abs(dnnp_from_experiment) / 2) as potential_is_known,
           2 * aimd_percent <= greatest(seen, abs(dnnp_from_experiment) / 2) as dft_is_known,
           case when not is_measured then coalesce(experiment_why, 'nobody measured it')
                when not to_judge_by then experiment_why
                when aimd_run_id is null then 'no AIMD run of this melt at this temperature'
                when not has_dnnp then coalesce(own_missing, 'the simulation does not tell it')
                when not has_aimd then coalesce(missing, 'the AIMD run does not tell it')
                when aimd_elsewhere is not null then 'AIMD: ' || aimd_elsewhere
                when dnnp_from_aimd_error is null then 'no error bar: a run is too short'
                when not (potential_is_off or potential_is_known) or not (dft_is_off or dft_is_known)
                    then 'error bars of the runs are too wide' end as lacking
    from (select * from percents union all by name select * from curves)
)
select
    runs.composition, runs.chemical_system, runs.synthetic, quantity, element, run_id, runs.potential_id,
    potentials.recipe, runs.protocol, aimd_run_id, own.temperature_k, its.temperature_k as aimd_temperature_k,
    dnnp as value_dnnp, dnnp_error as error_dnnp, aimd as value_aimd, aimd_error as error_aimd, aimd_is,
    experiment as value_experiment, experiment_error as standard_uncertainty_experiment, source, citation,
    dnnp_from_aimd as dnnp_from_aimd_percent, dnnp_from_aimd_error as dnnp_from_aimd_error_percent,
    dnnp_from_experiment as dnnp_from_experiment_percent,
    dnnp_from_experiment_error as dnnp_from_experiment_error_percent,
    aimd_from_experiment as aimd_from_experiment_percent,
    aimd_from_experiment_error as aimd_from_experiment_error_percent, seen as experiment_uncertainty_percent,
    case when lacking is not null then 'cannot tell'
         when potential_is_off and dft_is_off then 'both'
         when abs(dnnp_from_experiment) <= 2 * dnnp_from_experiment_error then 'agrees'
         when dft_is_off then 'dft'
         when potential_is_off then 'potential'
         else 'both' end as verdict,
    coalesce(lacking, format('potential {{:+.1f}} % from AIMD, AIMD {{:+.1f}} % from experiment, which is good to '
                             || '{{:.1f}} %', dnnp_from_aimd, aimd_from_experiment, seen)
        || case when verdict = 'agrees' and (potential_is_off or dft_is_off)
                    then ': the simulation agrees with experiment all the same'
                when verdict = 'both' and abs(dnnp_from_experiment) <= 2 * dnnp_from_experiment_error
                    then ': the two cancel'
                when verdict = 'both' and not potential_is_off then ': each within what experiment sees, not together'
                else '' end) as why,
    if(quantity like 'diffusion%' or quantity like 'viscosity%', '{FUNCTIONAL_CAVEAT}', null) as caveat
from judged
join runs using (run_id)
join thermodynamics own using (run_id)
left join thermodynamics its on its.run_id = aimd_run_id
left join potentials on potentials.potential_id = runs.potential_id
order by runs.composition, quantity, element, runs.potential_id, run_id
""",
)
