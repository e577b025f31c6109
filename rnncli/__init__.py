"""rnncli: an explorer of the shapes and states of recurrent layers."""

__version__ = "0.1.0"
