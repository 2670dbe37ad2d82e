"""Runs on their way into the lake: read, linked to what is there, stored. The verb is `ingest`."""
