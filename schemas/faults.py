"""Why a frame that was read must not be trained on: codes and what they mean. Acceptance rules are expectations."""

FAULTS: dict[str, str] = {
    "positions_not_finite": "the table of positions holds a value that is not a number (NaN, asterisks, damaged text)",
    "forces_not_finite": "the table of forces holds a value that is not a number (NaN, asterisks, damaged text)",
    "velocities_not_finite": "the table of velocities holds a value that is not a number",
    "forces_missing": "the frame has an energy but no forces",
    "row_count_wrong": "the table of positions or forces does not have one row per atom",
    "cell_missing": "the step has no lattice vectors",
    "cell_not_finite": "a lattice vector holds a value that is not a number",
    "energy_missing": "the step has positions and forces but no free energy",
    "energy_not_finite": "the free energy is not a number",
    "energy_and_forces_zero": "energy and all forces are exactly zero: an untrained force field, or never computed",
    "energy_ambiguous": "with PSTRESS the file does not tell the free energy from the enthalpy",
    "stress_not_finite": "the stress holds a value that is not a number",
    "no_electronic_steps": "no electronic step was done: the numbers are not an ab initio result",
    "ionic_counter_missing": "a line with the ionic counter is missing, so this frame's step number is not known",
    "energy_kind_unknown": (
        "the file does not tell which energy it holds; it is taken as the free energy of DFT only where an OUTCAR or "
        "vasprun.xml of the run says so"
    ),
    "not_periodic": "the file says that the cell does not repeat in all three directions",
    "atoms_differ": "the rows are not those of the atoms of the run's first frame, by id and element",
    "text_lost": "NUL bytes stand in the text of the step, so it may be pieced together from several",
    "label_source_unknown": "a force field and DFT took turns, and the file does not tell whose step this is",
}
