"""Whose fault a deviation from experiment is: the potential's or DFT's. What was measured is `experiments`'."""

from schemas.experiments import FUNCTIONAL_CAVEAT
from schemas.views.description import View

AMBIENT_GPA = 0.1
"""Melts that differ by less in pressure differ by less in density than it can be measured to."""
LARGEST_COMPRESSION = 0.05
"""As a share of the density; over more, a compressibility is no constant."""
ONE_CELL_TO = 0.01
"""Of its edge: images slow diffusion by a tenth or two, so that a hundredth of that does not matter."""

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
with partners as (
    select dnnp_run_id as run_id, run_pairs.aimd_run_id, run_pairs.potential_id
    from run_pairs join runs aimd on aimd.run_id = run_pairs.aimd_run_id
    where dnnp_run_id is not null and at_one_temperature
    qualify row_number() over (partition by dnnp_run_id order by
        aimd.ensemble is distinct from 'npt', abs(dnnp_temperature_k - aimd_temperature_k), aimd.run_id) = 1
),
held as (
    select run_pairs.aimd_run_id, run_pairs.potential_id, own.pressure_gpa, own.pressure_error_gpa
    from run_pairs
    join runs on runs.run_id = dnnp_run_id and runs.ensemble = 'nvt'
    join thermodynamics own on own.run_id = dnnp_run_id
    join thermodynamics its on its.run_id = run_pairs.aimd_run_id
    where at_one_temperature and own.pressure_error_gpa is not null
      and abs(own.density_g_per_cm3 / its.density_g_per_cm3 - 1) < 1e-3
    qualify row_number() over (
        partition by run_pairs.aimd_run_id, run_pairs.potential_id order by own.pressure_error_gpa, own.run_id) = 1
),
predicted as (
    select own.run_id, partners.aimd_run_id, coalesce(runs.pressure_target_gpa, 0) as target_gpa,
           aimd.ensemble = 'npt' and abs(coalesce(aimd.pressure_target_gpa, 0) - target_gpa) < {AMBIENT_GPA}
               as is_direct, held.pressure_gpa as held_gpa,
           own.density_g_per_cm3 as own_density, own.density_error_g_per_cm3 as own_error,
           its.density_g_per_cm3 as its_density, its.density_error_g_per_cm3 as its_error,
           held.pressure_gpa - own.pressure_gpa as span_gpa,
           sqrt(held.pressure_error_gpa ** 2 + own.pressure_error_gpa ** 2) as span_error_gpa,
           (held.pressure_gpa - its.pressure_gpa) / nullif(span_gpa, 0) as share,
           sqrt(its.pressure_error_gpa ** 2 + (share * own.pressure_error_gpa) ** 2
                + ((1 - share) * held.pressure_error_gpa) ** 2) / abs(span_gpa) as share_error,
           (its_density - own_density) / nullif(span_gpa, 0) as per_gpa,
           coalesce(abs(span_gpa) >= 3 * span_error_gpa and share_error is not null, false) as has_span,
           its.pressure_gpa - own.pressure_gpa as excess_gpa,
           sqrt(its.pressure_error_gpa ** 2 + own.pressure_error_gpa ** 2) as excess_error_gpa,
           own.compressibility_per_gpa as kappa, own.compressibility_error_per_gpa as kappa_error,
           coalesce(abs(excess_gpa * kappa) <= {LARGEST_COMPRESSION} and kappa_error + excess_error_gpa is not null,
                    false) as has_kappa
    from thermodynamics own
    join runs on runs.run_id = own.run_id and runs.origin = 'dnnp' and runs.ensemble = 'npt'
    left join partners on partners.run_id = own.run_id
    left join runs aimd on aimd.run_id = partners.aimd_run_id
    left join thermodynamics its on its.run_id = partners.aimd_run_id
    left join held on held.aimd_run_id = partners.aimd_run_id and held.potential_id = runs.potential_id
),
densities as (
    select run_id, aimd_run_id, 'density_g_per_cm3' as quantity, null::varchar as element,
           if(abs(target_gpa) < {AMBIENT_GPA}, own_density, null) as dnnp, own_error as dnnp_error,
           format('simulated at {{:g}} GPa, measured at ambient pressure', target_gpa) as own_missing,
           case when is_direct or not has_span and has_kappa then null
                when held_gpa is null
                    then 'the AIMD run was held at its volume: simulate its twin with this potential, '
                         || 'whose pressure tells what the volume would be without'
                when span_error_gpa is null or share_error is null then 'pressures have no errors: runs are too short'
                when not has_span
                    then 'twin and simulation differ in pressure by no more than their errors, so that nothing '
                         || 'tells what a pressure is worth'
                when per_gpa <= 0 then 'the denser of twin and simulation has the lower pressure: one is not a melt '
                                       || 'in equilibrium'
                end as missing,
           case when is_direct then its_density
                when missing is null and not has_span then its_density * (1 - kappa * excess_gpa)
                when missing is null then own_density + share * (its_density - own_density) end as aimd,
           case when is_direct then its_error
                when missing is null and not has_span
                    then its_density * sqrt((kappa * excess_error_gpa) ** 2 + (excess_gpa * kappa_error) ** 2)
                when missing is null then sqrt(((1 - share) * own_error) ** 2
                                               + ((its_density - own_density) * share_error) ** 2) end as aimd_error,
           if(is_direct, 'as it is', 'brought to the pressure of the simulation') as aimd_is
    from predicted
),
moving as (
    select own.run_id, partners.aimd_run_id, 'diffusion_angstrom2_per_ps' as quantity, own.element,
           own.diffusion_infinite_cell_angstrom2_per_ps as dnnp,
           own.diffusion_infinite_cell_error_angstrom2_per_ps as dnnp_error,
           coalesce(own.diffusion_infinite_cell_reason, own.diffusion_reason) as own_missing,
           coalesce(its.diffusion_reason, 'the cells of simulation and AIMD differ in size') as missing,
           its.diffusion_infinite_cell_angstrom2_per_ps is not null as is_direct,
           if(abs(its.cell_edge_angstrom / own.cell_edge_angstrom - 1) < {ONE_CELL_TO},
              dnnp - own.diffusion_angstrom2_per_ps, null) as images,
           sqrt(greatest(dnnp_error ** 2 - own.diffusion_error_angstrom2_per_ps ** 2, 0)) as images_error,
           if(is_direct, its.diffusion_infinite_cell_angstrom2_per_ps, its.diffusion_angstrom2_per_ps + images)
               as aimd,
           if(is_direct, its.diffusion_infinite_cell_error_angstrom2_per_ps,
              sqrt(its.diffusion_error_angstrom2_per_ps ** 2 + images_error ** 2)) as aimd_error
    from transport own
    join runs on runs.run_id = own.run_id and runs.origin = 'dnnp'
    left join partners on partners.run_id = own.run_id
    left join transport its on its.run_id = partners.aimd_run_id and its.element = own.element
),
viscous as (
    select own.run_id, any_value(partners.aimd_run_id) as aimd_run_id, any_value(own.viscosity_mpa_s) as dnnp,
           any_value(own.viscosity_error_mpa_s) as dnnp_error, any_value(own.viscosity_reason) as own_missing,
           any_value(its.viscosity_reason) as missing, any_value(its.viscosity_mpa_s) as aimd,
           any_value(its.viscosity_error_mpa_s) as aimd_error
    from transport own
    join runs on runs.run_id = own.run_id and runs.origin = 'dnnp'
    left join partners on partners.run_id = own.run_id
    left join transport its on its.run_id = partners.aimd_run_id
    group by own.run_id
),
compared as (
    select * from densities
    union all
    select run_id, aimd_run_id, quantity, element, dnnp, dnnp_error, own_missing, missing, aimd, aimd_error,
           if(is_direct, 'as it is', 'corrected for images of its cell as the simulation is') from moving
    union all
    select run_id, aimd_run_id, 'viscosity_mpa_s', null, dnnp, dnnp_error, own_missing, missing, aimd, aimd_error,
           'as it is' from viscous
),
percents as (
    select compared.*, measured.value as experiment, measured.standard_uncertainty as experiment_error,
           its_measured.value as experiment_of_aimd, measured.to_judge_by, measured.why as experiment_why,
           measured.source, measured.citation,
           100 * (dnnp / experiment - 1) as dnnp_from_experiment,
           100 * (aimd / coalesce(experiment_of_aimd, experiment) - 1) as aimd_from_experiment,
           100 * ((dnnp / aimd) * coalesce(experiment_of_aimd / experiment, 1) - 1) as dnnp_from_aimd,
           100 * dnnp_error / abs(dnnp) as dnnp_percent, 100 * aimd_error / abs(aimd) as aimd_percent,
           100 * experiment_error / experiment as experiment_percent, experiment is not null as is_measured,
           dnnp is not null as has_dnnp, aimd is not null as has_aimd
    from compared
    left join experiments_at_runs measured on measured.run_id = compared.run_id
     and measured.quantity = compared.quantity and measured.element is not distinct from compared.element
    left join experiments_at_runs its_measured on its_measured.run_id = compared.aimd_run_id
     and its_measured.quantity = compared.quantity and its_measured.element is not distinct from compared.element
     and its_measured.source_id = measured.source_id
),
curves as (
    select own.run_id, partners.aimd_run_id, 'rdf' as quantity, own.pair as element, 'as it is' as aimd_is,
           own.experiment_l1_percent is not null as to_judge_by, 'the source states no uncertainty' as experiment_why,
           own.source, own.citation, own.l1_percent as dnnp_from_experiment, its.l1_percent as aimd_from_experiment,
           agreement.l1_percent as dnnp_from_aimd, agreement.floor_percent / sqrt(2) as dnnp_percent,
           agreement.floor_percent / sqrt(2) as aimd_percent, own.experiment_l1_percent as experiment_percent,
           true as is_measured, true as has_dnnp, its.run_id is not null as has_aimd,
           'the AIMD run is not beside this measurement' as missing
    from rdf_vs_experiment own
    join partners on partners.run_id = own.run_id
    join agreement on agreement.run_id = own.run_id and agreement.aimd_run_id = partners.aimd_run_id
     and agreement.observable = 'rdf ' || own.pair and agreement.measure = 'l1'
    left join rdf_vs_experiment its on its.run_id = partners.aimd_run_id and its.pair = own.pair
     and its.citation = own.citation and its.experiment_temperature_k = own.experiment_temperature_k
),
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
         when dft_is_off then 'dft'
         when potential_is_off then 'potential'
         when abs(dnnp_from_experiment) <= 2 * dnnp_from_experiment_error then 'agrees'
         else 'both' end as verdict,
    coalesce(lacking, format('potential {{:+.1f}} % from AIMD, AIMD {{:+.1f}} % from experiment, which is good to '
                             || '{{:.1f}} %', dnnp_from_aimd, aimd_from_experiment, seen)
        || case when verdict = 'agrees' and potential_is_off then ''
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
