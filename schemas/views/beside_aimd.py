"""What a simulation and its AIMD run say of one quantity, brought to one state. Whose a deviation is: `attribution`."""

from schemas.pairing import AMBIENT_GPA, LARGEST_AMBIENT_GPA, LARGEST_DIFFERENCE_IN_DENSITY
from schemas.views.description import View

LARGEST_COMPRESSION = 0.05
"""As a share of the density; over more, a compressibility is no constant."""
ONE_CELL_TO = 0.01
"""Of its edge: images slow diffusion by a tenth or two, so that a hundredth of that does not matter."""

AIMD_PARTNERS = View(
    "aimd_partners",
    "The one AIMD run that a simulation's numbers stand beside: of those of `run_pairs` at one temperature one at "
    "constant pressure, then the nearest in temperature. apart says where the two are neither at one density nor at "
    "one pressure, so that they would differ for that alone.",
    f"""
with chosen as (
    select dnnp_run_id as run_id, run_pairs.aimd_run_id, run_pairs.potential_id
    from run_pairs join runs aimd on aimd.run_id = run_pairs.aimd_run_id
    where dnnp_run_id is not null and at_one_temperature
    qualify row_number() over (partition by dnnp_run_id order by
        aimd.ensemble is distinct from 'npt', abs(dnnp_temperature_k - aimd_temperature_k), aimd.run_id) = 1
)
select run_id, aimd_run_id, potential_id,
       if(abs(denser) > {LARGEST_DIFFERENCE_IN_DENSITY} and coalesce(abs(excess_gpa) > allowed_gpa, true),
          format('simulation and AIMD differ by {{:+.1f}} % in density: simulate its twin', 100 * denser), null)
           as apart
from (
    select chosen.*, own.density_g_per_cm3 / its.density_g_per_cm3 - 1 as denser,
           own.pressure_gpa - its.pressure_gpa as excess_gpa,
           least({AMBIENT_GPA} + 2 * coalesce(sqrt(own.pressure_error_gpa ** 2 + its.pressure_error_gpa ** 2), 0),
                 {LARGEST_AMBIENT_GPA}) as allowed_gpa
    from chosen
    join thermodynamics own on own.run_id = chosen.run_id
    join thermodynamics its on its.run_id = chosen.aimd_run_id
)
order by run_id
""",
)

DENSITIES_BESIDE_AIMD = View(
    "densities_beside_aimd",
    "Densities of simulations at constant pressure beside that of AIMD at the same pressure. One of an AIMD run at "
    "constant volume is brought there by the potential's own density and pressure there and at that volume (its twin), "
    "or by how the simulated volume fluctuates; missing says what lacks where it cannot be.",
    f"""
with held as (
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
    left join aimd_partners partners on partners.run_id = own.run_id
    left join runs aimd on aimd.run_id = partners.aimd_run_id
    left join thermodynamics its on its.run_id = partners.aimd_run_id
    left join held on held.aimd_run_id = partners.aimd_run_id and held.potential_id = runs.potential_id
)
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
""",
)

MOTION_BESIDE_AIMD = View(
    "motion_beside_aimd",
    "Diffusion of every element and viscosity of simulations beside those of AIMD. Diffusion is that of a cell without "
    "images; where the AIMD run knows no viscosity, its coefficient is corrected by as much as that of the simulation "
    "in a cell of the same size. missing says what lacks.",
    f"""
with moving as (
    select own.run_id, partners.aimd_run_id, partners.apart, own.element,
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
    left join aimd_partners partners on partners.run_id = own.run_id
    left join transport its on its.run_id = partners.aimd_run_id and its.element = own.element
),
viscous as (
    select own.run_id, any_value(partners.aimd_run_id) as aimd_run_id, any_value(partners.apart) as apart,
           any_value(own.viscosity_mpa_s) as dnnp, any_value(own.viscosity_error_mpa_s) as dnnp_error,
           any_value(own.viscosity_reason) as own_missing, any_value(its.viscosity_reason) as missing,
           any_value(its.viscosity_mpa_s) as aimd, any_value(its.viscosity_error_mpa_s) as aimd_error
    from transport own
    join runs on runs.run_id = own.run_id and runs.origin = 'dnnp'
    left join aimd_partners partners on partners.run_id = own.run_id
    left join transport its on its.run_id = partners.aimd_run_id
    group by own.run_id
),
both_kinds as (
    select run_id, aimd_run_id, apart, 'diffusion_angstrom2_per_ps' as quantity, element, dnnp, dnnp_error, own_missing,
           missing, aimd, aimd_error,
           if(is_direct, 'as it is', 'corrected for images of its cell as the simulation is') as aimd_is
    from moving
    union all
    select run_id, aimd_run_id, apart, 'viscosity_mpa_s', null, dnnp, dnnp_error, own_missing, missing, aimd,
           aimd_error, 'as it is'
    from viscous
)
select both_kinds.* exclude (apart) replace (
           coalesce(apart, missing) as missing, if(apart is null, aimd, null) as aimd,
           if(apart is null, aimd_error, null) as aimd_error
       ),
       case when elsewhere is not null then elsewhere
            when is_known = false then 'it has no stress, and nobody measured the density' end as aimd_elsewhere
from both_kinds left join ambient_runs on ambient_runs.run_id = aimd_run_id
order by both_kinds.run_id, quantity, element
""",
)
