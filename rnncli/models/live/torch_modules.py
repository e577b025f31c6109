"""The modules inside a PyTorch module, with their paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from rnncli.models.live.torch_calls import RECURRENT

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
"""Modules that compute nothing themselves."""


def uncompiled(model: Any) -> Any:
    """Return the module inside what torch.compile made."""
    while "_orig_mod" in model._modules:
        model = model._orig_mod
    return model


def named_modules(
    module: nn.Module, path: str = "", seen: set[int] | None = None
) -> Iterator[tuple[str, Any]]:
    """Yield every module inside with its path, also those in plain lists and dicts, each once.

    What torch.compile made and the module inside it have the same path.
    """
    seen = set() if seen is None else seen
    if id(module) in seen:
        return
    seen.add(id(module))
    yield path, module
    children: dict[str, Any] = dict(module.named_children())
    for name, value in list(vars(module).items()):
        if isinstance(value, (list, tuple, dict)) and not name.startswith("_"):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            children |= {f"{name}.{key}": item for key, item in items if isinstance(item, nn.Module)}
    for name, child in children.items():
        parts = (path, "" if name == "_orig_mod" else name)
        yield from named_modules(child, ".".join(filter(None, parts)), seen)


def other_layers(model: nn.Module) -> tuple[str, ...]:
    """Return the modules that are not recurrent, `fc (Linear)`, and the `forward` of the object itself."""
    model = uncompiled(model)
    if isinstance(model, RECURRENT):
        return ()
    names = tuple(
        f"{path} ({type(module).__name__})"
        for path, module in other_modules(dict(named_modules(model))).items()
        if not isinstance(module, CONTAINERS)
    )
    return names if isinstance(model, CONTAINERS) else (*names, f"{type(model).__name__}.forward")


def other_modules(modules: Mapping[str, Any]) -> dict[str, Any]:
    """Return the modules that are neither recurrent, nor inside a recurrent one, nor the object itself."""
    inside = tuple(
        f"{path}." if path else "" for path, module in modules.items() if isinstance(module, RECURRENT)
    )
    return {
        path: module
        for path, module in modules.items()
        if path and not isinstance(module, RECURRENT) and not path.startswith(inside)
        if "parametrizations" not in path.split(".")
    }
