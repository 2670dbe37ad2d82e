"""What the formulas say, on plain arrays. Files, the lake, subprocesses and schedules do not belong here."""
