"""The commands: one file or folder each, listed in `rnncli/cli/catalog.py`.

A command's module holds a function with the module's name, and EXAMPLES: command lines, one per line, shown
at the end of its help.
"""
