"""ConvLSTM1D, 2D and 3D: LSTMs with convolutions instead of matrix products (Shi et al. 2015)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rnncli.cells.builtin import lstm
from rnncli.errors import LayerError
from rnncli.layers.layer import Layer
from rnncli.layers.recurrent import LOOP_OPTIONS, cell_options
from rnncli.result import Claim, Label, TensorInfo
from rnncli.values import Dimension, Option, Shape, Spec

_SPACE = ("rows", "cols", "depth")


class ConvLSTM(Layer):
    """Returns output[, last hidden state, last cell state], each with spatial axes."""

    recurrent = True
    without_keras = False
    rank: ClassVar[int]
    options: ClassVar[Mapping[str, Option]] = {
        "filters": Option("size", required=True),
        "kernel_size": Option("sizes", required=True),
        "strides": Option("sizes", 1),
        "padding": Option("choice", "valid", choices=("valid", "same")),
        "data_format": Option("choice", None, choices=("channels_last", "channels_first", None)),
        "dilation_rate": Option("sizes", 1),
        **{name: option for name, option in cell_options(lstm()).items() if name != "units"},
        "unit_forget_bias": Option("flag", True),
        **{name: option for name, option in LOOP_OPTIONS.items() if name != "unroll"},
    }

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self._channels_first = spec.config["data_format"] == "channels_first"

    def weight_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Return kernel (*kernel_size, channels, 4 * filters), recurrent_kernel, bias (4 * filters,)."""
        filters = self.config["filters"]
        size = self._sizes("kernel_size")
        shapes: dict[str, Shape] = {
            "kernel": (*size, input_shape[2 if self._channels_first else -1], 4 * filters),
            "recurrent_kernel": (*size, filters, 4 * filters),
        }
        return {**shapes, "bias": (4 * filters,)} if self.config["use_bias"] else shapes

    def outputs(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        hidden, cell = self.states(input_shape)
        if self.config["return_sequences"]:
            axes = ("batch", "timesteps", *hidden.axes[1:])
            output = TensorInfo(Label("hidden", sequence=True), axes, (*input_shape[:2], *hidden.shape[1:]))
        else:
            output = TensorInfo(Label("hidden"), hidden.axes, hidden.shape, self.ends)
        return (output, hidden, cell) if self.config["return_state"] else (output,)

    def states(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        """Return last_hidden_state and last_cell_state, (batch, *space, filters).

        With data_format channels_first: (batch, filters, *space).
        """
        space = input_shape[3:] if self._channels_first else input_shape[2:-1]
        options = map(self._sizes, ("kernel_size", "strides", "dilation_rate"))
        sizes = tuple(map(self._output_size, space, *options))
        names, filters = _SPACE[: self.rank], self.config["filters"]
        if self._channels_first:
            axes, shape = ("batch", "channels", *names), (input_shape[0], filters, *sizes)
        else:
            axes, shape = ("batch", *names, "channels"), (input_shape[0], *sizes, filters)
        parts = ("hidden", "cell")
        return tuple(TensorInfo(Label(part, last=True), axes, shape, self.ends) for part in parts)

    def claims(self) -> dict[Label, tuple[Claim, ...]]:
        sequence = bool(self.config["return_sequences"])
        same = Claim(Label("hidden", sequence), (slice(None), -1) if sequence else ())
        return {Label("hidden", last=True): (same,)} if self.config["return_state"] else {}

    def _sizes(self, name: str) -> tuple[int, ...]:
        value: Any = self.config[name]
        return (value,) * self.rank if isinstance(value, int) else tuple(value)

    def _output_size(self, size: Dimension, kernel: int, stride: int, dilation: int) -> Dimension:
        if not isinstance(size, int):
            return size if self.config["padding"] == "same" and stride == 1 else None
        covered = 1 if self.config["padding"] == "same" else dilation * (kernel - 1) + 1
        if covered > size:
            what = "{class_name}: its kernel covers {covered}, but the input has only {size} there."
            advice = "Use a smaller kernel_size or dilation_rate, or padding='same'."
            raise LayerError(what, advice, class_name=self.spec.class_name, covered=covered, size=size)
        return (size - covered) // stride + 1


class ConvLSTM1D(ConvLSTM):
    """Inputs (batch, timesteps, rows, channels)."""

    rank, input_rank = 1, 4


class ConvLSTM2D(ConvLSTM):
    """Inputs (batch, timesteps, rows, cols, channels)."""

    rank, input_rank = 2, 5


class ConvLSTM3D(ConvLSTM):
    """Inputs (batch, timesteps, rows, cols, depth, channels)."""

    rank, input_rank = 3, 6
