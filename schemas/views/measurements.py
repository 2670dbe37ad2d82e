"""What was measured, at the temperatures of the runs; and which runs are at the pressure that it was measured at.

Measurements speak inside their range only. A number that cannot be had without extrapolation is null with a reason.
"""

from schemas.pairing import AMBIENT_GPA, LARGEST_AMBIENT_GPA, allowed_difference_sql
from schemas.views.description import View

LARGEST_GAP_K = 200.0
"""Between measured points; over so much a density or a viscosity is straight to a tenth of what it is measured to."""

MELTS = f"""
melts as (
    select run_id, runs.composition, runs.chemical_system, averages.temperature_k as run_k,
           {allowed_difference_sql("averages.temperature_k", n_atoms="runs.n_atoms")} as allowed_k
    from runs join thermodynamics averages using (run_id) where averages.temperature_k is not null
)"""

MEASUREMENTS_AT_RUNS = View(
    "measurements_at_runs",
    "Each run beside each quantity that was measured of its melt at ambient pressure, at the run's mean temperature: a "
    f"correlation inside its range, points of one source at most {LARGEST_GAP_K:.0f} K apart by straight lines, or a "
    "point as near as runs that are compared with each other. Elsewhere the value is null and why says so. Of several "
    "sources the preferred one, then one that states its uncertainty, a point nearby last, and added ones before those "
    "that come with meltlake. Whether the run is at that pressure is `ambient_runs`'.",
    f"""
with {MELTS},
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
           any_value(source) as source, any_value(citation) as citation,
           preferred, bool_or(added_from is not null) as added, coverage_factor,
           min(temperature_k) as temperature_min_k, max(temperature_k) as temperature_max_k,
           arg_max(struct_pack(k := temperature_k, y := value, u := uncertainty, note := note), temperature_k)
               filter (temperature_k <= run_k) as below,
           arg_min(struct_pack(k := temperature_k, y := value, u := uncertainty, note := note), temperature_k)
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
    select run_id, run_k, element_or_alloy, quantity, element, source_id, source, citation, nearest.note, preferred,
           added, coverage_factor, temperature_min_k, temperature_max_k, taken_as,
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
    order by preferred desc, taken_as is null, uncertainty_at_run is null, taken_as = 'nearest point', added desc,
             uncertainty_at_run / at_run, source_id) = 1
order by run_id, quantity, element
""",
)

AMBIENT_RUNS = View(
    "ambient_runs",
    "Whether a run is where melts are measured. At constant pressure: the barostat's target is ambient. At constant "
    f"volume: its mean pressure is, within {AMBIENT_GPA:g} GPa and two standard errors, or its density is the measured "
    "one within two standard uncertainties. Where it is elsewhere, elsewhere says where; is_known is false for a run "
    "without stress whose density nobody measured.",
    f"""
with states as (
    select runs.run_id, runs.ensemble = 'npt' as is_free, coalesce(runs.pressure_target_gpa, 0) as target_gpa,
           averages.pressure_gpa as held_gpa,
           100 * (averages.density_g_per_cm3 / measured.value - 1) as denser_percent,
           coalesce(abs(held_gpa) <= least({AMBIENT_GPA} + 2 * coalesce(averages.pressure_error_gpa, 0),
                                           {LARGEST_AMBIENT_GPA}), false) as is_ambient,
           coalesce(abs(denser_percent) <= 200 * measured.standard_uncertainty / measured.value, false) as is_as_dense
    from runs join thermodynamics averages using (run_id)
    left join measurements_at_runs measured
      on measured.run_id = runs.run_id and measured.quantity = 'density_g_per_cm3' and measured.to_judge_by
)
select run_id,
       case when is_free then if(abs(target_gpa) < {AMBIENT_GPA}, null,
                                 format('simulated at {{:g}} GPa, measured at ambient pressure', target_gpa))
            when is_ambient or is_as_dense then null
            when held_gpa is not null
            then format('held at a volume where its pressure is {{:.2f}} GPa, measured at ambient pressure', held_gpa)
            when denser_percent is not null
            then format('held at a density that is off the measured one by {{:+.1f}} %', denser_percent)
            end as elsewhere,
       coalesce(is_free or held_gpa is not null or denser_percent is not null, false) as is_known
from states
order by run_id
""",
)

EXPERIMENTS_AT_RUNS = View(
    "experiments_at_runs",
    "Each run beside each quantity that was measured of its melt (`measurements_at_runs`), null with a reason where "
    "the run is at another pressure (`ambient_runs`). A density at constant volume was imposed: the measured one stays "
    "beside it. Verdicts rest on those that are to_judge_by.",
    """
with placed as (
    select measured.*, elsewhere, runs.ensemble is distinct from 'npt' and quantity = 'density_g_per_cm3' as is_imposed,
           elsewhere is not null and not is_imposed as is_away, is_known or is_imposed as is_placed
    from measurements_at_runs measured join runs using (run_id) join ambient_runs using (run_id)
)
select * exclude (elsewhere, is_imposed, is_away, is_placed) replace (
    if(is_away, null, value) as value, if(is_away, null, uncertainty) as uncertainty,
    if(is_away, null, standard_uncertainty) as standard_uncertainty, if(is_away, null, taken_as) as taken_as,
    to_judge_by and is_placed and not is_away as to_judge_by,
    case when taken_as is not null and is_away then elsewhere
         when not to_judge_by then why
         when not is_placed then 'the run has no stress, and nobody measured the density: it may have any pressure'
         end as why
)
from placed
order by run_id, quantity, element
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
