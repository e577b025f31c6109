"""Saved models: one file per kind."""
