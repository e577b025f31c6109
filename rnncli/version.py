"""The version of rnncli, which stands below everything that shows or writes it."""

__version__ = "0.1.0"
