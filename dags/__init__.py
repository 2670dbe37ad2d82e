"""When, and in what order. Only workflow files belong here; what a step does is a command of its own."""
