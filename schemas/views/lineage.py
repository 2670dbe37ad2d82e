"""From observables back to raw files."""

from schemas.views.description import View

_OF_RUNS = (
    "rdf",
    "structure_factor",
    "short_range_order",
    "local_composition",
    "vacf",
    "vibrational_density",
    "msd",
    "stress_autocorrelation",
    "transport",
    "thermodynamics",
    "mixing_enthalpy",
    "agreement",
    "model_deviations",
    "pressure_tensors",
)
_OF_POTENTIALS = ("learning_curves", "rmse", "parity")

LINEAGE = View(
    "lineage",
    "From the rows of an observable back to raw files: the run or potential they belong to, the training set, and "
    "every run behind it with its file and checksum, and those behind a potential that its weights came from. A run "
    "that was only timed left no file of its own.",
    f"""
with recursive of_runs as (
    {" union ".join(f"select '{table}' as observable, run_id from {table}" for table in _OF_RUNS)}
    union select 'thermal_expansion', unnest(run_ids) from thermal_expansion
    union select 'mixing_enthalpy', unnest(pure_run_ids) from mixing_enthalpy
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
ancestry as (
    select potential_id, potential_id as ancestor_id from potentials
    union
    select ancestry.potential_id, potentials.init_from
    from ancestry join potentials on potentials.potential_id = ancestry.ancestor_id
    where potentials.init_from is not null
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
    union
    select observable, roots.run_id, roots.potential_id, 'parent_trained_on', taught.run_id
    from roots
    join ancestry on ancestry.potential_id = roots.potential_id and ancestry.ancestor_id <> roots.potential_id
    join potentials on potentials.potential_id = ancestry.ancestor_id
    join taught on taught.training_set_id = potentials.training_set_id and taught.role = 'trained_on'
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
