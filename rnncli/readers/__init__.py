"""Bytes -> Case: the formats of inputs, saved models, and how what was read becomes the input of a layer."""
