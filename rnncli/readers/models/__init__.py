"""Readers of saved models: one file per kind, found by its stem; each has `read(source) -> Graph`."""
