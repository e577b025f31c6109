"""Readers of saved models, one for each kind that `detect_kind` returns.

Each takes a Source, and returns a Graph, or Modules if files of its kind have no graph.  The reader of
Keras's files returns None if a file holds only weights.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from rnncli.errors import InputError, Message, inside
from rnncli.inputs import foreign
from rnncli.inputs.source import KERAS_SUFFIXES, TORCH_SUFFIXES, report_os_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rnncli.inputs.source import Source
    from rnncli.models.graph import Graph, Modules


KERAS_ENDS = (".keras", ".h5", "config.json", "saved_model.pb")
"""A zip file with a name that ends so is for the reader of Keras's files, whatever its suffix."""
READERS = {
    "checkpoint": "rnncli.models.weight_files.readers:read_checkpoint",
    "json": "rnncli.models.weight_files.readers:read_json",
    "keras": "rnncli.models.keras.reader:read",
    "npz": "rnncli.models.weight_files.readers:read_npz",
    "onnx": "rnncli.models.onnx.reader:read",
    "safetensors": "rnncli.models.weight_files.readers:read_safetensors",
    "torch": "rnncli.models.weight_files.readers:read_torch",
}
"""The functions that read each kind of saved model, and their files."""
BY_NAMES = ("checkpoint", "json", "npz", "safetensors", "torch")
"""The kinds in which --assume says which tensors belong to a layer."""

_KINDS = {
    **dict.fromkeys(KERAS_SUFFIXES, "keras"),
    **dict.fromkeys(TORCH_SUFFIXES, "torch"),
    ".safetensors": "safetensors",
    ".npz": "npz",
    ".onnx": "onnx",
    ".json": "json",
}


def read(source: Source, *, or_layers: bool = False, layers: Mapping[str, str] = {}) -> Graph | Modules:
    """Read the model in a file, to run it: its graph, or its layers if the file holds only weights.

    or_layers: if the graph of a file of Keras cannot be followed, return the layers that its names and
        shapes show, with a note that says why.
    layers: see `recognize.find_modules`.
    Raises InputError, also for a graph that cannot be followed; EngineError.
    """
    kind = detect_kind(source)
    module, _, name = READERS[kind].partition(":")
    reason: InputError | None = None
    try:
        contents: Graph | Modules | None = getattr(import_module(module), name)(
            source, **({"layers": layers} if kind in BY_NAMES else {})
        )
        if contents is not None:
            return contents
    except InputError as error:
        if kind != "keras" or not or_layers:
            raise
        reason = error
    from rnncli.models.weight_files import keras_weights

    try:
        weights = keras_weights.read(source)
    except InputError as error:
        raise reason or error from None
    if reason is None:
        return weights
    note = Message("the graph was not followed: {sentence}", sentence=reason.sentence)
    return replace(weights, notes=(note, *weights.notes))


def detect_kind(source: Source) -> str:
    """Return which of READERS reads the file, by its first bytes or its suffix.

    Raises InputError if none does.
    """
    path = source.path
    if path is not None:
        with report_os_errors(source.name):
            if foreign.checkpoint_of(path) is not None:
                return "checkpoint"
            foreign.refuse_tensorflow(path)
    if path is not None and "!" in str(path) and not path.exists():
        return "keras"  # a file inside a zip file
    start, suffix = _read_start(source), source.suffix
    if start.startswith(b"\x89HDF"):
        return "keras"
    if start.startswith(b"PK"):
        return _detect_kind_of_zip(source, suffix)
    if _is_onnx(start, suffix):
        return "onnx"
    if start[8:9] == b"{" and start[:1] not in b"{[":
        return "safetensors"
    if path is None and start.lstrip()[:1] in (b"{", b"["):
        return "json"
    if suffix in _KINDS:
        return _KINDS[suffix]
    if start[:1] == b"\x80" and suffix not in (".pkl", ".pickle"):
        return "torch"  # pickled, the older form; only the weights are read
    with inside(source.name):
        if path is not None:
            foreign.refuse_pickle(path)
        advice = "These can be read: {kinds}. From PyTorch: torch.save(model.state_dict(), 'model.pt')"
        raise InputError("it is not a model file that rnncli can read.", advice, kinds=", ".join(_KINDS))


def _read_start(source: Source) -> bytes:
    if source.data is not None:
        return source.data[:16]
    with report_os_errors(source.name), source.open() as file:
        return file.read(16)


def _is_onnx(start: bytes, suffix: str) -> bool:
    """Return whether the bytes begin as ONNX does: the version of the format, then another field."""
    if start[:1] != b"\x08" or not 0 < int.from_bytes(start[1:2], "big") < 32:
        return False
    return suffix == ".onnx" or (suffix not in _KINDS and start[2:3] in (b"\x12", b"\x1a", b"\x3a", b"B"))


def _detect_kind_of_zip(source: Source, suffix: str) -> str:
    import io
    import zipfile

    data = source.path if source.data is None else io.BytesIO(source.data)
    names: list[str] = []
    # zipfile raises many types of exception for broken files; the reader reports it
    with suppress(Exception), zipfile.ZipFile(data) as archive:  # type: ignore[arg-type]
        names = archive.namelist()
    if not names:
        return _KINDS.get(suffix, "keras")
    if any(name.endswith(("data.pkl", "archive_format")) or "/code/" in f"/{name}" for name in names):
        return "torch"
    if suffix in TORCH_SUFFIXES and not any(name.endswith(KERAS_ENDS) for name in names):
        return "torch"  # which reports that it is not PyTorch's
    return "npz" if all(name.endswith(".npy") for name in names) else "keras"
