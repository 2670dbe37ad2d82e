"""From frames to a frozen model: the frames chosen, DeePMD's input, its process, the errors of what it learnt."""
