"""NumPy .npz files: arrays by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rnncli.errors import InputError, Message
from rnncli.inputs.formats.npy import read_array
from rnncli.inputs.source import Source, open_archive, require_room
from rnncli.values import Array

ADVICE = Message("Write it again with numpy.savez: uncompressed arrays of numbers.")


def load(source: Source) -> dict[str, Array]:
    """Return all arrays by name."""
    return read_arrays(source.content(Message("Write one with numpy.savez.")))


def read_arrays(
    data: bytes, choose: Callable[[Sequence[str]], Sequence[str]] = list, most: int | None = None
) -> dict[str, Array]:
    """Return the arrays by name.

    choose: takes the names of all arrays, and returns the names of those to read.
    most: bytes that these may expand to; see `zips.require_room`.
    """
    if not data.startswith(b"PK"):
        raise InputError("it is not a .npz file.", "Write one with numpy.savez.")
    arrays: dict[str, Array] = {}
    with open_archive(data, Message("it is damaged or truncated"), ADVICE) as archive:
        entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        chosen = choose(list(entries))
        require_room(archive, len(data), ADVICE, [entries[name].filename for name in chosen], most)
        for name in chosen:
            entry, shown = entries[name], name[:100]
            with archive.open(entry) as file:
                subject = Message("{name} in it", name=shown)
                arrays[name] = read_array(file, entry.file_size, ADVICE, subject)
                if file.read(1):  # zipfile compares the checksum only at the end
                    raise InputError(
                        "{name} in it has more bytes than its header declares.", ADVICE, name=shown
                    )
    return arrays
