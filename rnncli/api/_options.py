"""Keywords shared by the functions of rnncli: the command line's flags, under the same names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Protocol, TypedDict

from rnncli.result import Result
from rnncli.values import Array


class Shaped(Protocol):
    """An array, or a tensor of a framework."""

    @property
    def shape(self) -> Any:
        """Its sizes."""


class InputOptions(TypedDict, total=False):
    """Options of the input.

    input_shape: shape of a generated input, `(2, 10, 8)` or "2,10,8"; `fill` sets its values.
    input_format, batch_column, columns, drop, delimiter, decimal: how to read a file.
    mask: shape (batch, timesteps), or the path of a file that holds it.
    lengths: the time steps of each sequence, such as [5, 3, 2], instead of a mask.
    window, stride: take every `window` steps of one series as a sequence, the next `stride` steps later.
    """

    input_shape: Sequence[int | str | None] | str | None
    fill: Literal["normal", "uniform", "zeros", "ones", "arange"] | None
    input_format: str | None
    input_axes: Sequence[str] | str | None
    batch_column: str | None
    columns: Sequence[str] | str | None
    drop: Sequence[str] | str | None
    delimiter: str | None
    decimal: str | None
    pad: Literal["pre", "post"] | None
    pad_value: float | None
    mask: Any
    mask_value: float | None
    lengths: Sequence[int] | Array | str | None
    window: int | None
    stride: int | None


class LayerOptions(TypedDict, total=False):
    """Keras's own options, for layers given by name."""

    units: int | None
    return_sequences: bool | None
    return_state: bool | None
    go_backwards: bool | None
    stateful: bool | None
    activation: str | None
    recurrent_activation: str | None
    use_bias: bool | None
    unit_forget_bias: bool | None
    reset_after: bool | None
    dropout: float | None
    recurrent_dropout: float | None
    zero_output_for_mask: bool | None
    dtype: str | None
    bidirectional: bool | None
    merge_mode: str | None
    kernel_initializer: str | None
    recurrent_initializer: str | None
    bias_initializer: str | None


class RunOptions(TypedDict, total=False):
    """Options of the run.

    seed: same as for keras.utils.set_random_seed; default: random, stored in the result.
    weights: by path, `kernel`, `forward/kernel`, `0/kernel`; a state dict; the list of `get_weights()`; the
        layer itself, live; or the path of a file that holds them.
    initial_state: arrays of shape (batch, units), in Keras's order or by name (`last_hidden_state`); a result
        that has states; what a live layer of PyTorch takes, (layers, batch, units); or the path of a file.
    model: the file of a saved model, instead of a layer, `model.keras#gru` for some of its layers; or a
        Keras model or layer, or a PyTorch module, which may also stand in the place of the layer.
    at: which layer of such an object: its name, or the path of its attribute.
    assume: what a file without a graph does not say, `{"activation": "relu"}` or "activation=relu"; which
        tensors with names of their own are a layer's, `{"encoder": "enc_*"}`.
    custom_objects: the classes of a model of Keras that has its own: by name, or the path of a file of
        Python, which runs in a process with limits.
    """

    seed: int | None
    weights: Any
    initial_state: Sequence[Any] | Mapping[str, Any] | Result | str | PathLike[str] | Shaped | None
    training: bool | None
    calls: int
    engine: str
    model: Any
    assume: Mapping[str, str | bool] | str | None
    at: str | None
    custom_objects: Mapping[str, Any] | str | PathLike[str] | None


class ViewOptions(TypedDict, total=False):
    """Options of the printed answer."""

    precision: int | None
    full: bool
    width: int | None
    lang: Literal["en", "ko"] | None


class Options(InputOptions, LayerOptions, RunOptions, ViewOptions, total=False):
    """All options."""
