"""Families of causes, one file each, found by its name.

A file has `CAUSES = Causes()`, and one function per cause under `@CAUSES.add(name, pattern)`. The function
returns an explanation and its fixes, in the numbers of the message, or None if the message turns out to be
of another cause.
"""
