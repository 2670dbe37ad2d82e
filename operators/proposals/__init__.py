"""Which composition to compute next, and what VASP needs for it. The verb that answers is `propose`."""
