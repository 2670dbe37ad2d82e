"""Rules over one value per frame."""

from schemas.frames import CONVERGED
from schemas.gate.rule import Rule, Rules

READ_WHOLE = "read_whole"
"""The rule that reading faults break; a frame's row names the faults themselves instead."""

LABEL_RULES = frozenset({"scf_converged", "label_from_dft", "energy_present", "forces_present"})
"""Rules about labels: positions without labels fail them, and may still be averaged over."""

NEVER_OVERRULED = frozenset({READ_WHOLE, "energy_present", "forces_present"})
"""Rules that nobody's word can replace: what they ask for is not there."""

UNLABELLED_RULES = frozenset({"label_from_dft"})
"""Rules that frames without DFT labels fail, which is nobody's fault."""

_OF_SHORTEST_PAIR = "times the shortest trainable distance (1.5 angstrom between metal atoms)"

_OF_UNEXPLAINED = "times the limit, ten times what the run's usual step leaves unexplained"

_REJECTING: Rules = (
    Rule(
        name=READ_WHOLE,
        column="n_faults",
        severity="reject",
        maximum=0,
        unit="reading faults",
        reason="a value of the frame could not be read; the reading faults are listed beside it",
    ),
    Rule(
        name="scf_converged",
        origins=("aimd",),
        column="scf_verdict",
        severity="reject",
        allowed=CONVERGED,
        reason="forces of an unconverged electronic step are not those of the ground state",
    ),
    Rule(
        name="label_from_dft",
        origins=("aimd",),
        column="label_source",
        severity="reject",
        allowed=("dft",),
        reason="a frame labelled by a machine-learned force field teaches its errors",
    ),
    Rule(
        name="energy_present",
        origins=("aimd",),
        column="energy_ev",
        severity="reject",
        not_null=True,
        reason="a frame without its energy cannot be trained on",
    ),
    Rule(
        name="forces_present",
        origins=("aimd",),
        column="max_force_ev_per_angstrom",
        severity="reject",
        not_null=True,
        reason="a frame without all its forces cannot be trained on",
    ),
    Rule(
        name="energy_is_free",
        origins=("aimd",),
        column="energy_kind_gap_ev",
        severity="reject",
        maximum=1e-4,
        unit="eV",
        reason="the three energies of a smeared calculation fix each other: this one is not the free energy, which "
        "alone belongs to the forces",
    ),
    Rule(
        name="virial_is_pressure",
        origins=("aimd",),
        column="pressure_gap_gpa",
        severity="reject",
        maximum=0.005,
        unit="GPa",
        reason="the trace of the stress is not the pressure that the file prints: sign, unit or volume is wrong",
    ),
    Rule(
        name="energy_follows_forces",
        origins=("aimd",),
        column="energy_mismatch_mev_per_atom",
        severity="reject",
        maximum=1.0,
        unit="meV/atom (0 unless far beyond what the run's other steps leave unexplained)",
        reason="the energy does not change by the work of the forces, neither from the frame before nor to the next",
    ),
    Rule(
        name="energy_of_one_kind",
        origins=("aimd",),
        column="energy_level_mev_per_atom",
        severity="reject",
        maximum=1.0,
        unit="meV/atom (0 but between a jump and its way back)",
        reason="the energy jumps before these frames and back behind them: between, it is another kind of energy",
    ),
    Rule(
        name="forces_fit_neighbours",
        origins=("aimd",),
        column="forces_over_limit",
        severity="reject",
        maximum=1.0,
        unit="times the unlikeness that forces of neighbouring frames may have",
        reason="the forces are unlike those of the frames before and after: another unit, sign or order of atoms",
    ),
    Rule(
        name="virial_fits_neighbours",
        origins=("aimd",),
        column="virial_over_limit",
        severity="reject",
        maximum=1.0,
        unit="times the largest change of the virial that a step of this run may bring",
        reason="the virial is far from that of the frames before and after",
    ),
    Rule(
        name="atoms_move_on",
        column="way_over_limit",
        severity="reject",
        maximum=1.0,
        unit="times the longest way that an atom may go in one step of this run",
        reason="atoms jump into this frame and out of it again: their order or their cell is another one",
    ),
    Rule(
        name="pairs_apart",
        column="min_distance_over_limit",
        severity="reject",
        minimum=1.0,
        unit=_OF_SHORTEST_PAIR,
        reason="atoms this close mean a broken cell or a run that exploded",
    ),
    Rule(
        name="forces_bounded",
        column="max_force_ev_per_angstrom",
        severity="reject",
        maximum=50.0,
        unit="eV/angstrom",
        reason="a force this large belongs to a run that exploded",
    ),
    Rule(
        name="virial_bounded",
        column="max_virial_ev_per_atom",
        severity="reject",
        maximum=200.0,
        unit="eV/atom",
        reason="a stress this large (about 20 Mbar in a metallic melt) is a damaged number, not a pressure",
    ),
    Rule(
        name="frame_not_repeated",
        column="content_id",
        severity="reject",
        unique=True,
        reason="a restart writes some steps again; the same frame twice leaks between train and test",
    ),
)

_FLAGGING: Rules = (
    Rule(
        name="temperature_bounded",
        column="temperature_over_limit",
        severity="flag",
        maximum=1.0,
        unit="times the limit, one and a half times what a thermostat's fluctuation reaches",
        reason="the run heats up without bound: a time step too long, or a thermostat that lost it",
    ),
    Rule(
        name="energy_expected",
        origins=("aimd",),
        column="energy_mismatch_over_limit",
        severity="flag",
        maximum=1.0,
        unit=_OF_UNEXPLAINED,
        reason="the energy is off by more than the run's other steps leave unexplained; below 1 meV/atom it may be the "
        "electronic loop",
    ),
    Rule(
        name="energy_continuous",
        origins=("aimd",),
        column="energy_jump_over_limit",
        severity="flag",
        maximum=1.0,
        unit=_OF_UNEXPLAINED,
        reason="from this frame on, or at this frame, the energy counts from elsewhere",
    ),
    Rule(
        name="net_force_small",
        column="net_force_per_root_n_ev_per_angstrom",
        severity="flag",
        maximum=0.05,
        unit="eV/angstrom times the root of the number of atoms",
        reason="a large total drift tells of too coarse a grid",
    ),
    Rule(
        name="forces_moderate",
        column="max_force_ev_per_angstrom",
        severity="flag",
        maximum=20.0,
        unit="eV/angstrom",
        reason="rare in a melt; worth a look",
    ),
    Rule(
        name="pairs_not_close",
        column="min_distance_over_limit",
        severity="flag",
        minimum=1.13,
        unit=_OF_SHORTEST_PAIR,
        reason="rare in a metallic melt; worth a look",
    ),
    Rule(
        name="force_usual",
        column="max_force_deviations",
        severity="flag",
        maximum=10.0,
        unit="robust standard deviations from the run's median",
        reason="the largest force stands out of its run",
    ),
    Rule(
        name="pressure_usual",
        column="pressure_deviations",
        severity="flag",
        maximum=10.0,
        unit="robust standard deviations from the run's median",
        reason="the pressure stands out of its run",
    ),
    Rule(
        name="every_atom_moves",
        column="n_atoms_at_rest",
        severity="flag",
        maximum=0,
        unit="atoms at rest",
        reason="atoms stayed exactly where they were while others moved: frozen on purpose, or copied",
    ),
    Rule(
        name="no_jump",
        column="jump_over_limit",
        severity="flag",
        maximum=1.0,
        unit="times the longest way that an atom may go in one step",
        reason="the trajectory does not go on from the frame before: velocities and displacements across it are wrong",
    ),
    Rule(
        name="no_step_missing",
        column="steps_over_stride",
        severity="flag",
        maximum=1.5,
        unit="times the run's usual stride",
        reason="ionic steps are missing before this frame: velocities and displacements across the gap are wrong",
    ),
)

FRAME_RULES: Rules = _REJECTING + _FLAGGING
