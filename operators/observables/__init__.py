"""What stands beside each other: AIMD, potential and experiment. Formulas are `physics`'s; the verb is `observe`."""
