"""PyTorch's state dicts, and checkpoints that contain one; nothing in the file is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rnncli.errors import EngineError, InputError
from rnncli.readers import zips
from rnncli.readers.models import _modules, _stand_ins

if TYPE_CHECKING:
    from rnncli.model import Modules
    from rnncli.readers.source import Source

ADVICE = "If the model can be built, save only its weights: torch.save(model.state_dict(), 'model.pt')"
OBJECTS = "it contains Python objects, such as a whole model, and only tensors are loaded"
DEPTH = 16


def read(source: Source) -> Modules:
    """Read the recurrent modules in the file, and the shapes of its other tensors.

    Raises EngineError without PyTorch; InputError if the file is not a state dict.
    """
    data = source.content(ADVICE)
    _refuse_others(data, source.name)
    return _modules.modules(source.name, _tensors(_load(data, source.name), source.name))


def _refuse_others(data: bytes, name: str) -> None:
    """Raise InputError for TorchScript, and for a zip file that unpacks to too much."""
    if not data.startswith(b"PK"):
        return
    with zips.open_archive(data, f"{name}: ", "it is a broken or truncated zip file", ADVICE) as archive:
        zips.require_room(archive, len(data))
        files = archive.namelist()
    if any("/code/" in f"/{file}" or file.endswith("constants.pkl") for file in files):
        raise InputError(f"{name}: it is a TorchScript program, which is not run.", ADVICE)
    if not any(file.endswith("data.pkl") for file in files):
        raise InputError(f"{name}: it is a zip file, but not one of PyTorch.", ADVICE)


def _load(data: bytes, name: str) -> Any:
    """Return what torch.load reads with weights_only; see `_stand_ins`."""
    try:
        import torch  # noqa: F401
    except ImportError:
        raise EngineError(
            f"{name}: PyTorch is not installed; it is needed to read .pt files.",
            "pip install 'rnncli[torch]'",
        ) from None
    import pickle

    try:
        return _stand_ins.load(data)
    except pickle.UnpicklingError as error:
        text = str(error)
        if "Unsupported global" in text or "Unsupported class" in text or "not allowed" in text:
            what = OBJECTS
        else:
            what = "it is not a state dict of PyTorch"
        raise InputError(f"{name}: {what}.", ADVICE) from None
    except Exception as error:  # torch raises many kinds for broken files
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        raise InputError(f"{name}: PyTorch cannot read it ({reason}).", ADVICE) from None


def _tensors(found: Any, name: str) -> dict[str, Any]:
    """Return every tensor by name; containers become a prefix if several hold recurrent layers."""
    by_path: dict[str, dict[str, Any]] = {}
    if isinstance(found, _stand_ins.StandIn):
        raise InputError(f"{name}: {OBJECTS}.", ADVICE)
    for path, key, tensor in _walk(found, "", 0):
        if isinstance(tensor, _stand_ins.StandIn):
            raise InputError(f"{name}: {key} is a Python object, and only tensors are loaded.", ADVICE)
        if tensor.is_meta:
            raise InputError(
                f"{name}: {key} has a shape and no numbers: its device is meta.",
                "Load the weights, then save.",
            )
        by_path.setdefault(path, {})[key] = tensor
    if not by_path:
        what = f"it holds no tensors by name, only a value of type {type(found).__name__}"
        raise InputError(f"{name}: {what}.", ADVICE)
    recurrent = [path for path, own in by_path.items() if any(map(_modules.is_recurrent, own))]
    named: dict[str, Any] = {}
    for path, own in by_path.items():
        prefix = f"{path}." if path and [path] != recurrent else ""
        for key, tensor in own.items():
            named[prefix + key] = _array(tensor) if _modules.is_recurrent(key) else tensor
    return named


def _walk(value: Any, path: str, depth: int) -> Iterator[tuple[str, str, Any]]:
    """Yield the path of the dict, the key and the tensor, for every tensor in nested dicts.

    Also of what has the name of a weight and is an object.
    """
    if not isinstance(value, Mapping) or depth > DEPTH:
        return
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _walk(item, f"{path}.{key}" if path else str(key), depth + 1)
        elif hasattr(item, "detach") or (
            isinstance(item, _stand_ins.StandIn) and _modules.is_recurrent(str(key))
        ):
            yield path, str(key), item


def _array(tensor: Any) -> Any:
    """Return the numbers; bfloat16, which NumPy lacks, as float32.  Quantized and other tensors stay."""
    import torch

    if tensor.layout is not torch.strided or tensor.is_quantized or not tensor.is_floating_point():
        return tensor
    floats = tensor.detach()
    return (floats.float() if floats.dtype == torch.bfloat16 else floats).contiguous().numpy()
