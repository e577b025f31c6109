"""Bytes -> Case: read input files and saved models, and turn what was read into the input of a layer."""
