"""The keywords that the functions of rnncli share: the command line's flags, under the same names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, TypedDict, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


class InputOptions(TypedDict, total=False):
    """What goes into the layer.

    input_shape: of an input that is made, `(2, 10, 8)` or "2,10,8", filled with `fill`.
    input_format, batch_column, delimiter, decimal: how a file is read.
    mask: (batch, timesteps), or a file of it.
    """

    input_shape: Sequence[int | str | None] | str | None
    fill: Literal["normal", "uniform", "zeros", "ones", "arange"] | None
    input_format: str | None
    input_axes: Sequence[str] | str | None
    batch_column: str | None
    delimiter: str | None
    decimal: str | None
    pad: Literal["pre", "post"] | None
    pad_value: float | None
    mask: Any
    mask_value: float | None


class LayerOptions(TypedDict, total=False):
    """Keras's own options, for the layers that are given by name."""

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
    """How the layer is run.

    seed: as of keras.utils.set_random_seed; drawn, and kept in the result, where it is left out.
    weights: by path, `kernel`, `forward/kernel`, `0/kernel`, or a file of them.
    initial_state: each (batch, units), in Keras's order or by name (`last_hidden_state`), or a file.
    model: the file of a saved Keras model, instead of a layer; `model.keras#gru` for some of its layers.
    """

    seed: int | None
    weights: Mapping[str, Any] | str | PathLike[str] | None
    initial_state: Sequence[Any] | Mapping[str, Any] | str | PathLike[str] | None
    training: bool | None
    calls: int
    engine: str
    model: str | PathLike[str] | None


class ViewOptions(TypedDict, total=False):
    """How the answer is shown where it is printed."""

    precision: int | None
    full: bool
    width: int | None
    lang: Literal["en", "ko"] | None


class Options(InputOptions, LayerOptions, RunOptions, ViewOptions, total=False):
    """All of them."""


def spelled(function: Function) -> Function:
    """`function`, whose `**options: Unpack[Options]` its signature spells out, for help and completion.

    An option that is not one of them is a TypeError that names the nearest.
    """
    from functools import wraps

    own = inspect.signature(function)
    plain = [parameter for parameter in own.parameters.values() if parameter.kind != parameter.VAR_KEYWORD]
    known = {*(parameter.name for parameter in plain), *Options.__annotations__}

    @wraps(function)
    def called(*args: Any, **keywords: Any) -> Any:
        for name in keywords:
            if name not in known:
                from rnncli.errors import did_you_mean

                raise TypeError(
                    f"{function.__name__}() has no argument {name!r}. {did_you_mean(name, sorted(known))}"
                )
        return function(*args, **keywords)

    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_text(annotation))
        for name, annotation in Options.__annotations__.items()
    ]
    called.__signature__ = own.replace(parameters=[*plain, *more])  # type: ignore[attr-defined]
    return called  # type: ignore[return-value]


def _text(annotation: Any) -> Any:
    """What was written, without the wrapper that TypedDict puts around it."""
    return getattr(annotation, "__forward_arg__", annotation)
