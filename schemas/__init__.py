"""What things are called, in what unit, in what shape. No I/O and no other folder of ours belongs here."""
