"""The file of a model under the suffix that its framework expects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rnncli.errors import LayerError

HDF5 = (".h5", ".hdf5")


@contextmanager
def loadable(path: Path) -> Iterator[Path]:
    """Yield the file of a Keras model under a suffix that matches its content.

    Raises LayerError for a model that is not in a file of its own.
    """
    if not path.is_file():
        raise LayerError(
            "Keras can load this model only from a file of its own.", "Save it as a file, and name that."
        )
    with path.open("rb") as file:
        suffix = ".keras" if file.read(2) == b"PK" else ".h5"
    if path.suffix == suffix or (suffix == ".h5" and path.suffix in HDF5):
        yield path
        return
    with TemporaryDirectory() as folder:
        link = Path(folder) / f"model{suffix}"
        link.symlink_to(path.resolve())
        yield link
