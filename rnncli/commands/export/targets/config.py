"""Keras's config, JSON for `keras.layers.deserialize`: the options of the layers, without numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rnncli import initializers
from rnncli.commands.export import refusals
from rnncli.commands.export.export_case import ExportCase
from rnncli.errors import Message, Text
from rnncli.initializers import snake_case
from rnncli.specs import to_config
from rnncli.values import Spec, walk

SUFFIX = ".json"
BINARY = False


@refusals.of_each
def refusal(export: ExportCase) -> Text | None:
    """Return why a Keras config cannot express it, or None."""
    for spec in walk(export.case.stack):
        if "hard_sigmoid_keras2" in spec.config.values():
            return Message("Keras 3 has no hard_sigmoid of Keras 2")
        for name, value in spec.config.items():
            if name.endswith("_initializer") and value is not None:
                initializer = initializers.find(value.class_name if isinstance(value, Spec) else value)
                if not initializer.in_keras:
                    return Message("Keras has no initializer {name}", name=snake_case(initializer.class_name))
    return refusals.lacks_in_keras(export.case.stack)


def write(exports: Sequence[ExportCase]) -> str:
    """Return one config, or the configs of a stack or of a model's layers in a list."""
    configs = []
    for layer in (layer for export in exports for layer in export.layers):
        config = to_config(layer.spec)
        if layer.name:  # in the model; Keras allows no slash in a name
            config["config"] = {"name": layer.name.replace("/", "_"), **config["config"]}
        configs.append(config)
    return json.dumps(configs[0] if len(configs) == 1 else configs, indent=2) + "\n"
