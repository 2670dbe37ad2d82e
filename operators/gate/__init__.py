"""What the gate's rules look at: one value per frame, one per run. Judging is `lake.gate`'s."""
