"""The command line: what all commands share.  Only this folder and `__main__.py` print or exit."""
