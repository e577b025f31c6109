"""The version, where neither the command line nor an answer has to load more than this to say it."""

__version__ = "0.1.0"
