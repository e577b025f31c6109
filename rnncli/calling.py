"""Layers made once, with their weights, by one engine, and called: Case -> Result."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from rnncli import claims, engines, fitting
from rnncli.case import Case
from rnncli.errors import EngineError, UsageError
from rnncli.indexing import without_call
from rnncli.initializers import SeedStream
from rnncli.layers.stack import Stack
from rnncli.result import NamedTensor, Result

if TYPE_CHECKING:
    from rnncli.case import Array


def opened(case: Case, engine: str = "auto") -> Callable[[Case], Result]:
    """The layers of `case`, answering any case that differs from it in inputs, mask and states alone.

    Stateful layers go on from one to the next.
    engine: with `auto`, what the fastest one cannot answer after all is answered by numpy.
    Raises, here or at a call, LayerError or InputError where a case cannot be meant, UsageError where the
    engine cannot compute it, EngineError where the engine fails.
    """
    if engine != "auto":
        return _Opened(case, engine)
    chosen = choose(case)
    return _Either(case, chosen, "numpy") if chosen == "onnx" else _Opened(case, chosen)


class _Opened:
    """By one engine."""

    def __init__(self, case: Case, engine: str) -> None:
        fitting.demand_mask(case)
        demand_able(case, engine)
        self.engine = engine
        self.call = engines.get(engine).opened(case, *weights_and_seeds(case, engine))
        stack, all_layers = Stack(case.layers), case.all_layers
        self.claims = said_of(case)
        self.infos = lru_cache(256)(lambda shape: stack.outputs(shape, all_layers=all_layers))
        self.times = lru_cache(256)(lambda shape: stack.times(shape, all_layers=all_layers))
        self.dtype = str(case.inputs.dtype)

    def __call__(self, one: Case) -> Result:
        if one.mask is not None:  # each may have one of its own
            fitting.demand_mask(one)
            demand_able(one, self.engine)
        one = _ready(one)
        return self._named(one, self.call(one))

    def _named(self, case: Case, computed: engines.Computed) -> Result:
        """Raises EngineError where a tensor has not the shape that it should have."""
        calls = (*computed.earlier, computed.tensors)
        infos = [
            info._replace(name=prefix + info.name)
            for prefix in prefixes(case)
            for info in self.infos(case.inputs.shape)
        ]
        times = self.times(case.inputs.shape)
        kept = (layer for call in calls for layer in (call if case.all_layers else call[-1:]))
        arrays = [tensor for layer in kept for tensor in layer]
        tensors = {info.name: array for info, array in zip(infos, arrays, strict=True)}
        for name, _, shape in infos:
            if tensors[name].shape != shape:
                raise EngineError(f"{self.engine} returned {name} as {tensors[name].shape}, not as {shape}.")
        equal = claims.holding(self.claims, tensors)
        return Result(
            engine=self.engine,
            seed=case.seed,
            layers=case.layers,
            input_shape=case.inputs.shape,
            input_dtype=self.dtype,
            outputs=tuple(
                NamedTensor(name, axes, tensors[name], equal[name], times.get(without_call(name), ()))
                for name, axes, _ in infos
            ),
            trace=computed.trace,
            weights=computed.weights,
            conditions=conditions(case),
        )


class _Either:
    """By one engine, and what that cannot answer, by another."""

    def __init__(self, case: Case, first: str, other: str) -> None:
        self.other = cache(lambda: _Opened(case, other))
        try:
            self.first = _Opened(case, first)
        except EngineError:  # its package is there, and broken
            self.first = self.other()

    def __call__(self, one: Case) -> Result:
        try:
            return self.first(one)
        except (UsageError, EngineError):
            return self.other()(one)


def _ready(case: Case) -> Case:
    """Inputs in a row, states in their dtype."""
    import numpy as np

    inputs, states = np.ascontiguousarray(case.inputs), fitting.initial_state(case)
    if inputs is case.inputs and states is None:
        return case
    return dataclasses.replace(case, inputs=inputs, initial_state=states)


def prefixes(case: Case) -> tuple[str, ...]:
    """What stands before the names: `call 1/`, `call 2/`, ... where every call is asked for, else ""."""
    return tuple(f"call {number}/" for number in range(1, case.calls + 1)) if case.all_calls else ("",)


def said_of(case: Case) -> dict[str, tuple[str, ...]]:
    """By name what ought to hold of a tensor; of a later call also that it is as the one before."""
    own = Stack(case.layers).claims(all_layers=case.all_layers)
    if not case.all_calls:
        return own
    names = [info.name for info in Stack(case.layers).outputs(case.inputs.shape, all_layers=case.all_layers)]
    calls = prefixes(case)
    return {
        prefix + name: (
            *(f"{prefix}{claim}" for claim in own.get(name, ())),
            *([f"{calls[place - 1]}{name}"] if place else []),
        )
        for place, prefix in enumerate(calls)
        for name in names
    }


def parted(result: Result, sizes: Sequence[int], case: Case) -> Iterator[Result]:
    """The results of the cases whose inputs were joined along the batch, `sizes` sequences each.

    case: one of them.
    """
    if len(sizes) == 1:
        yield result
        return
    said, start = said_of(case), 0
    for size in sizes:
        own = {tensor.name: tensor.values[start : start + size] for tensor in result.outputs}
        equal = claims.holding(said, own)
        outputs = tuple(
            tensor._replace(values=own[tensor.name], equals=equal[tensor.name]) for tensor in result.outputs
        )
        shape = (size, *result.input_shape[1:])
        yield dataclasses.replace(result, input_shape=shape, outputs=outputs)
        start += size


def choose(case: Case) -> str:
    """The fastest engine that gives Keras's numbers for this case, else tensorflow."""
    if engines.get("numpy").refusal(case):
        return "tensorflow"
    onnx = engines.get("onnx")
    return "onnx" if onnx.worth(case) and not onnx.refusal(case) else "numpy"


def demand_able(case: Case, engine: str) -> None:
    """Raises UsageError where `engine` does not give Keras's numbers for this case."""
    refusal = engines.get(engine).refusal(case)
    if refusal:
        advice = "" if engine == "tensorflow" else "Leave --engine out, or take tensorflow."
        raise UsageError(f"the engine {engine} cannot compute this: {refusal}.", advice)


def weights_and_seeds(case: Case, engine: str) -> tuple[Mapping[str, Array], dict[str, int]]:
    """Weights that are given, or drawn from the seed; but tensorflow lets Keras draw what Keras can."""
    stack = Stack(case.layers)
    seeds = stack.take_seeds(SeedStream(case.seed).draw)
    if case.weights is not None:
        return fitting.weights(case, stack), seeds
    drawn = {} if engine == "tensorflow" else stack.draw_weights(case.inputs.shape, seeds)
    return {**drawn, **stack.probes(case.inputs.shape, str(case.inputs.dtype))}, seeds


def conditions(case: Case) -> dict[str, int]:
    """What makes the numbers others than those of layers, inputs and seed alone."""
    asked = {
        "training": case.training,
        "calls": case.calls if case.calls > 1 else 0,
        "mask": case.mask is not None,
        "initial_state": case.initial_state is not None,
        "weights": case.weights is not None,
    }
    return {name: int(value) for name, value in asked.items() if value}
