"""LAMMPS: its input, its process, its log. The verb is `simulate`."""
