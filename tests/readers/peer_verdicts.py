"""Who is right where a peer reads a reference file otherwise, and why: each was looked up in the file itself."""

WHY: dict[str, str] = {
    r"ASE.* ti32-aimd-nwrite0/OUTCAR": (
        "Ours: with NWRITE = 0 the file has ten free energies and two tables of positions; ASE wants a table per step."
    ),
    r"dpdata h2o-md3-conv": (
        "Ours: step 1 ends at NELM = 21 with a change of 3.9e-7 eV, below EDIFF = 1e-6 eV: converged. dpdata "
        "drops every step that ends at NELM."
    ),
    r"dpdata ch4-unconverged": (
        "Ours: steps 1 and 2 end at NELM = 15 with changes of 2.4e-3 and 6.0e-7 eV, and EDIFF is 1e-6 eV: only "
        "step 1 is unconverged. It is kept with that verdict, since a dropped step breaks the time axis."
    ),
    r"dpdata ch4-1step": (
        "Both: NELM = 1 and a change of 18 eV, so nothing can be trained on. We keep the frame as `unconverged`; "
        "dpdata drops it and then fails on the empty array."
    ),
    r"dpdata si-nelm-breach": (
        "Both: all five steps end at NELM = 6 with changes of 3.5e-6 eV or more, above EDIFF = 1e-6 eV. We keep "
        "them as `unconverged`; dpdata drops them and then fails on the empty array."
    ),
    r"dpdata h2o-nelm2": (
        "Both: NELM = 2 and changes of 68 and 0.3 eV. We keep the frames as `unconverged`; dpdata drops them and "
        "then fails on the empty array."
    ),
    r"dpdata oand-stopped": (
        "Both: the only step ends at NELM = 100 with a change of 0.56 eV, although VASP 5.2 prints that EDIFF is "
        "reached. We keep it as `unconverged`; dpdata drops it and then fails on the empty array."
    ),
    r"dpdata al2-dpgen": (
        "Ours: the step ends at NELM = 10 with a change of 8.8e-7 eV, below EDIFF = 1e-6 eV: converged. dpdata "
        "drops it and then fails on the empty array."
    ),
    r"dpdata si1-unconv-v620/OUTCAR": (
        "Ours: VASP 6.2 itself calls step 1 unconverged and step 4 reached (8.8e-10 eV, EDIFF = 1e-9 eV); both "
        "end at NELM = 15. dpdata drops both, we keep both and mark step 1."
    ),
    r"dpdata si1-unconv-v620/vasprun": (
        "Ours: steps 1 and 4 end at NELM = 15, and the file prints EDIFF as 0.00000000 and no change of 1e-9 eV, "
        "so it does not tell. We keep both as `suspect`; the OUTCAR shows that step 4 converged."
    ),
    r"ASE.* (ch4-mlff|h2-mlff)": (
        "Ours: the ab initio steps are whole. ASE takes `free  energy ML TOTEN  =` of VASP's force field for the "
        "line of the free energy and finds `=` where it expects the number."
    ),
    r"ASE.* ge8-vdw/OUTCAR": (
        "Ours, and dpdata's: with the vdW functional `w/o vdW = ...` stands between the energies of a line, and "
        "ASE takes the line's seventh word, `vdW`, for a number. The vasprun.xml of the run has our energies."
    ),
    r"zn2-v46|ag32h-v522": (
        "Ours: up to 5.2.2 VASP prints the free energy before the stress and the table of the same step, so a "
        "reader that ends a step at the energy finds none of them."
    ),
    r"ASE.* nitinb253-aborted/vasprun": (
        "Ours: VASP was killed in the eleventh electronic iteration of step 1; there are no forces and no stress."
    ),
    r"dpdata (si8-relax-truncated|bad-vasprun-(cut|no|nul))": (
        "Ours: the steps before the cut are whole. dpdata parses the whole file as XML before its tolerant loop; "
        "with `convergence_check=False` it gives our frames."
    ),
    r"pymatgen si8-relax-truncated": (
        "Ours: the steps before the cut are whole. pymatgen fails on asterisks in KINTER, a setting that no frame "
        "depends on."
    ),
    r"pymatgen si2-h5": (
        "Ours, and py4vasp's: the file has `intermediate/ion_dynamics/stress` for its three steps; pymatgen does "
        "not read it."
    ),
    r"pymatgen ti32-md-h5": (
        "Ours, and py4vasp's: this file was made without `input/kpoints`, which no frame depends on; pymatgen wants it."
    ),
    r"ASE xdatcar-v4": (
        "Ours, and pymatgen's: four configurations of three rows each, parted by blank lines, as VASP 4 wrote them."
    ),
    r"ASE xdatcar-bad-fmt": (
        "Ours, and pymatgen's: in configuration 2 two numbers touch (`-0.63265286-0.11227753`), and the minus "
        "sign parts them."
    ),
    r"bad-xdatcar-cut": (
        "Ours: four of the five configurations are whole, the fifth ends in its rows; the others give up all five."
    ),
    r"dpdata.* bad-outcar-gz-cut": (
        "Ours: five steps can be unpacked before the stream breaks. dpdata opens no compressed file at all."
    ),
    r"ASE.* bad-outcar-gz-cut": (
        "Ours: five steps can be unpacked before the stream breaks; the run is marked as not complete."
    ),
    r"dpdata.* bad-outcar-force-stars": (
        "Both: step 3 has asterisks for one force and cannot be trained on. dpdata drops the step, we keep it "
        "flagged, so that nine steps stay where they are in time."
    ),
    r"bad-(outcar|vasprun)-force-stars": (
        "Ours: one force of one step is asterisks. That step is flagged, and the other nine are whole."
    ),
    r"bad-outcar-force-nan": (
        "Ours: one force of step 3 is NaN in the file. Python reads it as a number, so it has to be looked for."
    ),
    r"dpdata.* bad-outcar-kB-glued": (
        "Ours, and ASE's: the six numbers of the `in kB` line of step 4 touch, and the minus signs part them."
    ),
}
"""`PEER FILE` as a pattern, and the verdict; the first pattern that is found counts."""
