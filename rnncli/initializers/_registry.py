"""Find initializers by name.

Every module here without a leading underscore lists its initializers in INITIALIZERS.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from rnncli.case import Spec
from rnncli.errors import LayerError, did_you_mean, fold_name
from rnncli.initializers._contract import Initializer


@cache
def list_initializers() -> tuple[Initializer, ...]:
    """All initializers."""
    package = __name__.rpartition(".")[0]
    names = sorted(module.name for module in iter_modules([str(Path(__file__).parent)]))
    families = (import_module(f"{package}.{name}") for name in names if not name.startswith("_"))
    return tuple(initializer for family in families for initializer in family.INITIALIZERS)


def find(name: str) -> Initializer:
    """The initializer called `name`; case and underscores don't matter.

    Raises LayerError if it does not exist.
    """
    found = _index_by_name().get(fold_name(name))
    if found is None:
        raise LayerError(
            f"there is no initializer '{name}'.",
            did_you_mean(name, [snake_case(i) for i in list_initializers()]),
        )
    return found


def snake_case(initializer: Initializer) -> str:
    """Keras's short name, such as `random_normal` for RandomNormal."""
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", initializer.class_name).lower()


def settings(value: str | Spec) -> tuple[Initializer, dict[str, Any]]:
    """The initializer and the values of all its options, defaults included."""
    name, given = (value, {}) if isinstance(value, str) else (value.class_name, value.config)
    initializer = find(name)
    return initializer, {name: option.default for name, option in initializer.options.items()} | dict(given)


@cache
def _index_by_name() -> dict[str, Initializer]:
    names: dict[str, Initializer] = {}
    for initializer in list_initializers():
        for name in (initializer.class_name, initializer.class_name + "Initializer", *initializer.aliases):
            names[fold_name(name)] = initializer
    return names
