"""Programs that go with an exported potential as they are. They stand alone: nothing of meltlake is imported."""
