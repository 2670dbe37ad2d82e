"""Potentials: what they were trained on, Table 1, predictions, errors beside the deviation of committees."""

from schemas.views.description import View

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

TABLE_1 = View(
    "table_1",
    "Table 1: what the paper prints for each recipe beside ours, the median over seeds of the RMSE pooled over the "
    "test split, per training set, steps, backend and potential that the weights came from. The speed is that "
    "of the largest timed simulation. A recipe that was changed under its name has one row for each content. Where "
    "n_test_frames_known is not 0, the errors are too small: weights came from a potential that was trained on so many "
    "frames of the test and held-out splits.",
    """
with alike as (
    select potentials.* exclude (recipe_id), coalesce(potentials.recipe_id, recipes.recipe_id) as recipe_id,
           dense_rank() over (order by recipe, coalesce(potentials.recipe_id, recipes.recipe_id), training_set_id,
                              potentials.n_steps, backend, init_from) as kind
    from potentials left join recipes using (recipe)
),
trained as (
    select kind, recipe, recipe_id, training_set_id, n_steps, backend, init_from, count(distinct seed) as n_seeds,
           coalesce(max(n_test_frames_known), 0) as n_test_frames_known,
           median(rmse_energy_mev_per_atom) as rmse_energy_mev_per_atom,
           median(rmse_force_mev_per_angstrom) as rmse_force_mev_per_angstrom,
           median(rmse_virial_mev_per_atom) as rmse_virial_mev_per_atom,
           max(rmse_force_mev_per_angstrom) - min(rmse_force_mev_per_angstrom) as seed_range_force_mev_per_angstrom
    from alike left join rmse
      on rmse.potential_id = alike.potential_id and rmse.composition = 'all' and rmse.split = 'test'
    group by kind, recipe, recipe_id, training_set_id, n_steps, backend, init_from
),
timed as (
    select kind, performance.ns_per_day, performance.n_atoms, performance.hardware,
           row_number() over (
               partition by kind
               order by performance.protocol = 'performance' desc, performance.n_atoms desc,
                        performance.ns_per_day desc, performance.run_id
           ) as place
    from performance join alike on alike.potential_id = performance.potential_id
    where performance.outcome = 'finished'
)
select
    recipe, embedding_net, axis_neuron, fitting_net, r_smooth_angstrom, r_cut_angstrom, start_pref_virial,
    paper_rmse_energy_mev_per_atom, trained.rmse_energy_mev_per_atom,
    paper_rmse_force_mev_per_angstrom, trained.rmse_force_mev_per_angstrom,
    trained.seed_range_force_mev_per_angstrom,
    paper_rmse_virial_mev_per_atom, trained.rmse_virial_mev_per_atom,
    paper_ns_per_day, timed.ns_per_day, timed.n_atoms, timed.hardware,
    trained.n_seeds, trained.n_steps, trained.backend, trained.init_from, trained.n_test_frames_known,
    trained.training_set_id, array_to_string(list_sort(training_sets.type_map), '-') as chemical_system,
    training_sets.synthetic
from recipes
full join trained using (recipe, recipe_id)
left join training_sets on training_sets.training_set_id = trained.training_set_id
left join timed on timed.kind = trained.kind and timed.place = 1
order by try_cast(nullif(regexp_extract(recipe, '^DP-([0-9]+)$', 1), '') as integer) nulls last,
         recipe, trained.training_set_id, trained.n_steps, trained.kind
""",
)

_RECIPE_BUT_VIRIALS = ", ".join(
    f"recipes.{name}"
    for name in (
        "embedding_net", "axis_neuron", "fitting_net", "r_smooth_angstrom", "r_cut_angstrom", "start_pref_energy",
        "limit_pref_energy", "start_pref_force", "limit_pref_force", "batch_size", "start_learning_rate",
        "stop_learning_rate", "decay_steps", "decay_rate", "activation", "resnet_embedding", "resnet_fitting",
        "type_one_side", "precision", "sampling",
    )
)  # fmt: skip

VIRIALS_WORTH = View(
    "virials_worth",
    "What virials in the loss are worth: errors on the test split of two potentials that were trained alike but for "
    "the prefactors of the virial, which are 0 for one of them (DP-1 and DP-2 of the paper).",
    f"""
with judged as (
    select potential_id, recipes.recipe, chemical_system, synthetic, training_set_id, seed,
           trained_potentials.n_steps as steps, start_pref_virial = 0 and limit_pref_virial = 0 as is_without,
           rmse_energy_mev_per_atom, rmse_force_mev_per_angstrom, rmse_virial_mev_per_atom,
           row({_RECIPE_BUT_VIRIALS},
               training_set_id, seed, trained_potentials.n_steps, backend, init_from) as alike
    from trained_potentials
    join recipes on recipes.recipe = trained_potentials.recipe and recipes.recipe_id = trained_potentials.recipe_id
    join rmse using (potential_id)
    where composition = 'all' and split = 'test' and rmse_virial_mev_per_atom is not null
)
select
    used.recipe, used.potential_id, unused.recipe as recipe_without, unused.potential_id as potential_id_without,
    used.chemical_system, used.synthetic, used.training_set_id, used.seed, used.steps as n_steps,
    used.rmse_energy_mev_per_atom, unused.rmse_energy_mev_per_atom as rmse_energy_without_mev_per_atom,
    used.rmse_force_mev_per_angstrom, unused.rmse_force_mev_per_angstrom as rmse_force_without_mev_per_angstrom,
    used.rmse_virial_mev_per_atom, unused.rmse_virial_mev_per_atom as rmse_virial_without_mev_per_atom,
    unused.rmse_virial_mev_per_atom / used.rmse_virial_mev_per_atom as times_the_virial_error
from judged used
join judged unused on unused.alike is not distinct from used.alike and unused.is_without and not used.is_without
order by used.recipe, unused.recipe, used.training_set_id, used.steps, used.seed
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

ERROR_AGAINST_DEVIATION = View(
    "error_against_deviation",
    "Every frame that a committee was judged on: how much its potentials disagree, and how wrong one of them is; "
    "forces in meV/angstrom. Points on a line through zero would be a committee that knows its errors.",
    """
select
    committee_id, about.recipe, about.training_set_id, about.n_seeds, about.chemical_system, about.synthetic,
    composition, split, run_id, frame,
    deviation_force_mev_per_angstrom, error_force_mev_per_angstrom,
    error_force_mev_per_angstrom / nullif(deviation_force_mev_per_angstrom, 0) as force_error_over_deviation,
    max_deviation_force_mev_per_angstrom, max_error_force_mev_per_angstrom,
    deviation_energy_mev_per_atom, error_energy_mev_per_atom, deviation_virial_mev_per_atom, error_virial_mev_per_atom
from committee_frames
join (
    select distinct committee_id, committees.recipe, committees.training_set_id, len(potential_ids) as n_seeds,
           array_to_string(list_sort(type_map), '-') as chemical_system, synthetic
    from committees left join training_sets on training_sets.training_set_id = committees.training_set_id
) about using (committee_id)
""",
)
