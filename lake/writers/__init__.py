"""Doors out of meltlake in VASP's own layouts, for synthetic runs only; reading them belongs to `lake.readers`."""
