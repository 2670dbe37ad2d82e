"""Where things are, and how they get in and out. Formulas, steps and schedules do not belong here."""
