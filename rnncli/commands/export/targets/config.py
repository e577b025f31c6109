"""Keras's config, JSON for `keras.layers.deserialize`: the options of the layers, without numbers."""

from __future__ import annotations

import json

from rnncli.commands.export.export_case import ExportCase, specs_of
from rnncli.specs import to_config

SUFFIX = ".json"
BINARY = False


def refusal(export: ExportCase) -> str | None:
    """Return why Keras's config cannot express it, or None."""
    for spec in specs_of(export.case.layers):
        if "hard_sigmoid_keras2" in spec.config.values():
            return "Keras 3 has no hard_sigmoid of Keras 2"
        if "probe" in spec.config.values():
            return "Keras has no initializer probe"
    return None


def write(export: ExportCase) -> str:
    """Return one config, or a list of those of a stack."""
    configs = [to_config(spec) for spec in export.case.layers]
    return json.dumps(configs[0] if len(configs) == 1 else configs, indent=2) + "\n"
