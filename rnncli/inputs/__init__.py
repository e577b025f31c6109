"""Bytes -> Document: read input files, and arrange what they hold into the input of a layer."""
