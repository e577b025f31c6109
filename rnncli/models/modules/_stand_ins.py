"""Stand-ins for the Python objects in a checkpoint, so that its tensors are read and no code of it is run."""

from __future__ import annotations

from typing import Any, BinaryIO

TENSORS = ("torch", "collections", "builtins")
"""Packages of the objects that tensors consist of; PyTorch decides which of them it loads."""


class StandIn:
    """Replaces an object, such as the arguments of a training run; accepts anything and stores nothing."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> StandIn:
        """Ignore the arguments of the object."""
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


def load(file: BinaryIO) -> Any:
    """Load what torch.load reads with weights_only, with a StandIn for every object of another package.

    Raises what torch.load raises, also for objects of PyTorch that it does not load.
    """
    import torch

    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    except (AttributeError, ValueError):  # an earlier PyTorch, or a file in its first format
        names = []
    file.seek(0)
    others = [name for name in names if name.partition(".")[0] not in TENSORS]
    stand_ins: list[Any] = [(type("StandIn", (StandIn,), {}), name) for name in others]
    with torch.serialization.safe_globals(stand_ins) if stand_ins else torch.no_grad():
        return torch.load(file, weights_only=True, map_location="cpu")
