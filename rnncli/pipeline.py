"""Case -> weights -> engine -> Result: the only place that joins the stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from rnncli import chunks, claims, engines, fitting, memory
from rnncli.case import Case, Shape, Spec
from rnncli.errors import EngineError, LayerError, UsageError
from rnncli.initializers import SeedStream
from rnncli.layers import make
from rnncli.layers.stack import Stack
from rnncli.result import Matrix, NamedTensor, Result, TensorInfo

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.explanation import Explanation
    from rnncli.gradients import Gradients


def run(case: Case, engine: str = "auto", budget: int | None = None) -> Result:
    """What the layers return.

    engine: `auto` takes the fastest that gives Keras's numbers for this case.
    budget: bytes for the work on one chunk of the batch; None for what this machine can spare.
    Raises LayerError or InputError where case cannot be meant, EngineError where the engine fails.
    """
    return chunks.joined(parts(case, engine, budget), len(case.inputs))


def parts(case: Case, engine: str = "auto", budget: int | None = None) -> Iterator[Result]:
    """The same chunk by chunk, in the order of the batch; nothing is kept of those that were taken."""
    from rnncli import mapped

    plan = chunks.plan(case, memory.spare() if budget is None else budget)
    call = opened(case, engine, plan[0].stop)
    case = dataclasses.replace(case, initial_state=fitting.initial_state(case))
    for chunk in plan:
        yield call(chunks.part(case, chunk))
        mapped.release(case.inputs)


def opened(case: Case, engine: str = "auto", at_once: int | None = None) -> Callable[[Case], Result]:
    """The layers of `case`, made once, and answering any case that differs in its inputs alone.

    Stateful layers go on from one to the next.  Errors as in `run`, here or at each call.
    at_once: how many sequences of the batch a call will get at most, if not all of them.
    """
    import numpy as np

    fitting.refuse_the_impossible(case, at_once)
    name = _able(case, choose(case) if engine == "auto" else engine)
    call = engines.get(name).opened(case, *_weights_and_seeds(case, name))
    results = _Results(case, name)

    def answer(one: Case) -> Result:
        inputs, states = np.ascontiguousarray(one.inputs), fitting.initial_state(one)
        if inputs is not one.inputs or states is not None:
            one = dataclasses.replace(one, inputs=inputs, initial_state=states)
        try:
            for _ in range(one.calls):
                computed = call(one)
        except engines.InexactError:
            if engine != "auto":
                raise
            return opened(one, "numpy")(one)
        return results.of(one, computed)

    return answer


def parted(result: Result, sizes: Sequence[int]) -> Iterator[Result]:
    """The results of the cases whose inputs were joined along the batch, `sizes` sequences each."""
    if len(sizes) == 1:
        yield result
        return
    said, start = Stack(result.layers).claims(), 0
    for size in sizes:
        own = {tensor.name: tensor.values[start : start + size] for tensor in result.outputs}
        equal = claims.holding(said, own)
        outputs = tuple(
            NamedTensor(tensor.name, tensor.axes, own[tensor.name], equal[tensor.name])
            for tensor in result.outputs
        )
        shape = (size, *result.input_shape[1:])
        yield dataclasses.replace(result, input_shape=shape, outputs=outputs)
        start += size


def trace(case: Case) -> Result:
    """What the layers return, and every step on the way there, by the engine that keeps them.

    Raises UsageError where that engine cannot compute the layers, or not in their dtype.
    """
    from rnncli import tracing

    fitting.refuse_the_impossible(case)
    refusal = engines.get("numpy").refusal(case)
    if refusal:
        raise UsageError(
            f"the engine numpy, which alone keeps steps, cannot trace this: {refusal}.",
            "Take rnncli run, or trace lstm, gru or another recurrent layer in float32.",
        )
    result = run(dataclasses.replace(case, traced=True), "numpy")
    tracing.verify(result)
    return result


def witnessed(case: Case) -> Case:
    """The same with every layer's outputs and states returned, so that all of a trace can be held to them."""
    return dataclasses.replace(
        case,
        layers=tuple(make(spec).with_returns(return_state=True) for spec in case.layers),
        all_layers=True,
    )


def explain(case: Case, text: str, depth: int = 1, terms: int | None = None) -> tuple[Explanation, Result]:
    """Where the number that `text` names comes from, and the trace that it was read from.

    See explain.explained.  Raises UsageError where `text` names no single number.
    """
    from rnncli import explain as explaining
    from rnncli import explanation, located

    wide = witnessed(case)
    fitting.refuse_the_impossible(wide)
    target = explanation.target(text, located.infos(Stack(wide.layers), wide.inputs.shape))
    result = trace(wide)
    found = explaining.explained(case, result, target, depth, terms)
    return found, dataclasses.replace(result, layers=case.layers)


def gradients(case: Case, of: str | None = None) -> Gradients:
    """How much the numbers `of` change with every state and every input; default: the last step's output.

    Through Keras, whatever else could compute the case.  States are those of the last recurrent layer.
    The last layer's states may be asked for whether it returns them or not.
    Raises UsageError where there are no such numbers, or no such layer.
    """
    from rnncli import gradients as slopes
    from rnncli.engines import _gradients

    fitting.refuse_the_impossible(case)
    said = _conditions(case)
    case = dataclasses.replace(case, initial_state=fitting.initial_state(case))
    _able(case, "tensorflow")
    last = make(case.layers[-1]).with_returns(return_state=True)
    wide = dataclasses.replace(case, layers=(*case.layers[:-1], last))
    target = slopes.target(of, Stack(wide.layers).outputs(case.inputs.shape))
    weights, _ = _weights_and_seeds(case, "tensorflow")
    place = slopes.layer_of(case)
    norms = _gradients.norms(wide, weights, place, target.batch, target.position, target.entries)
    found = slopes.of(case, target, norms.states, norms.inputs, norms.skipped)
    return dataclasses.replace(found, conditions=said)


def choose(case: Case) -> str:
    """The fastest engine that gives Keras's numbers for this case, else tensorflow."""
    if engines.get("numpy").refusal(case):
        return "tensorflow"
    onnx = engines.get("onnx")
    return "onnx" if onnx.worth(case) and not onnx.refusal(case) else "numpy"


def matrix(case: Case, engine: str = "auto") -> Matrix:
    """The last layer with every combination of return_sequences and return_state."""
    return Matrix(
        {
            (sequences, state): run(
                dataclasses.replace(case, layers=_returning(case.layers, sequences, state)), engine
            )
            for sequences in (False, True)
            for state in (False, True)
        }
    )


def states(layers: tuple[Spec, ...], input_shape: Shape) -> tuple[TensorInfo, ...]:
    """What an initial state consists of, in Keras's order, under the names of the results."""
    return Stack(layers).states(input_shape)


def dtype_of(layers: tuple[Spec, ...]) -> str:
    """What the first layer computes in."""
    dtype: str = layers[0].config["dtype"]
    return dtype


def _returning(layers: tuple[Spec, ...], sequences: bool, state: bool) -> tuple[Spec, ...]:
    last = make(layers[-1])
    if not last.recurrent:
        raise LayerError(
            f"{last.spec.class_name} has neither return_sequences nor return_state.",
            "matrix wants a recurrent layer last, such as lstm.",
        )
    return (*layers[:-1], last.with_returns(return_sequences=sequences, return_state=state))


def _able(case: Case, engine: str) -> str:
    refusal = engines.get(engine).refusal(case)
    if refusal:
        advice = "" if engine == "tensorflow" else "Leave --engine out, or take tensorflow."
        raise UsageError(f"the engine {engine} cannot compute this: {refusal}.", advice)
    return engine


def _weights_and_seeds(case: Case, engine: str) -> tuple[Mapping[str, Array], dict[str, int]]:
    """Weights that are given, or drawn from the seed; but tensorflow lets Keras draw what Keras can."""
    stack = Stack(case.layers)
    seeds = stack.take_seeds(SeedStream(case.seed).draw)
    if case.weights is not None:
        return fitting.weights(case, stack), seeds
    drawn = {} if engine == "tensorflow" else stack.draw_weights(case.inputs.shape, seeds)
    return {**drawn, **stack.probes(case.inputs.shape, str(case.inputs.dtype))}, seeds


class _Results:
    """What an engine computes, named and checked; what depends on shapes alone is found once."""

    def __init__(self, case: Case, engine: str) -> None:
        stack, all_layers = Stack(case.layers), case.all_layers
        self.engine, self.all_layers = engine, all_layers
        self.infos = cache(lambda shape: stack.outputs(shape, all_layers=all_layers))
        self.claims = stack.claims(all_layers=all_layers)
        self.dtype = str(case.inputs.dtype)

    def of(self, case: Case, computed: engines.Computed) -> Result:
        """Raises EngineError where a tensor has not the shape that it should have."""
        infos = self.infos(case.inputs.shape)
        kept = computed.tensors if self.all_layers else computed.tensors[-1:]
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
            outputs=tuple(NamedTensor(name, axes, tensors[name], equal[name]) for name, axes, _ in infos),
            trace=computed.trace,
            weights=computed.weights,
            conditions=_conditions(case),
        )


def _conditions(case: Case) -> dict[str, int]:
    """What makes the numbers others than those of layers, inputs and seed alone."""
    asked = {
        "training": case.training,
        "calls": case.calls if case.calls > 1 else 0,
        "mask": case.mask is not None,
        "initial_state": case.initial_state is not None,
        "weights": case.weights is not None,
    }
    return {name: int(value) for name, value in asked.items() if value}
