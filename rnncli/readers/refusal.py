"""The error of the readers that do not know the file's name."""


class RefusalError(Exception):
    """The file is rejected; the message completes a sentence that starts with the file name."""
