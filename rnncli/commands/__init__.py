"""The commands: one file or folder each, found by name; names with a leading underscore are skipped.

A command's module holds a function with the module's name and three constants:

- SECTION: the help section that lists it;
- SUMMARY: its one-line description there;
- EXAMPLES: command lines, one per line, shown at the end of its help.
"""
