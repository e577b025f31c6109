"""PyTorch's state dicts, and checkpoints that contain one; nothing in the file is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.errors import EngineError, InputError, Message, inside
from rnncli.inputs import zips
from rnncli.models.modules import _modules, _torch_file
from rnncli.models.modules._torch_file import ADVICE

if TYPE_CHECKING:
    from rnncli.inputs.source import Source
    from rnncli.models.graph import Modules


def read(source: Source) -> Modules:
    """Read the recurrent modules in the file, and the shapes of its other tensors.

    Raises EngineError without PyTorch; InputError if the file is not a state dict.
    """
    data = source.content(ADVICE)
    with inside(source.name, EngineError):
        try:
            tensors = _torch_file.read(data, _unpacked_size(data))
        except ImportError:
            raise EngineError(
                "PyTorch is not installed; it is needed to read .pt files.", "pip install torch"
            ) from None
    return _modules.find_modules(source.name, tensors, "PyTorch")


def _unpacked_size(data: bytes) -> int:
    """Return the bytes of the file without compression.

    Raises InputError for a program of PyTorch, and for a zip file that unpacks to too much.
    """
    if not data.startswith(b"PK"):
        return len(data)
    with zips.open_archive(data, Message("it is a broken or truncated zip file"), ADVICE) as archive:
        zips.require_room(archive, len(data), ADVICE)
        files = {entry.filename: entry.file_size for entry in archive.infolist()}
    if any("/code/" in f"/{file}" or file.endswith("constants.pkl") for file in files):
        raise InputError("it is a TorchScript program, which rnncli does not run.", ADVICE)
    if any(file.endswith("archive_format") for file in files):
        raise InputError("it is a torch.export program, which rnncli does not run.", ADVICE)
    if not any(file.endswith("data.pkl") for file in files):
        raise InputError("it is a zip file, but not PyTorch's.", ADVICE)
    return sum(files.values())
