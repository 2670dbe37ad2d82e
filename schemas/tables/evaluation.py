"""What is known of potentials beyond their own errors: committees, coverage, safe distances, model cards."""

from schemas.tables.description import FLAG, REAL, TEXT, TEXTS, WHOLE, column, table

COMMITTEES = table(
    "committees",
    "committee x composition x split: what the disagreement of potentials of several seeds says of their error",
    "committee_id",
    column("committee_id", TEXT, "name: hash of what its potentials have in common"),
    column("composition", TEXT, "the composition, or `all` for the pool of a split"),
    column("split", TEXT, "train, test or held_out; unused: frames that its training set does not have"),
    column("potential_ids", TEXTS, "its potentials, in the order of their seeds"),
    column("model_sha256s", TEXTS, "of their model files, same order"),
    column("recipe", TEXT, "common to all of them"),
    column("training_set_id", TEXT, "common to all of them"),
    column("n_steps", WHOLE, "training steps, common to all of them"),
    column("n_frames", WHOLE, "frames evaluated"),
    column("deviation_energy_mev_per_atom", REAL, "standard deviation over the potentials, root mean square of frames"),
    column("error_energy_mev_per_atom", REAL, "RMSE against DFT, pooled over frames and potentials"),
    column("deviation_force_mev_per_angstrom", REAL, "the same, pooled over every component of every atom"),
    column("error_force_mev_per_angstrom", REAL, "RMSE against DFT, pooled over components and potentials"),
    column("deviation_virial_mev_per_atom", REAL, "the same, pooled over nine components; null without virials"),
    column("error_virial_mev_per_atom", REAL, "RMSE against DFT, pooled likewise; null without virials"),
    column(
        "force_error_over_deviation",
        REAL,
        "true force error in units of the deviation; the larger, the more the potentials err alike",
    ),
    column("force_correlation", REAL, "Pearson, of the frames' force deviations and errors; null under three frames"),
    column("within_2_deviations_frac", REAL, "share of frames whose force error is at most twice their deviation"),
    column(
        "within_3_deviations_frac", REAL, "share of frames whose force error is at most three times their deviation"
    ),
    column(
        "deviations_for_95_percent",
        REAL,
        "the factor k so that 95 % of frames have a force error of at most k deviations",
    ),
    column("max_deviation_force_mev_per_angstrom", REAL, "largest deviation of the force on any atom"),
)

COMMITTEE_FRAMES = table(
    "committee_frames",
    "committee x frame: disagreement beside true error, as `dp model-devi` defines both",
    "committee_id",
    column("committee_id", TEXT, "the committee"),
    column("composition", TEXT, "the composition"),
    column(
        "split",
        TEXT,
        "train, test or held_out; unused: a sample of accepted frames that its training set does not have",
    ),
    column("run_id", TEXT, "the run"),
    column("frame", WHOLE, "the frame in its run"),
    column("n_atoms", WHOLE, "atoms in the frame"),
    column("deviation_energy_mev_per_atom", REAL, "standard deviation over the potentials"),
    column("error_energy_mev_per_atom", REAL, "against DFT, root mean square over the potentials"),
    column("deviation_force_mev_per_angstrom", REAL, "standard deviation, root mean square over all components"),
    column("error_force_mev_per_angstrom", REAL, "against DFT, root mean square over components and potentials"),
    column("mean_deviation_force_mev_per_angstrom", REAL, "length of an atom's deviation, mean over atoms"),
    column("mean_error_force_mev_per_angstrom", REAL, "length of an atom's error, mean over atoms"),
    column("max_deviation_force_mev_per_angstrom", REAL, "length of an atom's deviation, largest of any atom"),
    column("max_error_force_mev_per_angstrom", REAL, "length of an atom's error, largest of any atom"),
    column("deviation_virial_mev_per_atom", REAL, "standard deviation, root mean square over nine components"),
    column("error_virial_mev_per_atom", REAL, "against DFT, likewise; null without virials"),
)

COVERAGE = table(
    "coverage",
    "training set x cutoff x composition x split: how much of a melt's environments the training frames know",
    "training_set_id",
    column("training_set_id", TEXT, "the training set"),
    column("r_cut_angstrom", REAL, "radius of the environments: the cutoff of a potential"),
    column("composition", TEXT, "composition of the melt"),
    column("split", TEXT, "train, test or held_out; unused: a composition that is not in the training set"),
    column("origin", TEXT, "aimd, or dnnp where a composition has simulations only"),
    column(
        "coverage_frac",
        REAL,
        "share of its environments in the cells (2 at.%) that hold 99 % of the training environments",
    ),
    column("n_frames", WHOLE, "frames that were looked at: an even sample"),
    column("sample_id", TEXT, "name: hash of which frames of which runs; another one is due where the lake has others"),
    column("n_environments", WHOLE, "atoms in them"),
)

CLOSEST_PAIRS = table(
    "closest_pairs",
    "training set x pair of elements: how close two atoms came in any frame that is trained on",
    "training_set_id",
    column("training_set_id", TEXT, "the training set"),
    column("pair", TEXT, "elements in alphabetical order, such as Al-Ni"),
    column("min_distance_angstrom", REAL, "smallest distance; below it a potential extrapolates"),
    column("run_id", TEXT, "run of the frame that has it"),
    column("frame", WHOLE, "that frame in its run"),
)

MODEL_CARDS = table(
    "model_cards",
    "potential: its model card",
    "potential_id",
    column("potential_id", TEXT, "the potential"),
    column("card_version", WHOLE, "of the card's fields"),
    column("observed", FLAG, "the card has the potential's errors"),
    column("card", TEXT, "JSON; its fields are told in docs/potentials.md"),
)
