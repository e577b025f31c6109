"""PyTorch: runs the loop over time in nn.LSTM, nn.GRU or nn.RNN, so that Keras and PyTorch can be compared.

rnncli.frameworks.torch packs the weights.  A layer that goes backwards gets every sequence reversed within
its length, because PyTorch can skip only the steps at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnncli.compute.engines import LayerRunner, mask_outputs, refusal_of_library
from rnncli.errors import Message, Text
from rnncli.layers import runs_a_cell
from rnncli.layers.case import Case
from rnncli.layers.layer import LayerCall
from rnncli.layers.recurrent import RecurrentLayer
from rnncli.process.packages import import_engine, isolated
from rnncli.values import Array, walk

PACKAGES = ("torch",)
NOTE = Message("PyTorch's own modules, in float32 or float64")
DTYPES = ("float32", "float64")


def refusal(case: Case) -> Text | None:
    """Return why no module of PyTorch gives Keras's numbers for the case; None if one does."""
    from rnncli.frameworks.torch import explain_unsupported

    dtypes = {spec.config["dtype"] for spec in walk(case.stack) if "dtype" in spec.config}
    if len(dtypes) > 1:
        return Message("its layers mix {dtypes}", dtypes=" and ".join(sorted(dtypes)))
    if not dtypes <= set(DTYPES):
        known = " or ".join(DTYPES)
        return Message("it computes in {dtypes}, not in {dtype}", dtypes=known, dtype=dtypes.pop())
    for spec in walk(case.stack):
        written = (cell.class_name for cell in walk([spec]) if cell.equations is not None)
        reason = explain_unsupported(next(written, spec.class_name), spec.config)
        if reason and runs_a_cell(spec):
            return reason
    return refusal_of_library(case)


def _package() -> Any:
    return import_engine("torch", *PACKAGES)[0]


class Layers(LayerRunner):
    """Keeps one module per recurrent layer, created when it is first needed.

    Raises EngineError if PyTorch is missing.
    """

    def __init__(self, case: Case, weights: Mapping[str, Array], seeds: Mapping[str, int]) -> None:
        super().__init__(case, weights, seeds)
        _package()
        self.modules: dict[str, Any] = {}

    def steps_of(self, layer: RecurrentLayer, call: LayerCall, state: Any) -> tuple[Array, Any]:
        import numpy as np

        if call.place.path not in self.modules:
            self.modules[call.place.path] = _module(layer, call.weights)
        inputs, order, timesteps = call.inputs, None, call.inputs.shape[1]
        lengths = None if call.mask is None else call.mask.sum(axis=1)
        if layer.config["go_backwards"]:  # the indices that reverse every sequence within its length
            steps = np.arange(timesteps)
            ends = np.full(len(inputs), timesteps) if lengths is None else lengths
            order = np.where(steps < ends[:, None], ends[:, None] - 1 - steps, steps)[..., None]
            inputs = np.take_along_axis(inputs, order, axis=1)
        outputs, parts = _call(self.modules[call.place.path], inputs, lengths, tuple(state))
        if order is not None and layer.sequences:
            outputs = np.take_along_axis(outputs, order, axis=1)
        after = layer.cell.pack(parts)
        return mask_outputs(layer, outputs, lengths, layer.cell.output(after), timesteps), after


def _module(layer: RecurrentLayer, weights: Mapping[str, Array]) -> Any:
    from rnncli.frameworks.torch import MODULES, from_keras

    torch, name = _package(), layer.spec.class_name
    features, units = len(weights["kernel"]), layer.cell.units
    options = {"bias": layer.config["use_bias"], "batch_first": True}
    options |= {"nonlinearity": "relu"} if layer.config["activation"] == "relu" else {}
    with torch.device("meta"):  # no random numbers are drawn
        module = getattr(torch.nn, MODULES[name])(features, units, **options)
    arrays = from_keras(name, weights).items()
    state = {f"{key}_l0": torch.from_numpy(array) for key, array in arrays}
    module.load_state_dict(state, assign=True)
    return module.requires_grad_(False)


def _call(
    module: Any, inputs: Array, lengths: Array | None, state: tuple[Array, ...]
) -> tuple[Array, tuple[Array, ...]]:
    """Return the outputs, (batch, timesteps, units), zeros beyond the lengths, and the last state."""
    import numpy as np

    torch = _package()
    packing = torch.nn.utils.rnn
    # A copy: PyTorch takes no negative stride, which np.ascontiguousarray keeps on an axis of size 1.
    given: Any = torch.from_numpy(np.array(inputs, order="C"))
    if lengths is not None:
        ends = torch.from_numpy(lengths)
        given = packing.pack_padded_sequence(given, ends, batch_first=True, enforce_sorted=False)
    before = tuple(torch.from_numpy(np.array(part, order="C"))[None] for part in state)
    # oneDNN turns NaN into ordinary numbers; its flag is the whole process's.
    with isolated(), torch.inference_mode(), torch.backends.mkldnn.flags(enabled=False):
        outputs, after = module(given, before if len(before) > 1 else before[0])
        if lengths is not None:
            outputs, _ = packing.pad_packed_sequence(outputs, batch_first=True, total_length=inputs.shape[1])
    parts = after if isinstance(after, tuple) else (after,)
    return outputs.numpy(), tuple(part[0].numpy() for part in parts)
