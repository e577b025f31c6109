"""The exercises, one file each, found and ordered by the number in its name."""
