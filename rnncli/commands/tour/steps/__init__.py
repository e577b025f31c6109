"""The steps of the lesson, one file each, found and ordered by the number in its name."""
