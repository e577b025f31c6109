"""The commands: one file or folder each, found by its name; names that begin with an underscore are none.

A command's module holds a function of the module's name, and three constants:

- SECTION: the heading under which the help lists it;
- SUMMARY: its line there;
- EXAMPLES: command lines, one per line, for the end of its own help.
"""
