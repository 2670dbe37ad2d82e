"""What a split hides: errors of potentials that differ in nothing but how their frames were split."""

from schemas.views.description import View

_ERRORS = ("rmse_energy_mev_per_atom", "rmse_force_mev_per_angstrom", "rmse_virial_mev_per_atom")

LEAKAGE = View(
    "leakage",
    "Potentials of one recipe, seed and number of steps, trained on the same frames split in blocks and at random: "
    "errors of both side by side, the test part apart from the held-out compositions; with what both sets tell of "
    "their gap. An error over that of the training part is free of how well each was trained: near 1 with a random "
    "split, and above it by what that split hides with blocks.",
    f"""
with trained as (
    select potentials.potential_id, potentials.recipe, potentials.recipe_id, potentials.init_from, potentials.seed,
           potentials.n_steps, potentials.backend,
           sets.training_set_id, sets.split_rule, sets.pool_id, sets.test_fraction, sets.balance, sets.min_gap_fs,
           sets.correlation_time_fs, sets.leakage, sets.synthetic,
           array_to_string(list_sort(sets.type_map), '-') as chemical_system
    from potentials join training_sets sets on sets.training_set_id = potentials.training_set_id
    where sets.pool_id is not null
),
pairs as (
    select blocks.*, random.potential_id as random_potential_id, random.training_set_id as random_training_set_id,
           random.min_gap_fs as random_min_gap_fs
    from trained blocks join trained random
      on random.split_rule = 'random' and random.pool_id = blocks.pool_id and random.recipe = blocks.recipe
     and random.seed = blocks.seed and random.n_steps = blocks.n_steps and random.backend = blocks.backend
     and random.recipe_id is not distinct from blocks.recipe_id
     and random.init_from is not distinct from blocks.init_from
     and random.test_fraction = blocks.test_fraction and random.balance is not distinct from blocks.balance
    where blocks.split_rule = 'blocks'
)
select
    pairs.chemical_system, pairs.synthetic, recipe, seed, n_steps, of_blocks.split, of_blocks.composition,
    {", ".join(f"of_blocks.{name} as {name}_blocks, of_random.{name} as {name}_random" for name in _ERRORS)},
    of_blocks.rmse_force_mev_per_angstrom / blocks_trained.rmse_force_mev_per_angstrom as force_over_train_blocks,
    of_random.rmse_force_mev_per_angstrom / random_trained.rmse_force_mev_per_angstrom as force_over_train_random,
    of_blocks.rmse_energy_mev_per_atom / blocks_trained.rmse_energy_mev_per_atom as energy_over_train_blocks,
    of_random.rmse_energy_mev_per_atom / random_trained.rmse_energy_mev_per_atom as energy_over_train_random,
    pairs.min_gap_fs as min_gap_fs_blocks, pairs.random_min_gap_fs as min_gap_fs_random, pairs.correlation_time_fs,
    pairs.leakage as leakage_of_blocks, of_blocks.n_frames as n_frames_blocks, of_random.n_frames as n_frames_random,
    pairs.potential_id as potential_id_blocks, pairs.random_potential_id as potential_id_random,
    pairs.training_set_id as training_set_id_blocks, pairs.random_training_set_id as training_set_id_random
from pairs
join rmse of_blocks on of_blocks.potential_id = pairs.potential_id
join rmse of_random on of_random.potential_id = pairs.random_potential_id
 and of_random.split = of_blocks.split and of_random.composition = of_blocks.composition
left join rmse blocks_trained on blocks_trained.potential_id = pairs.potential_id
 and blocks_trained.composition = 'all' and blocks_trained.split = 'train'
left join rmse random_trained on random_trained.potential_id = pairs.random_potential_id
 and random_trained.composition = 'all' and random_trained.split = 'train'
order by recipe, seed, n_steps, pairs.potential_id, pairs.random_potential_id,
         list_position(['test', 'held_out', 'train'], of_blocks.split), of_blocks.composition <> 'all',
         of_blocks.composition
""",
)
